import { hasCode } from './errors';

/** What may fail on a host at any time, whatever flight-launch does. */
interface HostFailure {
  codes: readonly string[];
  problem: string;
  remedy: string;
}

/** What makes room on a disk. */
export const freeSpace = 'Free some space (`flight-launch:prune` removes what is no longer needed)';

const diskFull: HostFailure = {
  codes: ['ENOSPC', 'EDQUOT'],
  problem: 'the disk is full where flight-launch keeps its data',
  remedy: `${freeSpace} and try again.`,
};

const failures: readonly HostFailure[] = [
  diskFull,
  {
    codes: ['EMFILE', 'ENFILE'],
    problem: 'too many files are open at once',
    remedy: 'Raise the limit (`ulimit -n`, or `fs.file-max` of the whole host), and try again.',
  },
  {
    codes: ['EIO', 'EROFS'],
    problem: 'the disk cannot be written where flight-launch keeps its data',
    remedy: "See what the host's kernel says of it (`dmesg`), and try again once it is mended.",
  },
];

export function isDiskFull(error: unknown): boolean {
  return has(error, diskFull);
}

/** What of the host made this fail, or undefined where it was something else. */
export function hostFailure(error: unknown): HostFailure | undefined {
  return failures.find((failure) => has(error, failure));
}

function has(error: unknown, { codes }: HostFailure): boolean {
  return codes.some((code) => hasCode(error, code));
}
