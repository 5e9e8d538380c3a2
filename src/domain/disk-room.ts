/** What is free of a file system. */
export interface DiskRoom {
  /** Bytes that we may write. */
  bytes: number;
  /** Files that we may create; undefined where the file system does not count them. */
  files: number | undefined;
}

/** Bytes: with less free, a deploy would likely stop half-way. */
export const neededDisk = 256 * 1024 ** 2;

/** As `neededDisk`, for files: a server with its packages has some ten thousand. */
export const neededFiles = 20_000;

export type Shortage = 'disk' | 'files';

/**
 * What a disk has too little of for the deploy that follows, if anything. Small files use up the files that a file
 * system can have before its bytes.
 * @param room undefined where it cannot be told, as for a remote engine: that stops nothing
 */
export function shortage(room: DiskRoom | undefined): Shortage | undefined {
  if (room === undefined) return undefined;
  if (room.bytes < neededDisk) return 'disk';
  return room.files !== undefined && room.files < neededFiles ? 'files' : undefined;
}
