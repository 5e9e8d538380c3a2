import { exitStatus, UserError } from '../domain/errors';
import type { JournalEntry, ReleaseJob } from '../domain/job';
import { lastStep, type Unstamped } from '../domain/journal';
import type { Pipeline } from '../domain/pipeline';
import { planPromotion } from '../domain/promotion';
import { hasEnded, releaseBranch, type ReleaseEntry, type ReleaseRecord } from '../domain/release';
import type { Services, Upstream } from '../domain/ports';
import { historyOf, type BuildRecord } from '../domain/build';
import { explain, explainInJob } from '../operations/explain';
import { createJob } from '../operations/job-runs';
import { deployUnderWay, findLive, refuseWhileDeployed, runsFully, waitWhile } from '../operations/live';
import { gatherFacts } from '../operations/promotion';
import { releaseCommit } from '../operations/release';
import { finishUpstream } from '../operations/release-finish';
import { openRelease } from '../operations/release-runs';
import { putOnProduction } from './put-on-production';

type Ended = Omit<Extract<JournalEntry, { step: 'ended' }>, 'format' | 'at'>;
type Entry = Unstamped<ReleaseEntry>;

/** A release with what it works on. */
interface Work {
  services: Services;
  pipeline: Pipeline;
  upstream: Upstream;
  job: ReleaseJob;
  record: ReleaseRecord;
  buildId: string;
}

/**
 * Runs a release from where its journal says that it stopped, to its end or to where it has to stop.
 * @param buildId Dokku's build id of the promote within
 */
export async function runRelease(
  services: Services,
  pipelineName: string,
  job: ReleaseJob,
  buildId: string,
): Promise<void> {
  const { jobs, locks, store, clock } = services;
  const end = (ended: Ended) => jobs.append(pipelineName, job.id, { format: 1, at: clock.now(), ...ended });
  try {
    await locks.pipeline(pipelineName, `release ${job.version} (${job.id})`, async () => {
      const pipeline = await store.pipeline(pipelineName);
      const { record } = await openRelease(services, pipelineName, job.version);
      const upstream = services.upstream(pipeline);
      await end(await run({ services, pipeline, upstream, job, record, buildId }));
    });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    // Somebody else took the lock, or the upstream away, since the command checked.
    explain(services.terminal, error);
    const exit = error.exit === exitStatus.locked ? exitStatus.locked : exitStatus.resumable;
    await end({ step: 'ended', result: 'stopped', exit });
  }
}

async function run(work: Work): Promise<Ended> {
  const { services, record, pipeline } = work;
  const { terminal } = services;
  try {
    return await steps(work);
  } catch (error) {
    explainInJob(services, `release ${record.version}`, error);
    if (await isNowhere(work)) {
      terminal.warn(`Release ${record.version} was given up; nothing was changed.`);
      return { step: 'ended', result: 'stopped', exit: exitStatus.failed };
    }
    terminal.warn(
      `Release ${record.version} stopped. Go on: dokku flight-launch:release ${record.version} --resume --pipeline ${pipeline.name}`,
    );
    return { step: 'ended', result: 'stopped', exit: exitStatus.resumable };
  }
}

/** Whether nothing of the release left this host: its branch was never pushed, or refused. Then it has ended. */
async function isNowhere(work: Work): Promise<boolean> {
  const journal = await journalOf(work);
  if (hasEnded(journal)) return true;
  if (journal.length > 0) return false;
  await say(work, { step: 'aborted' });
  return true;
}

async function steps(work: Work): Promise<Ended> {
  const { services, record } = work;
  await work.upstream.fetch();
  const start = await branch(work);
  const promoted = lastStep(await journalOf(work), 'promoted');
  const build =
    promoted === undefined
      ? await deploy(work, await head(work, start))
      : await buildNamed(work, promoted.build);
  if (promoted === undefined) {
    if (await holds(work, build)) return { step: 'ended', result: 'held', exit: exitStatus.resumable };
    await promote(work, build);
  }
  const merging = lastStep(await journalOf(work), 'merging');
  // Merges that are made again are the same ones, where upstream is the same.
  const at = merging?.at ?? services.clock.now();
  await finishUpstream(services, work.upstream, { ...record, commit: build.commit, at }, (entry) =>
    say(work, entry, at),
  );
  await end(work, build);
  return { step: 'ended', result: 'released', exit: exitStatus.done };
}

/**
 * Makes the release branch upstream, unless it is there.
 * @returns its first commit; what was fetched shows the branch then
 */
