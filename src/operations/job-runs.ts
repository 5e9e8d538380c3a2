import { exitStatus, UserError, type ExitStatus } from '../domain/errors';
import { jobId, lastStep, startMs, type JobRecord } from '../domain/job';
import type { BuildRecord } from '../domain/build';
import type { Services } from '../domain/ports';
import { formatAge } from '../domain/units';

/** The job that has not ended, if any, and whether its process is still at work. */
export async function unfinishedJob(
  { jobs, processes, clock }: Services,
  pipeline: string,
): Promise<{ job: JobRecord; running: boolean } | undefined> {
  for (const job of await jobs.list(pipeline)) {
    const journal = await jobs.journal(pipeline, job.id);
    if (lastStep(journal, 'ended') !== undefined) continue;
    const started = lastStep(journal, 'started');
    const running =
      started === undefined
        ? clock.now() - job.createdAt < startMs
        : (await processes.startOf(started.process.pid)) === started.process.startedAt;
    return { job, running };
  }
  return undefined;
}

/** Settles a job that was killed, so that every command finds production either old or new and the records true. */
export async function settleInterrupted(services: Services, pipeline: string): Promise<void> {
  const unfinished = await unfinishedJob(services, pipeline);
  if (unfinished === undefined || unfinished.running) return;
  const { job } = unfinished;
  services.terminal.warn(`${job.kind} ${job.id} of build ${job.build} was interrupted; settling it first`);
  await services.jobs.settle(pipeline, job.id);
  // What cannot be settled now is tried again by the next command; until then reports go on, and no other job starts.
  if ((await services.jobs.follow(pipeline, job.id)) === undefined) {
    services.terminal.warn(`${job.kind} ${job.id} could not be settled; the next command tries again`);
  }
}

/** Starts a promote or rollback, and follows it unless told not to. */
export async function startJob(
  services: Services,
  pipeline: string,
  kind: JobRecord['kind'],
  build: BuildRecord,
  detach: boolean,
): Promise<ExitStatus | undefined> {
  const { jobs, terminal, locks } = services;
  // Told at once where another is at work. The job takes the lock itself, so it starts when we have given it back.
  const job = await locks.pipeline(pipeline, kind, () => createJob(services, pipeline, kind, build));
  await jobs.start(pipeline, job.id);
  terminal.step(`Started ${kind} ${job.id}; it goes on if this connection breaks`);
  if (!detach) return followJob(services, pipeline, job);
  terminal.detail(`follow it: dokku flight-launch:logs ${job.id} --pipeline ${pipeline} --follow`);
  return exitStatus.done;
}

/** Says whose job is in the way (exit 4). */
export function notEnded(
  { clock }: Pick<Services, 'clock'>,
  { kind, id, build, by, createdAt }: JobRecord,
): UserError {
  const since = formatAge(clock.now(), createdAt);
  return new UserError(`${kind} ${id} of build ${build}, started by ${by.name} ${since}, has not ended`, {
    remedy: 'Wait until it has and try again; `dokku flight-launch:logs` shows it.',
    exit: exitStatus.locked,
  });
}

/** @throws UserError (exit 4) where another job of the pipeline has not ended */
async function createJob(
  services: Services,
  pipeline: string,
  kind: JobRecord['kind'],
  build: BuildRecord,
): Promise<JobRecord> {
  const { jobs, clock, caller } = services;
  const unfinished = await unfinishedJob(services, pipeline);
  if (unfinished !== undefined) throw notEnded(services, unfinished.job);
  const taken = (await jobs.list(pipeline)).map((job) => job.id);
  const job: JobRecord = {
    format: 1,
    id: jobId(clock.now(), taken),
    kind,
    by: {
      name: caller.name,
      ...(caller.fingerprint === undefined ? {} : { fingerprint: caller.fingerprint }),
    },
    createdAt: clock.now(),
    build: build.name,
    commit: build.commit,
  };
  await jobs.create(pipeline, job);
  return job;
}

/** @throws UserError where the job's process went without an end */
export async function followJob({ jobs }: Services, pipeline: string, job: JobRecord): Promise<ExitStatus> {
  const status = await jobs.follow(pipeline, job.id);
  if (status !== undefined) return status;
  throw new UserError(`${job.kind} ${job.id} was interrupted`, {
    remedy: `Run \`dokku flight-launch:status ${pipeline}\`: it settles what was left.`,
    exit: exitStatus.resumable,
  });
}
