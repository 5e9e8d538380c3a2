import { printable } from './paths';

/** A commit as `diff` and `status` show it. */
export interface CommitLine {
  id: string;
  author: string;
  subject: string;
  /** Milliseconds since the epoch. */
  at: number;
}

/** What lies between two commits. */
export interface Changes {
  /** In the second and not in the first, the newest first. */
  added: CommitLine[];
  /** In the first and not in the second: what would go away. */
  removed: CommitLine[];
  /** Changed files with git's letter: `M`, `A`, `D`, `T`. */
  files: { path: string; status: string }[];
}

/** A commit within a sentence: `1234abcd "Its subject"`. */
export function nameCommit({ id, subject }: CommitLine): string {
  return `${id.slice(0, 8)} "${printable(subject, 60)}"`;
}

/** `git log --format` for `parseCommits`. */
export const commitFormat = '%H%x00%an%x00%s%x00%ct%x01';

/** Parses the output of `git log --format=<commitFormat>`. */
export function parseCommits(output: string): CommitLine[] {
  return output
    .split('\u0001')
    .map((record) => record.replace(/^\n/, ''))
    .filter((record) => record !== '')
    .map((record) => {
      const [id = '', author = '', subject = '', seconds = '0'] = record.split('\0');
      return { id, author, subject, at: Number(seconds) * 1000 };
    });
}

/** Parses `git diff-tree -r -z --no-renames --name-status`. */
export function parseFiles(output: string): Changes['files'] {
  const parts = output.split('\0').filter((part) => part !== '');
  const files: Changes['files'] = [];
  for (let index = 0; index + 1 < parts.length; index += 2) {
    files.push({ status: parts[index] ?? '', path: parts[index + 1] ?? '' });
  }
  return files;
}