async function branch(work: Work): Promise<string> {
  const { services, upstream, record } = work;
  const name = releaseBranch(record.version);
  const known = lastStep(await journalOf(work), 'branched');
  if (known !== undefined) return known.commit;
  const { commit, problems } = await releaseCommit(upstream, record);
  if (problems.length > 0) throw new UserError('the version files cannot be written', { details: problems });
  await upstream.keep(name, commit);
  services.terminal.step(`Branch ${name} at ${commit.slice(0, 8)}`);
  // Where the answer to an earlier push was lost, it is there already.
  const there = (await upstream.branches()).get(name);
  if (there === undefined) {
    await pushBranch(work, commit);
    await upstream.fetch();
  } else if (!(await upstream.contains(there, commit))) {
    throw new UserError(
      `upstream has a branch ${name} that is not of this release, at ${there.slice(0, 8)}`,
      {
        remedy: 'Give this release up with --abort, and take another version.',
      },
    );
  }
  await say(work, { step: 'branched', commit });
  return commit;
}

async function pushBranch(work: Work, commit: string): Promise<void> {
  const { services, upstream, record } = work;
  const name = releaseBranch(record.version);
  await say(work, { step: 'branching', commit });
  const update = { ref: `refs/heads/${name}`, to: commit, from: null };
  const result = await upstream.push([update]).catch(async (error: unknown) => {
    if (!(error instanceof UserError)) throw error;
    services.terminal.warn(`flight-launch: ${error.message}`);
    // The answer may be lost where the push was not.
    await upstream.fetch();
    if ((await upstream.branches()).get(name) === commit) return { accepted: true } as const;
    throw error;
  });
  if (result.accepted) return;
  await say(work, { step: 'aborted' });
  throw new UserError(`upstream did not take the branch ${name}`, {
    details: result.refused.map(({ ref, reason }) => `${ref}: ${reason}`),
    remedy: 'Let the deploy key push there, and begin again.',
  });
}

/** The commit to deploy: what the release branch holds upstream now, with what was mended there meanwhile. */
async function head({ upstream, record }: Work, start: string): Promise<string> {
  const name = releaseBranch(record.version);
  const commit = (await upstream.branches()).get(name);
  if (commit === undefined) {
    throw new UserError(`the branch ${name} is gone upstream`, {
      remedy: 'Push it there again, or give the release up with --abort.',
    });
  }
  if (!(await upstream.contains(commit, start))) {
    throw new UserError(
      `the branch ${name} was rewritten upstream: ${commit.slice(0, 8)} does not contain ${start.slice(0, 8)}, the commit with the version`,
      { remedy: 'Add commits to it, but change none; or give the release up with --abort.' },
    );
  }
  return commit;
}

/** Deploys a commit to staging the way a user's push does, unless it was. @returns its build */
async function deploy(work: Work, commit: string): Promise<BuildRecord> {
  const { services, pipeline, upstream } = work;
  const { terminal, dokku, repository } = services;
  const { staging } = pipeline;
  if (!(await dokku.appExists(staging))) {
    throw new UserError(`the app ${staging} does not exist any more`, {
      remedy: `\`dokku flight-launch:setup ${pipeline.name}\` creates it again; then resume.`,
    });
  }
  await waitForDeploy(work);
  const known = await liveBuildOf(work, commit);
  if (known === undefined) {
    terminal.step(`Deploying ${commit.slice(0, 8)} to ${staging}`);
    const started = async (pid: number) =>
      say(work, {
        step: 'deploying',
        commit,
        process: await services.processes.identify(pid),
      });
    const target = await dokku.deployBranch(staging);
    // Git pushes nothing where the branch is there already, so Dokku is asked to build it.
    if ((await repository.branch(staging, target)) === commit) await dokku.receive(staging, started);
    else await upstream.deploy(staging, target, commit, started);
  }
  const build = known ?? (await liveBuildOf(work, commit));
  if (build === undefined) {
    throw new UserError(`the deploy of ${commit.slice(0, 8)} to ${staging} failed`, {
      remedy: `Commit a fix to ${releaseBranch(work.record.version)} upstream and resume; the client is built again only where it changed.`,
    });
  }
  if (lastStep(await journalOf(work), 'deployed')?.build !== build.name) {
    await say(work, { step: 'deployed', commit, build: build.name });
  }
  return build;
}

/** A deploy that an interrupted run left, or that somebody else has begun, has to be over before anyone looks. */
async function waitForDeploy({ services, pipeline: { name, staging }, record }: Work): Promise<void> {
  const { processes, releases } = services;
  const left = lastStep(await releases.journal(name, record.version), 'deploying')?.process;
  const runs = async () =>
    (left !== undefined && (await processes.isRunning(left))) ||
    (await deployUnderWay(services, staging)) !== undefined;
  await waitWhile(services, `Waiting for the deploy of ${staging} that is under way`, runs);
}

