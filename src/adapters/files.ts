import { randomUUID } from 'node:crypto';
import { open, readdir, readFile, rename, rm, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { DiskRoom } from '../domain/disk-room';
import { hasCode } from '../domain/errors';

/** Whether a file operation failed because the file is not there. ESRCH is what `/proc` says of a process just gone. */
export function isMissing(error: unknown): boolean {
  return hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR') || hasCode(error, 'ESRCH');
}

/** Names in a folder; none where there is no such folder. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** The content, or undefined where there is no such file. */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/**
 * Writes a file so that after a crash there is either the old content or the new, whole: written aside, fsynced,
 * renamed, and the folder fsynced, without which the rename itself may be lost (F29).
 */
export async function writeDurably(path: string, content: string, mode = 0o600): Promise<void> {
  const aside = `${path}.${randomUUID()}.partial`;
  try {
    const file = await open(aside, 'wx', mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Makes sure that what was created, renamed or removed in a folder survives a crash. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** What is free of the file system that a folder is on. */
export async function roomOf(folder: string): Promise<DiskRoom> {
  const { bavail, bsize, files, ffree } = await statfs(folder);
  return { bytes: bavail * bsize, files: files === 0 ? undefined : ffree };
}
