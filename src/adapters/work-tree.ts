import { createWriteStream } from 'node:fs';
import { chmod, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline as pipe } from 'node:stream/promises';
import type { TarSource, WorkTree } from '../domain/ports';
import { readIfThere, roomOf, syncFolder } from './files';
import { run, type Environment } from './process';
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

async function unpacked<T>(env: Environment, path: string, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'flight-launch-'));
  try {
    // Triggers of other plugins read it, as they read Dokku's own trees.
    await chmod(folder, 0o755);
    await run('tar', ['--extract', '--no-same-owner', `--directory=${folder}`, `--file=${path}`], { env });
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * @param root folder of our data
 * @param env environment of children
 */
export function openWorkTree(root: string, env: Environment): WorkTree {
  return {
    read: (folder, name) => readIfThere(join(folder, name)),
    place: placeArtifact,
    keep,
    unpacked: (path, work) => unpacked(env, path, work),
    freeDisk: async () => (await roomOf(root)).bytes,
  };
}
