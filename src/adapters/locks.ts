import { mkdir, open, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { exitStatus, UserError } from '../domain/errors';
import type { Clock, LockHolder, Locks, Processes, Terminal } from '../domain/ports';
import { formatAge } from '../domain/units';
import { isMissing } from './files';
import { runOnDescriptor, type Environment } from './process';

/** What `flock --nonblock` exits with where another holds the lock; told apart from its errors. */
const conflict = 75;

interface Dependencies {
  root: string;
  /** Dokku's own folder. */
  libRoot: string;
  by: string;
  env: Environment;
  clock: Clock;
  processes: Processes;
  terminal: Terminal;
}

/**
 * The lock belongs to an open file of ours: `flock(1)` only takes it on the descriptor that it inherits. So the kernel
 * frees it when this process ends in whatever way, and no child keeps it, since Node opens files close-on-exec.
 */
export class FileLocks implements Locks {
  constructor(private readonly has: Dependencies) {}

  async pipeline<T>(pipeline: string, purpose: string, work: () => Promise<T>): Promise<T> {
    const file = await this.open(pipeline, 'lock');
    try {
      if (!(await this.take(file, true))) throw await this.held(file, `pipeline ${pipeline}`);
      await this.sign(file, purpose);
      return await work();
    } finally {
      await file.close();
    }
  }

  async deploy<T>(app: string, buildId: string, work: () => Promise<T>): Promise<T> {
    const path = join(this.has.libRoot, 'data', 'apps', app, '.deploy.lock');
    const file = await this.takeDeploy(path, app);
    try {
      await file.truncate(0);
      await file.appendFile(`${buildId}\n`);
      return await work();
    } finally {
      // As Dokku does: the file's existence is what `apps:locked` tells. After `builds:cancel` or `apps:unlock` it may be
      // that of another deploy.
      if (await isThere(path, file)) await rm(path, { force: true });
      await file.close();
    }
  }

  /** Dokku removes the file when it releases the lock, so the one that was locked has to be the one that is there. */
  private async takeDeploy(path: string, app: string): Promise<FileHandle> {
    await mkdir(dirname(path), { recursive: true });
    for (;;) {
      const file = await open(path, 'a+', 0o644);
      try {
        if (!(await this.take(file, true))) {
          throw new UserError(`${app} is being deployed: another process holds its deploy lock`, {
            remedy: `Wait until that has ended and try again; \`dokku builds:list ${app}\` shows it.`,
            exit: exitStatus.locked,
          });
        }
        if (await isThere(path, file)) return file;
        await file.close();
      } catch (error) {
        await file.close();
        throw error;
      }
    }
  }

  async artifact<T>(pipeline: string, key: string, purpose: string, work: () => Promise<T>): Promise<T> {
    const file = await this.open(pipeline, artifactLock(key));
    try {
      if (!(await this.take(file, true))) {
        const holder = await readHolder(file);
        await this.has.terminal.timed(
          `Waiting for ${holder?.purpose ?? 'another build of this client'}`,
          () => this.take(file, false),
        );
      }
      await this.sign(file, purpose);
      return await work();
    } finally {
      await file.close();
    }
  }

  async tryArtifact<T>(
    pipeline: string,
    key: string,
    purpose: string,
    work: () => Promise<T>,
  ): Promise<T | undefined> {
    const file = await this.open(pipeline, artifactLock(key));
    try {
      if (!(await this.take(file, true))) return undefined;
      await this.sign(file, purpose);
      return await work();
    } finally {
      await file.close();
    }
  }

  private async open(pipeline: string, name: string): Promise<FileHandle> {
    const folder = join(this.has.root, 'pipelines', pipeline, 'locks');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return open(join(folder, name), 'a+', 0o600);
  }

  /** False where another holds it and we do not wait. */
  private async take(file: FileHandle, once: boolean): Promise<boolean> {
    const mode = once ? ['--nonblock', '--conflict-exit-code', String(conflict)] : [];
    const status = await runOnDescriptor('flock', ['--exclusive', ...mode, '3'], file.fd, this.has.env);
    if (status !== 0 && status !== conflict) throw new Error(`flock exited with ${String(status)}`);
    return status === 0;
  }

  private async sign(file: FileHandle, purpose: string): Promise<void> {
    const holder: LockHolder & { start: string | undefined } = {
      by: this.has.by,
      purpose,
      pid: process.pid,
      since: this.has.clock.now(),
      start: await this.has.processes.startOf(process.pid),
    };
    await file.truncate(0);
    await file.appendFile(`${JSON.stringify(holder)}\n`);
  }

  private async held(file: FileHandle, what: string): Promise<UserError> {
    const holder = await readHolder(file);
    const who =
      holder === undefined
        ? 'another process'
        : `${holder.by} (${holder.purpose}, ${formatAge(this.has.clock.now(), holder.since)}, process ${String(holder.pid)})`;
    return new UserError(`${what} is locked by ${who}`, {
      remedy: 'Wait until that has ended and try again.',
      exit: exitStatus.locked,
    });
  }
}

/** Whether the path still names the open file. */
async function isThere(path: string, file: FileHandle): Promise<boolean> {
  const there = await stat(path).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  return there?.ino === (await file.stat()).ino;
}

/** Files of a fixed number, since a lock's file is never removed; two keys that share one only wait for each other. */
function artifactLock(key: string): string {
  return `artifact-${key.slice(0, 2)}`;
}

const signature = z.object({ by: z.string(), purpose: z.string(), pid: z.number(), since: z.number() });

/** Undefined while the holder has not signed yet, or where a crash tore its signature. */
async function readHolder(file: FileHandle): Promise<LockHolder | undefined> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(4096), 0, 4096, 0);
  try {
    return signature.safeParse(JSON.parse(buffer.subarray(0, bytesRead).toString())).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
