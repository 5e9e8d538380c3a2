import { UserError } from '../domain/errors';
import { lastStep } from '../domain/journal';
import type { Pipeline } from '../domain/pipeline';
import type { Services } from '../domain/ports';
import { hasEnded, releaseBranch, type Release } from '../domain/release';
import { refuseWhileUnfinished } from './job-runs';
import { appContainers } from './live';
import { openRelease, refuseWhileReleasing } from './release-runs';

/**
 * Gives a release up: removes its branch upstream, if nobody added to it, and says what stays.
 * @throws UserError where production runs it
 */
export async function abortRelease(
  services: Services,
  pipeline: Pipeline,
  version: string,
  dryRun: boolean,
): Promise<undefined> {
  const { terminal, locks } = services;
  await refuseWhileReleasing(services, pipeline.name);
  await locks.pipeline(pipeline.name, 'release --abort', async () => {
    await refuseWhileUnfinished(services, pipeline.name);
    const release = await openRelease(services, pipeline.name, version);
    if (lastStep(release.journal, 'aborted') !== undefined) {
      terminal.step(`Release ${version} was given up already; nothing to do`);
      return;
    }
    await refuseOnProduction(services, pipeline, release);
    terminal.header(`Giving up release ${version}`);
    if (!dryRun) await say(services, pipeline, version, 'aborting');
    await removeBranch(services, pipeline, release, dryRun);
    const deployed = lastStep(release.journal, 'deployed');
    if (deployed !== undefined) {
      terminal.detail(
        `${pipeline.staging} may still run build ${deployed.build}; push another commit to it to replace that`,
      );
    }
    if (dryRun) return;
    await say(services, pipeline, version, 'aborted');
    terminal.step(`Release ${version} was given up; ${pipeline.production} was not touched`);
  });
  return undefined;
}

/** Any container of the release on production counts, as does the journal's word for it. */
async function refuseOnProduction(
  services: Services,
  pipeline: Pipeline,
  { record: { version }, journal }: Release,
): Promise<void> {
  if (hasEnded(journal)) {
    throw new UserError(`release ${version} is done, so it cannot be given up`, {
      remedy: `\`dokku flight-launch:rollback --previous --pipeline ${pipeline.name}\` puts the former build on production again.`,
    });
  }
  const build = lastStep(journal, 'deployed')?.build;
  const promoted = lastStep(journal, 'promoted') !== undefined;
  const runs =
    build !== undefined &&
    (await appContainers(services, pipeline.production)).some((container) => container.build === build);
  if (!promoted && !runs) return;
  throw new UserError(`${pipeline.production} runs release ${version}, so it cannot be given up`, {
    details: [
      `dokku flight-launch:release ${version} --resume --pipeline ${pipeline.name}  ends it`,
      `dokku flight-launch:finish ${version} --pipeline ${pipeline.name}  merges and tags what production runs`,
      `dokku flight-launch:rollback --previous --pipeline ${pipeline.name}  puts the former build on production again`,
    ],
    remedy: 'Use one of these.',
  });
}

async function removeBranch(
  services: Services,
  pipeline: Pipeline,
  { record: { version }, journal }: Release,
  dryRun: boolean,
): Promise<void> {
  const { terminal } = services;
  const name = releaseBranch(version);
  const ours = (lastStep(journal, 'branched') ?? lastStep(journal, 'branching'))?.commit;
  if (ours === undefined) return;
  const upstream = services.upstream(pipeline);
  await upstream.fetch();
  const head = (await upstream.branches()).get(name);
  if (head === undefined) return;
  if (head !== ours) {
    terminal.warn(
      `${name} stays upstream, since it has commits that are not of flight-launch; remove it by hand`,
    );
    return;
  }
  terminal.step(`Removing the branch ${name} upstream`);
  const result = await upstream.push([{ ref: `refs/heads/${name}`, to: null, from: head }], dryRun);
  if (!result.accepted) {
    throw new UserError(`upstream does not let the branch ${name} be removed`, {
      details: result.refused.map(({ ref, reason }) => `${ref}: ${reason}`),
      remedy: 'Remove it there, and give the release up again.',
    });
  }
  if (!dryRun) await upstream.keep(name, null);
}

function say(
  { releases, clock }: Services,
  pipeline: Pipeline,
  version: string,
  step: 'aborting' | 'aborted',
): Promise<void> {
  return releases.append(pipeline.name, version, { format: 1, at: clock.now(), step });
}
