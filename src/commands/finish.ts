import { effectiveSettings } from '../domain/settings';
import { checkVersion } from '../domain/version';
import { finishRelease } from '../operations/release-by-hand';
import { checkMessage, parseArguments } from './arguments';
import type { Command } from './command';
import { readPipeline } from './pipeline-argument';

const usage = 'finish VERSION [--pipeline NAME] [--message TEXT] [--dry-run]';

export const finish: Command = {
  usage,
  about: 'Merge and tag a release whose build was promoted by hand',
  help: [
    'The last step of `flight-launch:release` alone: merges release/VERSION, as far as production runs it, into the',
    'develop and master branches, tags it VERSION and removes the branch, in one push. Refuses where production runs',
    'something else.',
  ],
  async run(services, args) {
    const given = parseArguments(`flight-launch:${usage}`, args, {
      required: ['VERSION'],
      values: ['pipeline', 'message'],
      flags: ['dry-run'],
    });
    const message = given.value('message');
    if (message !== undefined) checkMessage(message);
    const pipeline = await readPipeline(services, 'finish', given.value('pipeline'));
    const version = given.positional('VERSION') ?? '';
    checkVersion(effectiveSettings(pipeline.settings).versionScheme, version);
    return finishRelease(services, pipeline, {
      version,
      message: message?.trim(),
      dryRun: given.flag('dry-run'),
    });
  },
};
