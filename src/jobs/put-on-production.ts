import { appImage, namesPushedBefore, pushRepository } from '../domain/app-image';
import { historyOf, type BuildRecord, type HistoryEntry } from '../domain/build';
import { holdsConfigurationOfOthers, isConfiguration } from '../domain/captured-image';
import { exitStatus, UserError } from '../domain/errors';
import type { Before, JournalEntry, PromotionJob } from '../domain/job';
import { lastStep, type Unstamped } from '../domain/journal';
import { howFar } from '../domain/promotion';
import type { Services } from '../domain/ports';
import { explain, explainInJob } from '../operations/explain';
import {
  appContainers,
  imageBuild,
  noteLive,
  runsFully,
  waitForReleases,
  waitWhile,
} from '../operations/live';
import { applyRetention, findRemovable, promotedRef } from '../operations/retention';
import { noteBefore, putBack } from './put-back';

type Result = keyof typeof exits;
type Entry = Unstamped<JournalEntry>;

type Ended = Extract<Entry, { step: 'ended' }>;

/** A job with what it works on. */
interface Work {
  services: Services;
  pipeline: string;
  app: string;
  job: PromotionJob;
  record: BuildRecord;
  buildId: string;
  journal: readonly JournalEntry[];
  /** Whether the job was killed before: then it is ended or put back, and nothing is begun. */
  settling: boolean;
}

const buildSourceType = 'flight-launch';

/**
 * Puts a build on production and says how it ended; the body of a promote and of a rollback.
 * @param settling for a job that was killed: whatever was switched by then decides whether it is ended or put back, and
 * what was not begun is not begun any more, since whoever asked for it may have thought better of it
 * @param holdsLock whether the caller has the pipeline's lock already
 */
export async function putOnProduction(
  services: Services,
  pipeline: string,
  job: PromotionJob,
  buildId: string,
  { settling = false, holdsLock = false } = {},
): Promise<void> {
  const { locks, jobs, terminal } = services;
  const work = () => promoteLocked(services, pipeline, job, buildId, settling);
  try {
    await (holdsLock ? work() : locks.pipeline(pipeline, `${job.kind} ${job.id}`, work));
  } catch (error) {
    if (
      settling ||
      !(error instanceof UserError) ||
      lastStep(await jobs.journal(pipeline, job.id), 'noted') !== undefined
    ) {
      throw error;
    }
    // Nothing was touched yet.
    explain(terminal, error);
    const exit = error.exit === exitStatus.locked ? 4 : 1;
    await append(services, pipeline, job.id, { step: 'ended', result: 'refused', exit });
  }
}

async function promoteLocked(
  services: Services,
  pipeline: string,
  job: PromotionJob,
  buildId: string,
  settling: boolean,
): Promise<void> {
  const { store, locks, jobs } = services;
  const journal = await jobs.journal(pipeline, job.id);
  const { production: app } = await store.pipeline(pipeline);
  const record = await store.build(pipeline, job.build);
  if (record === undefined) throw new UserError(`build ${job.build} has no record any more`);
  const work: Work = { services, pipeline, app, job, record, buildId, journal, settling };
  await waitForOwnRelease(services, journal);
  const ended = await locks.deploy(app, buildId, () => run(work));
  if (ended.result === 'live' && job.kind === 'promote') await prune(work);
  // Only now: a job that was killed before this is settled once more, which takes away what it left of the lock.
  await say(work, ended);
}

/** What is kept too long is no reason to tell of a promote that it failed. */
async function prune({ services, pipeline, job }: Work): Promise<void> {
  try {
    await applyRetention(services, pipeline, await findRemovable(services, pipeline));
  } catch (error) {
    services.terminal.warn(`flight-launch: not all old builds could be removed: ${asError(error).message}`);
    services.log.error({ err: error }, `${job.kind} ${job.id}: old builds stay`);
  }
}

