import type { z } from 'zod';
import { UserError } from '../domain/errors';
import { readIfThere, writeDurably } from './files';

/**
 * One JSON object of a file, or undefined where there is no such file.
 * @throws UserError where the file holds something else
 */
export async function readRecord<T>(schema: z.ZodType<T>, path: string): Promise<T | undefined> {
  const text = await readIfThere(path);
  return text === undefined ? undefined : parsed(path, () => schema.parse(JSON.parse(text.toString())));
}

export async function writeRecord(path: string, value: object): Promise<void> {
  await writeDurably(path, `${JSON.stringify(value, undefined, 2)}\n`);
}

/** @throws UserError that names the file where its content cannot be parsed */
export function parsed<T>(path: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new UserError(`${path} is damaged, or was written by another version of flight-launch`, {
      remedy: 'Update the plugin, or move that file away and run the command again.',
      cause,
    });
  }
}
