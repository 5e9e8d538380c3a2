import { UserError } from '../domain/errors';
import { quoted } from '../domain/paths';
import { deployUnderWay, findLive, refuseWhileDeployed } from '../operations/live';
import { requestPromotion } from '../operations/promotion';
import { parseArguments } from './arguments';
import type { Command } from './command';
import { readPipeline } from './pipeline-argument';

const usage = 'promote [--pipeline NAME] [--build BUILD] [--dry-run] [--detach]';

export const promote: Command = {
  usage,
  about: "Put staging's live build on production",
  help: [
    'Takes the image that was tested on staging, or that of BUILD, and releases it with the configuration of production.',
    'Everything is checked before anything is changed. The work goes on if the connection breaks;',
    '`flight-launch:logs --follow` picks it up again. What fails is put back.',
  ],
  async run(services, args) {
    const given = parseArguments(`flight-launch:${usage}`, args, {
      values: ['pipeline', 'build'],
      flags: ['dry-run', 'detach'],
    });
    const pipeline = await readPipeline(services, 'promote', given.value('pipeline'));
    const named = given.value('build');
    const live =
      named === undefined ? await findLive(services, pipeline.name, pipeline.staging, 'staging') : undefined;
    if (live?.state === 'mixed') {
      await refuseWhileDeployed(services, pipeline.staging);
      throw new UserError(
        `${pipeline.staging} runs a mixture of builds, so it is not clear what was tested`,
        {
          remedy: 'Push to staging again, or name a build with --build.',
        },
      );
    }
    const coming = named === undefined ? await deployUnderWay(services, pipeline.staging) : undefined;
    if (coming !== undefined) {
      services.terminal.warn(
        `${pipeline.staging} is being deployed (build ${coming.build}); what is live there until then is what counts`,
      );
    }
    const build =
      named === undefined ? (live?.state === 'build' ? live.record : undefined) : await namedBuild(named);
    return requestPromotion(services, pipeline, {
      kind: 'promote',
      build,
      dryRun: given.flag('dry-run'),
      detach: given.flag('detach'),
    });

    async function namedBuild(name: string) {
      const record = (await services.store.builds(pipeline.name)).find(
        (candidate) => candidate.name === name,
      );
      if (record !== undefined) return record;
      throw new UserError(`there is no build ${quoted(name)} in pipeline ${pipeline.name}`, {
        remedy: `\`dokku flight-launch:history ${pipeline.name}\` lists them.`,
      });
    }
  },
};