async function run(work: Work): Promise<Ended> {
  const { services, pipeline, app, journal, job, record, settling } = work;
  const told = (await services.store.history(pipeline)).find((line) => line.job === job.id);
  if (told !== undefined) return endedAs(told.result);
  const noted = lastStep(journal, 'noted');
  if (noted !== undefined) return conclude(work, noted.before, noted.dokkuPid);
  if (settling) {
    services.terminal.warn(`flight-launch: the ${job.kind} was interrupted before it changed anything`);
    return endedAs('refused');
  }
  await waitForReleases(services, app);
  if (await runsFully(services, await services.store.pipeline(pipeline), record.name)) {
    services.terminal.step(`${app} is on build ${record.name} already; nothing to do`);
    return endedAs('live');
  }
  const before = await noteBefore(work);
  await say(work, { step: 'noted', before, dokkuPid: process.pid });
  const failed = await release(work, before).then(() => undefined, asError);
  if (failed !== undefined) explainInJob(services, `${job.kind} ${job.id}`, failed);
  return conclude(work, before, process.pid);
}

/** A killed job leaves Dokku's release running in its own session; what it does has to be over before anyone looks. */
async function waitForOwnRelease(services: Services, journal: readonly JournalEntry[]): Promise<void> {
  const started = [lastStep(journal, 'releasing'), lastStep(journal, 'putting-back')].filter(
    (entry) => entry !== undefined,
  );
  for (const { process: child } of started) {
    await waitWhile(services, 'Waiting for the release that the interrupted job had begun', () =>
      services.processes.isRunning(child),
    );
  }
}

async function release(work: Work, { revisionName, sourceImage }: Before): Promise<void> {
  const { services, pipeline, app, record } = work;
  const { dokku, store, terminal } = services;
  const { captured } = record;
  if (captured === undefined) throw new UserError(`build ${record.name} has no image`);
  terminal.header(`Putting build ${record.name} on ${app}`);
  // It would take Procfile and app.json from an image.
  if (sourceImage !== null) await dokku.setProperty('git', app, 'source-image', null);
  await services.workTree.unpacked(store.serverTreePath(pipeline, record.name), (tree) =>
    dokku.announceTree(app, tree, record.commit),
  );
  if (revisionName !== '') await dokku.setConfig(app, revisionName, record.commit);
  await nameImage(work, captured.image);
  // A herokuish app names no port, whatever an earlier version noted.
  const named = captured.builder === 'herokuish' ? '' : captured.ports;
  await dokku.setDetected(app, captured.builder, named || (await dokku.ownPorts(app)));
  const status = await dokku.release(app, (pid) => announce(work, 'releasing', pid));
  await say(work, { step: 'released', status });
}

/** Gives the build the name that Dokku releases. */
async function nameImage({ services, app, record }: Work, image: string): Promise<void> {
  const { docker, dokku, terminal } = services;
  const pushed = pushRepository(await dokku.startedImage(app)) !== undefined;
  if (!pushed || !holdsConfigurationOfOthers(record, app)) return docker.tag(image, appImage(app));
  await terminal.timed(
    `Taking the configuration of ${record.app} out of all layers, since they are pushed`,
    () => docker.tagWithout(image, isConfiguration, appImage(app)),
  );
}

/** Ends the job by what the containers run: nothing else tells how far a release got (H20, H24). */
async function conclude(work: Work, before: Before, dokkuPid: number): Promise<Ended> {
  const { services, pipeline, app, job } = work;
  await waitForReleases(services, app);
  const journal = await services.jobs.journal(pipeline, job.id);
  const succeeded = lastStep(journal, 'released')?.status === 0;
  const containers = await appContainers(services, app);
  // A release that succeeded started all that it had to; it also does where it lacked the image, and started nothing.
  const expected = succeeded && containers.length > 0 ? [] : await services.dokku.processes(app, dokkuPid);
  const image = succeeded ? await imageBuild(services, app) : undefined;
  const got = howFar(containers, expected, job.build, image);
  switch (got === 'all' && lastStep(journal, 'switching-back') !== undefined ? 'some' : got) {
    case 'all':
      return finish(work, containers.length > 0);
    case 'none':
      await putBack(work, before, dokkuPid);
      return end(work, 'put-back', `${app} goes on with the version that it had.`);
    case 'some':
      return switchBack(work, before, dokkuPid);
  }
}

