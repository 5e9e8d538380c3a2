import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ProcessError, UserError } from '../domain/errors';
import { printable } from '../domain/paths';
import type { Source, TarSource, TreeEntry } from '../domain/ports';
import { formatBytes } from '../domain/units';
import { readIfThere, writeDurably } from './files';
import { run, stream, type Environment } from './process';

/** No system or personal configuration takes part. */
export const isolation = {
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_LITERAL_PATHSPECS: '1',
  LC_ALL: 'C',
};

/** Of `git fetch` from a folder: a commit that no ref points at any more is served only where that is allowed. */
export const serveAnyCommit = '--upload-pack=git -c uploadpack.allowAnySHA1InWant=true upload-pack';

/** Arguments of git and the environment that leads it to a repository. */
export interface GitCall {
  args: readonly string[];
  env: Environment;
}

/**
 * Makes a bare repository, or mends what a crash left of it; one that is there keeps what is in it. A repository is a
 * folder with `HEAD`, `objects` and `refs` (gitrepository-layout(5)): without `HEAD`, which comes last, git sees none.
 * No attribute of a tree changes what is read from it.
 * @param config content of its configuration file
 * @returns the folder
 */
export async function makeRepository(gitDir: string, config?: string): Promise<string> {
  for (const folder of ['objects', 'refs', 'info']) await mkdir(join(gitDir, folder), { recursive: true });
  if (config !== undefined) await have(join(gitDir, 'config'), config);
  // Comes before the attributes of the tree (gitattributes(5)).
  const attributes = '* -text !eol !working-tree-encoding -ident !filter -export-ignore -export-subst\n';
  await have(join(gitDir, 'info', 'attributes'), attributes);
  await have(join(gitDir, 'HEAD'), 'ref: refs/heads/none\n');
  return gitDir;
}

async function have(path: string, content: string): Promise<void> {
  if ((await readIfThere(path))?.toString() !== content) await writeDurably(path, content);
}

/** A commit's files, read by whatever git call leads to its repository. */
export class CommitSource implements Source {
  constructor(
    readonly commit: string,
    private readonly call: (args: readonly string[]) => Promise<GitCall>,
  ) {}

  async entry(path: string): Promise<TreeEntry | undefined> {
    if (path === '.') {
      const id = (
        await this.git(['rev-parse', '--verify', '--end-of-options', `${this.commit}^{tree}`])
      ).trim();
      return { mode: '040000', type: 'tree', id, path };
    }
    const [entry] = parseTree(await this.git(['ls-tree', '-z', '--full-tree', this.commit, '--', path]));
    return entry;
  }

  async entries(paths: readonly string[]): Promise<TreeEntry[]> {
    return parseTree(await this.git(['ls-tree', '-r', '-z', '--full-tree', this.commit, '--', ...paths]));
  }

  async read(entry: TreeEntry, maxBytes: number): Promise<Buffer> {
    const size = Number(await this.git(['cat-file', '-s', entry.id]));
    if (size > maxBytes) {
      throw new UserError(
        `${printable(entry.path)} is ${formatBytes(size)} large; at most ${formatBytes(maxBytes)} is read`,
      );
    }
    const { args, env } = await this.call(['cat-file', 'blob', entry.id]);
    const child = stream('git', args, { env });
    child.stderr.resume();
    const chunks: Buffer[] = [];
    for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
    await child.done;
    return Buffer.concat(chunks);
  }

  async archive(paths: readonly string[]): Promise<TarSource> {
    const expected = (await this.entries(paths)).filter((entry) => entry.type === 'blob').length;
    const { args, env } = await this.call(['archive', '--format=tar', this.commit, '--', ...paths]);
    const child = stream('git', args, { env });
    child.stderr.resume();
    return { stream: child.stdout, done: child.done, expected };
  }

  private async git(args: readonly string[]): Promise<string> {
    const call = await this.call(args);
    try {
      return (await run('git', ['-c', 'core.quotePath=false', ...call.args], { env: call.env })).stdout;
    } catch (error) {
      if (
        error instanceof ProcessError &&
        /not a tree object|Not a valid object name|bad object|Needed a single revision/.test(
          error.failure.stderr,
        )
      ) {
        throw new UserError(`commit ${this.commit} is not in the repository`, { cause: error });
      }
      throw error;
    }
  }
}

/** Parses `git ls-tree -z`: `<mode> <type> <id>\t<path>\0`. */
export function parseTree(output: string): TreeEntry[] {
  return output
    .split('\0')
    .filter((line) => line !== '')
    .map((line) => {
      const match =
        /^(100644|100755|120000|040000|160000) (blob|tree|commit) ([0-9a-f]{40,64})\t([^]+)$/.exec(line);
      if (match === null) throw new UserError(`git lists an entry of unknown kind: ${printable(line)}`);
      const [, mode, type, id, path] = match as unknown as [
        string,
        TreeEntry['mode'],
        TreeEntry['type'],
        string,
        string,
      ];
      return { mode, type, id, path };
    });
}
