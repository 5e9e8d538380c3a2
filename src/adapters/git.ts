import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ProcessError, UserError } from '../domain/errors';
import { commitFormat, parseCommits, parseFiles, type Changes } from '../domain/changes';
import type { Repository, Source, TarSource, TreeEntry } from '../domain/ports';
import { printable } from '../domain/paths';
import { formatBytes } from '../domain/units';
import { writeDurably } from './files';
import { run, stream, type Environment } from './process';

interface Dependencies {
  /** Folder of our data. */
  root: string;
  /** Dokku's folder of apps; each app's folder is its bare repository. */
  dokkuRoot: string;
  /** Environment of children; no variable of git's. */
  env: Environment;
  /** `GIT_OBJECT_DIRECTORY` and `GIT_ALTERNATE_OBJECT_DIRECTORIES` of the push that is under way, if any. */
  quarantine: Environment;
}

/**
 * Reads commits of apps. Git runs in a repository of ours without any objects and takes those of the app (and of git's
 * quarantine, H9) through its environment, so that neither the app's git configuration nor `info/attributes` nor
 * `export-ignore`, `export-subst`, line-end conversion or filters of the tree change what is read (I37, I38).
 */
export class Git implements Repository {
  private readerMade: Promise<string> | undefined;

  constructor(private readonly uses: Dependencies) {}

  source(app: string, commit: string): Source {
    return new CommitSource(commit, (args) => this.reader(app, args));
  }

  async branch(app: string, branch: string): Promise<string | undefined> {
    // Asked for one, git lists every ref below it as well, and takes `*` for a pattern.
    const ref = `refs/heads/${branch}`;
    const args = ['for-each-ref', '--format=%(objectname) %(refname)', ref];
    try {
      const { stdout } = await run('git', args, { env: this.appEnvironment(app) });
      const line = stdout.split('\n').find((candidate) => candidate.endsWith(` ${ref}`));
      return line?.slice(0, line.indexOf(' '));
    } catch (error) {
      // Dokku may make the repository of an app only with its first push.
      if (isNoRepository(error)) return undefined;
      throw error;
    }
  }

  async keep(app: string, ref: string, commit: string): Promise<void> {
    await run('git', ['update-ref', ref, commit], { env: this.appEnvironment(app) });
  }

  async removeRef(app: string, ref: string): Promise<void> {
    try {
      await run('git', ['update-ref', '-d', ref], { env: this.appEnvironment(app) });
    } catch (error) {
      // With the app's repository all its refs are gone.
      if (!isNoRepository(error)) throw error;
    }
  }

  async has(app: string, commit: string): Promise<boolean> {
    try {
      await run('git', ['cat-file', '-e', `${commit}^{commit}`], { env: this.appEnvironment(app) });
      return true;
    } catch (error) {
      if (error instanceof ProcessError && error.failure.exitCode !== undefined) return false;
      throw error;
    }
  }

  async fetch(from: string, to: string, commit: string, ref: string): Promise<void> {
    // A commit that no ref points at any more is served only where that is allowed.
    const serve = 'git -c uploadpack.allowAnySHA1InWant=true upload-pack';
    const source = join(this.uses.dokkuRoot, from);
    await run(
      'git',
      ['fetch', '--quiet', '--no-tags', `--upload-pack=${serve}`, source, `+${commit}:${ref}`],
      {
        env: this.appEnvironment(to),
      },
    );
  }

  async moveBranch(app: string, branch: string, commit: string): Promise<void> {
    await run('git', ['update-ref', `refs/heads/${branch}`, commit], { env: this.appEnvironment(app) });
  }

  async changes([first, second]: readonly [string, string], from: string, to: string): Promise<Changes> {
    const env = {
      ...this.appEnvironment(first),
      GIT_ALTERNATE_OBJECT_DIRECTORIES: join(this.uses.dokkuRoot, second, 'objects'),
    };
    const git = async (...args: string[]): Promise<string> => (await run('git', args, { env })).stdout;
    const log = (range: string) => git('log', `--format=${commitFormat}`, '--end-of-options', range, '--');
    return {
      added: parseCommits(await log(`${from}..${to}`)),
      removed: parseCommits(await log(`${to}..${from}`)),
      files: parseFiles(await git('diff-tree', '-r', '-z', '--no-renames', '--name-status', from, to)),
    };
  }

  private appEnvironment(app: string): Environment {
    return { ...this.uses.env, GIT_DIR: join(this.uses.dokkuRoot, app), ...isolation };
  }

  private async reader(app: string, args: readonly string[]): Promise<GitCall> {
    this.readerMade ??= makeReader(join(this.uses.root, 'reader.git'));
    const gitDir = await this.readerMade;
    const objects = join(this.uses.dokkuRoot, app, 'objects');
    return {
      args,
      env: {
        ...this.uses.env,
        ...isolation,
        GIT_DIR: gitDir,
        ...(this.uses.quarantine.GIT_OBJECT_DIRECTORY === undefined
          ? { GIT_OBJECT_DIRECTORY: objects }
          : this.uses.quarantine),
      },
    };
  }
}

function isNoRepository(error: unknown): boolean {
  return error instanceof ProcessError && error.failure.stderr.includes('not a git repository');
}

/** No system or personal configuration takes part. */
const isolation = {
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_LITERAL_PATHSPECS: '1',
  LC_ALL: 'C',
};

interface GitCall {
  args: readonly string[];
  env: Environment;
}

/** A repository is a folder with `HEAD`, `objects` and `refs` (gitrepository-layout(5)). */
async function makeReader(gitDir: string): Promise<string> {
  for (const folder of ['objects', 'refs', 'info']) await mkdir(join(gitDir, folder), { recursive: true });
  // Comes before the attributes of the tree (gitattributes(5)).
  const attributes = '* -text !eol !working-tree-encoding -ident !filter -export-ignore -export-subst\n';
  await writeDurably(join(gitDir, 'info', 'attributes'), attributes);
  await writeDurably(join(gitDir, 'HEAD'), 'ref: refs/heads/none\n');
  return gitDir;
}

class CommitSource implements Source {
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