/**
 * The newest build of a commit that went live on staging and whose image is there, even if something else was deployed
 * since.
 */
async function liveBuildOf({ services, pipeline }: Work, commit: string): Promise<BuildRecord | undefined> {
  const { store, docker } = services;
  // Notes what is live now, where the hook could not.
  await findLive(services, pipeline.name, pipeline.staging, 'staging');
  const builds = (await store.builds(pipeline.name))
    .filter((build) => build.app === pipeline.staging && build.commit === commit)
    .filter((build) => build.live.staging !== undefined)
    .sort((a, b) => b.startedAt - a.startedAt);
  for (const build of builds) {
    const { captured } = build;
    if (captured !== undefined && (await docker.image(captured.reference)) !== undefined) return build;
  }
  return undefined;
}

async function buildNamed({ services, pipeline }: Work, name: string): Promise<BuildRecord> {
  const build = await services.store.build(pipeline.name, name);
  if (build === undefined) throw new UserError(`build ${name} has no record any more`);
  return build;
}

/** Whether the release waits here; a build that was held once, and resumed, does not wait again. */
async function holds(work: Work, build: BuildRecord): Promise<boolean> {
  const { services, pipeline, record } = work;
  if (!record.hold || lastStep(await journalOf(work), 'held')?.build === build.name) return false;
  await say(work, { step: 'held', build: build.name });
  const again = `dokku flight-launch:release ${record.version}`;
  services.terminal.step(
    `Held: look at ${pipeline.staging}, then \`${again} --resume --pipeline ${pipeline.name}\` or \`${again} --abort --pipeline ${pipeline.name}\``,
  );
  return true;
}

/** Puts the build on production, in a job of its own. @throws UserError where production does not run it then */
async function promote(work: Work, build: BuildRecord): Promise<void> {
  const { services, pipeline, job, buildId } = work;
  const { jobs, processes, clock } = services;
  if (!(await runsFully(services, pipeline, build.name))) {
    await refuseWhileDeployed(services, pipeline.production);
    const plan = planPromotion(await gatherFacts(services, pipeline, build));
    for (const warning of plan.warnings) services.terminal.warn(warning);
    const promotion = await createJob(services, pipeline.name, {
      kind: 'promote',
      build: build.name,
      commit: build.commit,
      within: job.id,
    });
    if (promotion.kind === 'release') throw new Error('a promote became a release');
    await say(work, { step: 'promoting', build: build.name, job: promotion.id });
    const process = await processes.identify(globalThis.process.pid);
    await jobs.append(pipeline.name, promotion.id, { format: 1, at: clock.now(), step: 'started', process });
    await putOnProduction(services, pipeline.name, promotion, buildId, { holdsLock: true });
    const ended = lastStep(await jobs.journal(pipeline.name, promotion.id), 'ended');
    if (ended?.result !== 'live') {
      throw new UserError(`${pipeline.production} did not take build ${build.name}`, {
        remedy: `Mend what stopped it: commit a fix to ${releaseBranch(work.record.version)} upstream, or change the configuration; then resume.`,
      });
    }
  }
  await say(work, { step: 'promoted', commit: build.commit, build: build.name });
}

async function end(work: Work, build: BuildRecord): Promise<void> {
  const { services, pipeline, record, job, upstream } = work;
  const { store, clock, terminal } = services;
  const told = (await store.history(pipeline.name)).some(
    (entry) => entry.kind === 'release' && entry.version === record.version && entry.commit === build.commit,
  );
  if (!told) {
    await store.appendHistory(pipeline.name, {
      format: 1,
      at: clock.now(),
      kind: 'release',
      job: job.id,
      app: pipeline.production,
      ...historyOf(build),
      version: record.version,
      by: record.by,
      result: 'live',
      durationMs: clock.now() - record.createdAt,
    });
  }
  await upstream.keep(releaseBranch(record.version), null);
  await say(work, { step: 'finished', commit: build.commit });
  terminal.step(`Release ${record.version} is done`);
}

function journalOf({ services, pipeline, record }: Work): Promise<ReleaseEntry[]> {
  return services.releases.journal(pipeline.name, record.version);
}

function say({ services, pipeline, record }: Work, entry: Entry, at = services.clock.now()): Promise<void> {
  return services.releases.append(pipeline.name, record.version, { format: 1, at, ...entry });
}
