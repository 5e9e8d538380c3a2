import { z } from 'zod';
import { buildRecord } from './build';

/** A promote or rollback: puts a build of the pipeline on production. */
export const jobRecord = z.object({
  format: z.literal(1),
  id: z.string(),
  kind: z.enum(['promote', 'rollback']),
  by: buildRecord.shape.by,
  createdAt: z.number(),
  build: z.string(),
  commit: z.string(),
});

export type JobRecord = z.output<typeof jobRecord>;

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
  z.object({ format: z.literal(1), at, step: z.literal('putting-back'), process: identity }),
  z.object({
    format: z.literal(1),
    at,
    step: z.literal('ended'),
    result: z.enum(['live', 'put-back', 'mixed', 'refused']),
    exit: z.union([z.literal(0), z.literal(1), z.literal(3), z.literal(4)]),
  }),
]);

export type JournalEntry = z.output<typeof journalEntry>;
export type JournalStep = JournalEntry['step'];

/** The last entry of a step, or undefined. */
export function lastStep<S extends JournalStep>(
  journal: readonly JournalEntry[],
  step: S,
): Extract<JournalEntry, { step: S }> | undefined {
  return journal.findLast((entry): entry is Extract<JournalEntry, { step: S }> => entry.step === step);
}

/**
 * Parses a journal. A torn last line is what a crash left of an entry that never counted (F27); a broken line before
 * the end is damage.
 * @throws Error for damage, or for an entry of an unknown format
 */
export function parseJournal(text: string): JournalEntry[] {
  const lines = text.split('\n');
  const torn = lines.pop() ?? '';
  const entries = lines.filter((line) => line !== '').map((line) => journalEntry.parse(JSON.parse(line)));
  const last = parseLine(torn);
  return last === undefined ? entries : [...entries, last];
}

/** A last line without its newline counts where it is whole. */
function parseLine(line: string): JournalEntry | undefined {
  try {
    return journalEntry.safeParse(JSON.parse(line)).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

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
