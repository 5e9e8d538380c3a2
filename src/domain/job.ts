import { z } from 'zod';
import { buildRecord } from './build';

const common = {
  format: z.literal(1),
  id: z.string(),
  by: buildRecord.shape.by,
  createdAt: z.number(),
};

const promotionJob = z.object({
  ...common,
  kind: z.enum(['promote', 'rollback']),
  build: z.string(),
  commit: z.string(),
  /** The job of a release that does it, whose log has its output. */
  within: z.string().optional(),
});

const releaseJob = z.object({ ...common, kind: z.literal('release'), version: z.string() });

export const jobRecord = z.discriminatedUnion('kind', [promotionJob, releaseJob]);

export type JobRecord = z.output<typeof jobRecord>;
/** Puts a build of the pipeline on production. */
export type PromotionJob = z.output<typeof promotionJob>;
/** One run of a release: its first, or one that resumes it. */
export type ReleaseJob = z.output<typeof releaseJob>;

/** What a job is about, as a sentence names it: `promote 20170415-093012 of build staging.1`. */
export function describeJob(job: JobRecord): string {
  const what = job.kind === 'release' ? `version ${job.version}` : `build ${job.build}`;
  return `${job.kind} ${job.id} of ${what}`;
}

/** A job that has not written its first entry after this long did not start. */
export const startMs = 15_000;

/** What production was before a job touched it; all that is needed to put it back. */
export const before = z.object({
  /** Id of `dokku/<app>:latest`, null where the app was never built. */
  image: z.string().nullable(),
  /** Build that it carries, null where it came some other way. */
  imageBuild: z.string().nullable(),
  /** Name of the variable that holds the revision; empty where the app has none. */
  revisionName: z.string(),
  /** Its value, null where it was not set. */
  revision: z.string().nullable(),
  /** Dokku's properties, null where not set. */
  detectedBuilder: z.string().nullable(),
  detectedPorts: z.string().nullable(),
  sourceImage: z.string().nullable(),
});

export type Before = z.output<typeof before>;

const at = z.number();
const identity = z.object({ pid: z.number(), startedAt: z.string() });

/** One line of a job's journal, synced before the step that it announces is taken. */
export const journalEntry = z.discriminatedUnion('step', [
  z.object({ format: z.literal(1), at, step: z.literal('started'), process: identity }),
  z.object({ format: z.literal(1), at, step: z.literal('noted'), before, dokkuPid: z.number() }),
  z.object({ format: z.literal(1), at, step: z.literal('releasing'), process: identity }),
  z.object({ format: z.literal(1), at, step: z.literal('released'), status: z.number() }),
  /** Some processes were switched. What told which ones the build has to have is removed from here on. */
  z.object({ format: z.literal(1), at, step: z.literal('switching-back') }),
  z.object({ format: z.literal(1), at, step: z.literal('putting-back'), process: identity }),
  z.object({
    format: z.literal(1),
    at,
    step: z.literal('ended'),
    /** The first four are a promotion's, the others a release's. */
    result: z.enum(['live', 'put-back', 'mixed', 'refused', 'released', 'held', 'stopped', 'interrupted']),
    exit: z.union([z.literal(0), z.literal(1), z.literal(3), z.literal(4)]),
  }),
]);

export type JournalEntry = z.output<typeof journalEntry>;
export type JournalStep = JournalEntry['step'];

/** `20170415-093012`, `-2` and so on where the name is taken; UTC. */
export function jobId(now: number, taken: readonly string[]): string {
  const first = new Date(now)
    .toISOString()
    .replace(/\.\d+Z$/, '')
    .replaceAll(/[-:]/g, '')
    .replace('T', '-');
  for (let number = 1; ; number++) {
    const id = number === 1 ? first : `${first}-${number}`;
    if (!taken.includes(id)) return id;
  }
}
