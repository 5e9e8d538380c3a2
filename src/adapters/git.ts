import { join } from 'node:path';
import { ProcessError } from '../domain/errors';
import { commitFormat, parseCommits, parseFiles, type Changes } from '../domain/changes';
import type { Repository, Source } from '../domain/ports';
import { namesIn } from './files';
import { CommitSource, isolation, makeRepository, serveAnyCommit, type GitCall } from './git-reading';
import { run, type Environment } from './process';

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

  has(app: string, commit: string): Promise<boolean> {
    return this.hasObject(app, commit);
  }

  async isArriving(app: string, commit: string): Promise<boolean> {
    const objects = join(this.uses.dokkuRoot, app, 'objects');
    // `incoming-*` up to git 2.34. Git takes the folder away when the push ends.
    const incoming = (await namesIn(objects)).filter((name) => /^(?:tmp_objdir-)?incoming-/.test(name));
    for (const name of incoming) {
      if (await this.hasObject(app, commit, { GIT_OBJECT_DIRECTORY: join(objects, name) })) return true;
    }
    return false;
  }

  async fetch(from: string, to: string, commit: string, ref: string): Promise<void> {
    const source = join(this.uses.dokkuRoot, from);
    await run('git', ['fetch', '--quiet', '--no-tags', serveAnyCommit, source, `+${commit}:${ref}`], {
      env: this.appEnvironment(to),
    });
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

  private async hasObject(app: string, commit: string, objects: Environment = {}): Promise<boolean> {
    try {
      const env = { ...this.appEnvironment(app), ...objects };
      await run('git', ['cat-file', '-e', `${commit}^{commit}`], { env });
      return true;
    } catch (error) {
      if (error instanceof ProcessError && error.failure.exitCode !== undefined) return false;
      throw error;
    }
  }

  private appEnvironment(app: string): Environment {
    return { ...this.uses.env, GIT_DIR: join(this.uses.dokkuRoot, app), ...isolation };
  }

  private async reader(app: string, args: readonly string[]): Promise<GitCall> {
    this.readerMade ??= makeRepository(join(this.uses.root, 'reader.git'));
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
