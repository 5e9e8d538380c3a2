import type { z } from 'zod';

/** An entry before it is given its format and time. */
export type Unstamped<E> = E extends unknown ? Omit<E, 'format' | 'at'> : never;

/** The last entry of a step, or undefined. */
export function lastStep<E extends { step: string }, S extends E['step']>(
  journal: readonly E[],
  step: S,
): Extract<E, { step: S }> | undefined {
  return journal.findLast((entry): entry is Extract<E, { step: S }> => entry.step === step);
}

/**
 * Parses a journal, one JSON object a line. A torn last line is what a crash left of an entry that never counted (F27);
 * a broken line before the end is damage.
 * @throws Error for damage, or for an entry of an unknown format
 */
export function parseJournal<E>(schema: z.ZodType<E>, text: string): E[] {
  const lines = text.split('\n');
  const torn = lines.pop() ?? '';
  const entries = lines.filter((line) => line !== '').map((line) => schema.parse(JSON.parse(line)));
  const last = parseLine(schema, torn);
  return last === undefined ? entries : [...entries, last];
}

/** A last line without its newline counts where it is whole. */
function parseLine<E>(schema: z.ZodType<E>, line: string): E | undefined {
  try {
    return schema.safeParse(JSON.parse(line)).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
