import { UsageError } from '../domain/errors';
import {
  checkSetting,
  describeSetting,
  displaySetting,
  settingName,
  settingNames,
  type SettingName,
} from '../domain/settings';
import { parseArguments } from './arguments';
import type { Command } from './command';
import { readPipeline } from './pipeline-argument';

const usage = 'set NAME KEY VALUE | --unset [--dry-run]';

export const set: Command = {
  usage,
  about: 'Change a setting of a pipeline or put it back to its default',
  help: [
    'With --unset in place of VALUE the setting goes back to its default. Settings:',
    ...settingNames.map((name) => {
      const { about, fallback } = describeSetting(name);
      return `  ${name.padEnd(16)} ${about}${fallback === '' ? '' : ` (default ${fallback})`}`;
    }),
  ],
  async run(services, args) {
    const given = parseArguments(`flight-launch:${usage}`, args, {
      required: ['NAME', 'KEY'],
      optional: ['VALUE'],
      flags: ['unset', 'dry-run'],
    });
    const key = settingName(given.positional('KEY') ?? '');
    const value = wantedValue(key, given.positional('VALUE') ?? '', given.flag('unset'));
    const { name } = await readPipeline(services, 'set', given.positional('NAME'));
    const { store, terminal, locks, upstreamAccess } = services;
    terminal.header(
      value === undefined ? `Unsetting ${key}` : `Setting ${key} to ${displaySetting(key, value)}`,
    );
    if (given.flag('dry-run')) return;
    await locks.pipeline(name, 'set', async () => {
      // Read again under the lock, so that two at once do not undo each other.
      const pipeline = await store.pipeline(name);
      const { [key]: _, ...others } = pipeline.settings;
      await store.savePipeline({
        ...pipeline,
        settings: value === undefined ? others : { ...others, [key]: value },
      });
      if (key !== 'upstream') return;
      await upstreamAccess(name).forgetHostKeys();
      terminal.detail(
        'the host keys that were pinned are forgotten; the deploy key stays until another is set up',
      );
    });
  },
};

/**
 * A value that is missing is no wish for the default: an unmatched quote may have dropped it on the way (H13).
 * @returns undefined for the default
 * @throws UsageError
 */
function wantedValue(key: SettingName, value: string, unset: boolean): string | undefined {
  if (unset && value === '') return undefined;
  if (key === 'upstream') {
    throw new UsageError('upstream is set by flight-launch:setup', {
      remedy:
        'Use `dokku flight-launch:setup NAME --upstream URL`: it pins the host keys and makes the deploy key that belong to it. --unset takes it away.',
    });
  }
  if (unset || value === '') {
    throw new UsageError(
      unset ? `${key} gets either a value or --unset, not both` : `VALUE of ${key} is missing`,
      { remedy: `Usage: dokku flight-launch:${usage}; --unset puts ${key} back to its default.` },
    );
  }
  checkSetting(key, value);
  return value;
}
