import { UserError } from '../domain/errors';
import type { Pipeline } from '../domain/pipeline';
import type { Services, Upstream } from '../domain/ports';
import { hasEnded, releaseBranch } from '../domain/release';
import { effectiveSettings } from '../domain/settings';
import { callerOf } from './caller';
import { refuseWhileUnfinished } from './job-runs';
import { findLive } from './live';
import { committerOf } from './release';
import { finishUpstream, planFinish, type Finish } from './release-finish';

export interface FinishRequest {
  version: string;
  message: string | undefined;
  dryRun: boolean;
}

/**
 * Merges and tags what production runs of a release branch; the release's own journal, if it has one, ends with it.
 * @throws UserError where production does not run a commit of that branch
 */
export async function finishRelease(
  services: Services,
  pipeline: Pipeline,
  { version, message, dryRun }: FinishRequest,
): Promise<undefined> {
  const { locks, terminal, releases, clock } = services;
  await locks.pipeline(pipeline.name, 'finish', async () => {
    await refuseWhileUnfinished(services, pipeline.name);
    const settings = effectiveSettings(pipeline.settings);
    const upstream = services.upstream(pipeline);
    await upstream.fetch();
    const commit = await promotedCommit(services, pipeline, upstream, version);
    const finish: Finish = {
      version,
      by: callerOf(services),
      develop: settings.developBranch,
      master: settings.masterBranch,
      ...committerOf(services, settings),
      ...(message === undefined ? {} : { message }),
      commit,
      at: clock.now(),
    };
    terminal.header(`Release ${version} of pipeline ${pipeline.name}`);
    if (dryRun) {
      await describe(services, upstream, finish);
      return;
    }
    const record = await releases.read(pipeline.name, version);
    const open =
      record !== undefined && !hasEnded(await releases.journal(pipeline.name, version)) ? record : undefined;
    await finishUpstream(services, upstream, finish, async (merging) => {
      if (open !== undefined) {
        await releases.append(pipeline.name, version, { format: 1, at: finish.at, ...merging });
      }
    });
    await upstream.keep(releaseBranch(version), null);
    if (open !== undefined) {
      await releases.append(pipeline.name, version, { format: 1, at: clock.now(), step: 'finished', commit });
    }
    terminal.step(`Release ${version} is done`);
  });
  return undefined;
}

async function promotedCommit(
  services: Services,
  pipeline: Pipeline,
  upstream: Upstream,
  version: string,
): Promise<string> {
  const { production, name } = pipeline;
  const live = await findLive(services, name, production, 'production');
  const commit = live.state === 'build' ? live.record?.commit : undefined;
  if (commit === undefined) {
    throw new UserError(`${production} runs no build of flight-launch, so there is nothing to merge`, {
      remedy: `Promote the build of ${releaseBranch(version)} first.`,
    });
  }
  const branches = await upstream.branches();
  const branch = branches.get(releaseBranch(version));
  const tagged = (await upstream.tags()).get(version)?.commit;
  if (tagged === commit) return commit;
  if (branch === undefined) {
    throw new UserError(`there is no branch ${releaseBranch(version)} upstream`, {
      remedy: 'Push it there: it is what gets merged and tagged.',
    });
  }
  const { developBranch } = effectiveSettings(pipeline.settings);
  const develop = branches.get(developBranch);
  const isOfBranch = (await upstream.has(commit)) && (await upstream.contains(branch, commit));
  // What develop has already is only where the branch began.
  if (isOfBranch && (develop === undefined || !(await upstream.contains(develop, commit)))) return commit;
  throw new UserError(
    `${production} runs commit ${commit.slice(0, 8)}, which is not of ${releaseBranch(version)}`,
    { remedy: `Promote the build of ${releaseBranch(version)} first.` },
  );
}

async function describe({ terminal }: Services, upstream: Upstream, finish: Finish): Promise<void> {
  const plan = await planFinish(upstream, finish);
  if (plan === undefined) {
    terminal.step('Upstream has it merged and tagged already; nothing to do');
    return;
  }
  for (const { ref, to } of plan.updates) {
    terminal.detail(to === null ? `remove ${ref}` : `${ref} at ${to.slice(0, 8)}`);
  }
  if (plan.branchKept !== undefined) terminal.detail(plan.branchKept);
  terminal.step('Nothing was changed');
}
