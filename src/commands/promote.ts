import type { BuildRecord } from '../domain/build';
import { UserError } from '../domain/errors';
import { quoted } from '../domain/paths';
import type { Pipeline } from '../domain/pipeline';
import type { Services } from '../domain/ports';
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
    const build =
      named === undefined
        ? await liveOnStaging(services, pipeline)
        : await namedBuild(services, pipeline, named);
    return requestPromotion(services, pipeline, {
      kind: 'promote',
      build,
      dryRun: given.flag('dry-run'),
      detach: given.flag('detach'),
    });
  },
};

async function liveOnStaging(
  services: Services,
  { name, staging }: Pipeline,
): Promise<BuildRecord | undefined> {
  const live = await findLive(services, name, staging, 'staging');
  if (live.state === 'mixed') {
    await refuseWhileDeployed(services, staging);
    throw new UserError(`${staging} runs a mixture of builds, so it is not clear what was tested`, {
      remedy: 'Push to staging again, or name a build with --build.',
    });
  }
  const coming = await deployUnderWay(services, staging);
  if (coming !== undefined) {
    services.terminal.warn(
      `${staging} is being deployed (build ${coming.build}); what is live there until then is what counts`,
    );
  }
  return live.state === 'build' ? live.record : undefined;
}

async function namedBuild({ store }: Services, pipeline: Pipeline, name: string): Promise<BuildRecord> {
  const record = (await store.builds(pipeline.name)).find((candidate) => candidate.name === name);
  if (record !== undefined) return record;
  throw new UserError(`there is no build ${quoted(name)} in pipeline ${pipeline.name}`, {
    remedy: `\`dokku flight-launch:history ${pipeline.name}\` lists them.`,
  });
}
