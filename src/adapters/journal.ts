import { appendFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { z } from 'zod';
import { parseJournal } from '../domain/journal';
import { readIfThere, syncFolder, writeDurably } from './files';
import { parsed } from './records';

/** The entries of a journal; none where there is no such file. @throws UserError where it is damaged */
export async function readJournal<E>(schema: z.ZodType<E>, path: string): Promise<E[]> {
  const text = await readIfThere(path);
  return text === undefined ? [] : parsed(path, () => parseJournal(schema, text.toString()));
}

/** Adds an entry, which survives a crash once this returns. A torn line of an earlier process is left out first. */
export async function appendToJournal<E>(schema: z.ZodType<E>, path: string, entry: E): Promise<void> {
  const before = (await readIfThere(path))?.toString() ?? '';
  const line = `${JSON.stringify(entry)}\n`;
  if (before === '' || before.endsWith('\n')) await appendFile(path, line, { mode: 0o600, flush: true });
  else {
    const whole = (await readJournal(schema, path)).map((earlier) => `${JSON.stringify(earlier)}\n`);
    await writeDurably(path, `${whole.join('')}${line}`);
  }
  await syncFolder(dirname(path));
}
