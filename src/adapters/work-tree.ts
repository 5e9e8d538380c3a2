import { createWriteStream } from 'node:fs';
import { lstat, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline as pipe } from 'node:stream/promises';
import { UserError } from '../domain/errors';
import type { TarSource, WorkTree } from '../domain/ports';
import { isMissing, readIfThere, syncFolder } from './files';
import { placeArtifact } from './tar';

async function keep(tar: TarSource, path: string): Promise<void> {
  const aside = `${path}.partial`;
  try {
    await pipe(tar.stream, createWriteStream(aside, { mode: 0o600, flush: true }));
    await tar.done;
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

async function place(artifact: string, root: string, folder: string): Promise<string[]> {
  let path = root;
  for (const segment of folder.split('/')) {
    path = join(path, segment);
    if (await isLink(path)) {
      throw new UserError(
        `the server's folder ${folder} is a symbolic link, so the client cannot be placed there`,
        {
          remedy: 'Make it a folder, or name another one in flight-launch.json: "server": {"public": "…"}.',
        },
      );
    }
  }
  return placeArtifact(artifact, path);
}

async function isLink(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isSymbolicLink();
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

export const workTree: WorkTree = {
  names: (folder) => readdir(folder),
  read: (folder, name) => readIfThere(join(folder, name)),
  place,
  keep,
};