async function finish(work: Work, runs: boolean): Promise<Ended> {
  const { services, pipeline, app, record } = work;
  const { dokku, repository, store, terminal } = services;
  const { staging } = await store.pipeline(pipeline);
  const ref = promotedRef(record.name);
  // Later `ps:rebuild`, `ps:rebuild --all` and `apps:rename` build the branch (H25).
  if (await repository.has(app, record.commit)) await repository.keep(app, ref, record.commit);
  else await repository.fetch(staging, app, record.commit, ref);
  await repository.moveBranch(app, await dokku.deployBranch(app), record.commit);
  await dokku.setDeploySource(app, buildSourceType, record.name);
  await noteLive(services, pipeline, 'production', record);
  await untagFormer(work);
  terminal.step(
    runs
      ? `Build ${record.name} is live on ${app}`
      : `Build ${record.name} is on ${app}, all of whose processes are scaled to 0: nothing runs`,
  );
  return end(work, 'live', undefined);
}

/**
 * Dokku removes an image some time after its containers, but not one of several names, as those are that it pushed. A
 * build of the app would remove them, and production is not built.
 */
async function untagFormer({ services, app }: Work): Promise<void> {
  const { docker, dokku } = services;
  const started = await dokku.startedImage(app);
  const pushedTo = pushRepository(started);
  if (pushedTo === undefined) return;
  const names = [...(await docker.imagesOf(pushedTo)), ...(await docker.imagesOf(started.repository))];
  for (const name of new Set(namesPushedBefore(started, names))) {
    // Apps may share a repository.
    if ((await docker.image(name))?.labels['com.dokku.app-name'] === app) await docker.untag(name);
  }
}

/** Some processes were switched: the former version is started for all of them again. */
async function switchBack(work: Work, before: Before, dokkuPid: number): Promise<Ended> {
  const { services, app, job } = work;
  const { dokku, terminal } = services;
  await say(work, { step: 'switching-back' });
  // Without a former version the tag stays with what runs.
  if (before.image === null) await dokku.removeLeftovers(app, dokkuPid);
  else {
    await putBack(work, before, dokkuPid);
    terminal.step(`Some processes of ${app} were switched already: starting the former version again`);
    await dokku.redeploy(app, (pid) => announce(work, 'putting-back', pid));
    await dokku.removeLeftovers(app, dokkuPid);
    if (howFar(await appContainers(services, app), [], job.build) === 'none') {
      return end(work, 'put-back', `${app} is back on the version that it had.`);
    }
  }
  const containers = await appContainers(services, app);
  const missing = (await dokku.processes(app, dokkuPid)).filter(
    (name) => !containers.some(({ process }) => process === name),
  );
  const running = [
    ...containers.map(
      ({ process, build }) =>
        `${process}: ${build ?? 'a version that was not deployed through flight-launch'}`,
    ),
    ...missing.map((process) => `${process}: nothing`),
  ];
  return end(
    work,
    'mixed',
    `${app} runs a mixture: ${running.join(', ')}. Promote or push a build that passes its checks.`,
  );
}

const exits = { live: 0, 'put-back': 1, mixed: 3, refused: 1 } as const;

function endedAs(result: Result): Ended {
  return { step: 'ended', result, exit: exits[result] };
}

async function end(
  work: Work,
  result: Exclude<Result, 'refused'>,
  message: string | undefined,
): Promise<Ended> {
  const { services, pipeline, app, job, record } = work;
  const { store, clock, terminal } = services;
  if (message !== undefined) terminal.warn(`flight-launch: the ${job.kind} failed. ${message}`);
  const entry: HistoryEntry = {
    format: 1,
    at: clock.now(),
    kind: job.kind,
    job: job.id,
    app,
    ...historyOf(record),
    by: job.by,
    result,
    durationMs: clock.now() - job.createdAt,
  };
  await store.appendHistory(pipeline, entry);
  return endedAs(result);
}

async function announce(work: Work, step: 'releasing' | 'putting-back', pid: number): Promise<void> {
  await say(work, { step, process: await work.services.processes.identify(pid) });
}

function say({ services, pipeline, job }: Work, entry: Entry): Promise<void> {
  return append(services, pipeline, job.id, entry);
}

function append({ jobs, clock }: Services, pipeline: string, job: string, entry: Entry): Promise<void> {
  return jobs.append(pipeline, job, { format: 1, at: clock.now(), ...entry });
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
