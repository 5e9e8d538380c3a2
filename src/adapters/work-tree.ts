import { createWriteStream } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline as pipe } from 'node:stream/promises';
import type { TarSource, WorkTree } from '../domain/ports';
import { readIfThere, syncFolder } from './files';
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

export const workTree: WorkTree = {
  names: (folder) => readdir(folder),
  read: (folder, name) => readIfThere(join(folder, name)),
  place: placeArtifact,
  keep,
};
