import { checkSetting, describeSetting, displaySetting, settingName, settingNames } from '../domain/settings';
import { parseArguments } from './arguments';
import type { Command } from './command';
import { readPipeline } from './pipeline-argument';

const usage = 'set NAME KEY [VALUE] [--dry-run]';

export const set: Command = {
  usage,
  about: 'Change a setting of a pipeline or clear it',
  help: [
    'Without VALUE the setting goes back to its default. Settings:',
    ...settingNames.map((name) => {
      const { about, fallback } = describeSetting(name);
      return `  ${name.padEnd(14)} ${about}${fallback === '' ? '' : ` (default ${fallback})`}`;
    }),
  ],
  async run(services, args) {
    const given = parseArguments(`flight-launch:${usage}`, args, {
      required: ['NAME', 'KEY'],
      optional: ['VALUE'],
      flags: ['dry-run'],
    });
    const key = settingName(given.positional('KEY') ?? '');
    const value = given.positional('VALUE') ?? '';
    if (value !== '') checkSetting(key, value);
    const { name } = await readPipeline(services, 'set', given.positional('NAME'));
    const { store, terminal, locks } = services;
    terminal.header(value === '' ? `Unsetting ${key}` : `Setting ${key} to ${displaySetting(key, value)}`);
    if (given.flag('dry-run')) return;
    await locks.pipeline(name, 'set', async () => {
      // Read again under the lock, so that two at once do not undo each other.
      const pipeline = await store.pipeline(name);
      const { [key]: _, ...others } = pipeline.settings;
      await store.savePipeline({
        ...pipeline,
        settings: value === '' ? others : { ...others, [key]: value },
      });
    });
  },
};
