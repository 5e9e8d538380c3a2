import type { BuildRecord } from '../domain/build';
import { capturedRepository } from '../domain/captured-image';
import { UsageError, UserError } from '../domain/errors';
import { quoted } from '../domain/paths';
import type { Pipeline } from '../domain/pipeline';
import { rollbackCandidates } from '../domain/promotion';
import type { Services } from '../domain/ports';
import { formatAge } from '../domain/units';
import { findLive } from '../operations/live';
import { requestPromotion } from '../operations/promotion';
import { parseArguments } from './arguments';
import type { Command } from './command';
import { readPipeline } from './pipeline-argument';

const usage = 'rollback BUILD | --previous [--pipeline NAME] [--dry-run] [--detach]';

export const rollback: Command = {
  usage,
  about: 'Put an earlier build of production on production again',
  help: [
    'Nothing is built. Release tasks (predeploy, release, postdeploy) of that build run again, such as migrations;',
    'they do not undo what later ones did to a database.',
  ],
  async run(services, args) {
    const given = parseArguments(`flight-launch:${usage}`, args, {
      optional: ['BUILD'],
      values: ['pipeline'],
      flags: ['previous', 'dry-run', 'detach'],
    });
    const name = given.positional('BUILD');
    if ((name === undefined) !== given.flag('previous')) {
      throw new UsageError('rollback takes either a build or --previous', {
        remedy: `Usage: dokku flight-launch:${usage}`,
      });
    }
    const pipeline = await readPipeline(services, 'rollback', given.value('pipeline'));
    const build = await choose(services, pipeline, name);
    services.terminal.warn(
      'Release tasks of that build run again; a database stays as later builds left it.',
    );
    return requestPromotion(services, pipeline, {
      kind: 'rollback',
      build,
      dryRun: given.flag('dry-run'),
      detach: given.flag('detach'),
    });
  },
};

/** @throws UserError that lists the builds that are left */
async function choose(
  services: Services,
  pipeline: Pipeline,
  name: string | undefined,
): Promise<BuildRecord> {
  const { store, docker, clock } = services;
  const live = await findLive(services, pipeline.name, pipeline.production, 'production');
  const images = new Set(await docker.imagesOf(capturedRepository(pipeline.name)));
  const candidates = rollbackCandidates(await store.builds(pipeline.name), live, images);
  const chosen = name === undefined ? candidates[0] : candidates.find((build) => build.name === name);
  if (chosen !== undefined) return chosen;
  if (live.state === 'build' && live.build === name && live.record !== undefined) return live.record;
  const what =
    name === undefined
      ? `${pipeline.production} has no earlier build`
      : `${quoted(name)} is no build that ${pipeline.production} can go back to`;
  throw new UserError(what, {
    details: candidates.map(
      (build) =>
        `${build.name}: commit ${build.commit.slice(0, 8)}, live ${formatAge(clock.now(), build.live.production ?? 0)}`,
    ),
    remedy: candidates.length === 0 ? 'Push or promote a build instead.' : 'Name one of these.',
  });
}
