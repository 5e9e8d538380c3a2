import {
  configurationFile,
  maxConfigurationBytes,
  parseConfiguration,
  type Configuration,
} from '../domain/configuration';
import { UserError } from '../domain/errors';
import { printable } from '../domain/paths';
import type { Source, TreeEntry } from '../domain/ports';

/** The settings that a commit brings along. @throws UserError that lists every mistake */
export async function readConfiguration(source: Source): Promise<Configuration> {
  const entry = await source.entry(configurationFile);
  return parseConfiguration(await readText(source, entry, maxConfigurationBytes));
}

/** The text of a file, undefined where there is none. @throws UserError where it is no regular file or too large */
export async function readText(
  source: Source,
  entry: TreeEntry | undefined,
  maxBytes: number,
): Promise<string | undefined> {
  if (entry === undefined) return undefined;
  if (entry.mode !== '100644' && entry.mode !== '100755') {
    throw new UserError(`${printable(entry.path)} is not a regular file`, {
      remedy: 'Commit the file itself.',
    });
  }
  return (await source.read(entry, maxBytes)).toString('utf8');
}
