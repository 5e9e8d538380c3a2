import { exitStatus, UserError, type ExitStatus } from '../domain/errors';
import {
  describeJob,
  jobId,
  startMs,
  type JobRecord,
  type PromotionJob,
  type ReleaseJob,
} from '../domain/job';
import { lastStep } from '../domain/journal';
import type { Services } from '../domain/ports';
import { formatAge } from '../domain/units';
import { callerOf } from './caller';

/** What a job is about; the rest of its record is the same for all. */
export type NewJob =
  Pick<PromotionJob, 'kind' | 'build' | 'commit' | 'within'> | Pick<ReleaseJob, 'kind' | 'version'>;

/** A job without an end, and whether its process is still at work. */
export interface UnfinishedJob {
  job: JobRecord;
  running: boolean;
}

/** The jobs that have not ended, the oldest first: at most one, but for a release and the promote within it. */
export async function unfinishedJobs(
  { jobs, processes, clock }: Services,
  pipeline: string,
): Promise<UnfinishedJob[]> {
  const unfinished: UnfinishedJob[] = [];
  for (const job of await jobs.list(pipeline)) {
    const journal = await jobs.journal(pipeline, job.id);
    if (lastStep(journal, 'ended') !== undefined) continue;
    const started = lastStep(journal, 'started');
    const running =
      started === undefined
        ? clock.now() - job.createdAt < startMs
        : await processes.isRunning(started.process);
    unfinished.push({ job, running });
  }
  return unfinished;
}

/** The job that has not ended, if any. */
export async function unfinishedJob(
  services: Services,
  pipeline: string,
): Promise<UnfinishedJob | undefined> {
  return (await unfinishedJobs(services, pipeline))[0];
}

/** Settles what was killed, so that every command finds production either old or new and the records true. */
export async function settleInterrupted(services: Services, pipeline: string): Promise<void> {
  const unfinished = await unfinishedJobs(services, pipeline);
  if (unfinished.some(({ running }) => running)) return;
  for (const { job } of unfinished) {
    if (job.kind === 'release') await settleRelease(services, pipeline, job);
    else await settlePromotion(services, pipeline, job);
  }
}

async function settlePromotion(services: Services, pipeline: string, job: PromotionJob): Promise<void> {
  const { jobs, terminal } = services;
  terminal.warn(`${describeJob(job)} was interrupted; settling it first`);
  await jobs.settle(pipeline, job.id);
  // What cannot be settled now is tried again by the next command; until then reports go on, and no other job starts.
  // Not on standard output, which may be read by a machine.
  if ((await jobs.follow(pipeline, job.id, 2)) === undefined) {
    terminal.warn(`${job.kind} ${job.id} could not be settled; the next command tries again`);
  }
}

/** A release has its own journal, from which it is resumed on demand: somebody may have thought better of it. */
async function settleRelease(
  { jobs, clock, terminal }: Services,
  pipeline: string,
  job: ReleaseJob,
): Promise<void> {
  terminal.warn(`${describeJob(job)} was interrupted`);
  terminal.warn(`Go on with it: dokku flight-launch:release ${job.version} --resume --pipeline ${pipeline}`);
  await jobs.append(pipeline, job.id, {
    format: 1,
    at: clock.now(),
    step: 'ended',
    result: 'interrupted',
    exit: exitStatus.resumable,
  });
}

/**
 * Starts a job, and follows it unless told not to.
 * @param prepare checks and writes, under the lock of the pipeline, and tells what the job is about
 * @throws UserError (exit 4) where another job of the pipeline has not ended
 */
export async function startJob(
  services: Services,
  pipeline: string,
  kind: JobRecord['kind'],
  detach: boolean,
  prepare: () => Promise<NewJob>,
): Promise<ExitStatus | undefined> {
  const { jobs, terminal, locks } = services;
  // Told at once where another is at work. The job takes the lock itself, so it starts when we have given it back.
  const job = await locks.pipeline(pipeline, kind, async () => {
    await refuseWhileUnfinished(services, pipeline);
    return createJob(services, pipeline, await prepare());
  });
  await jobs.start(pipeline, job.id);
  terminal.step(`Started ${kind} ${job.id}; it goes on if this connection breaks`);
  if (!detach) return followJob(services, pipeline, job);
  terminal.detail(`follow it: dokku flight-launch:logs ${job.id} --pipeline ${pipeline} --follow`);
  return exitStatus.done;
}

/** @throws UserError (exit 4) where a job of the pipeline has not ended */
export async function refuseWhileUnfinished(services: Services, pipeline: string): Promise<void> {
  const unfinished = await unfinishedJob(services, pipeline);
  if (unfinished !== undefined) throw notEnded(services, unfinished.job);
}

/** Says whose job is in the way (exit 4). */
export function notEnded({ clock }: Pick<Services, 'clock'>, job: JobRecord): UserError {
  const since = formatAge(clock.now(), job.createdAt);
  return new UserError(`${describeJob(job)}, started by ${job.by.name} ${since}, has not ended`, {
    remedy: 'Wait until it has and try again; `dokku flight-launch:logs` shows it.',
    exit: exitStatus.locked,
  });
}

/** Writes the record of a new job, for the caller of this process. */
export async function createJob(services: Services, pipeline: string, about: NewJob): Promise<JobRecord> {
  const { jobs, clock } = services;
  const taken = (await jobs.list(pipeline)).map((job) => job.id);
  const job: JobRecord = {
    format: 1,
    id: jobId(clock.now(), taken),
    by: callerOf(services),
    createdAt: clock.now(),
    ...about,
  };
  await jobs.create(pipeline, job);
  return job;
}

/** @throws UserError where the job's process went without an end */
export async function followJob({ jobs }: Services, pipeline: string, job: JobRecord): Promise<ExitStatus> {
  const status = await jobs.follow(pipeline, job.id);
  if (status !== undefined) return status;
  throw new UserError(`${job.kind} ${job.id} was interrupted`, {
    remedy:
      job.kind === 'release'
        ? `Go on with it: \`dokku flight-launch:release ${job.version} --resume --pipeline ${pipeline}\`.`
        : `Run \`dokku flight-launch:status ${pipeline}\`: it settles what was left.`,
    exit: exitStatus.resumable,
  });
}
