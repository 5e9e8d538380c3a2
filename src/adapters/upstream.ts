import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commitFormat, parseCommits, type CommitLine } from '../domain/changes';
import { ProcessError, UserError } from '../domain/errors';
import {
  noAnswer,
  parseBranches,
  parseMergeTree,
  parseRefusal,
  parseTags,
  upstreamError,
} from '../domain/git-answers';
import { printable } from '../domain/paths';
import type {
  CommitSpec,
  Identity,
  Merge,
  PushResult,
  RefUpdate,
  Source,
  TagSpec,
  Upstream,
} from '../domain/ports';
import { formatLimit } from '../domain/units';
import { CommitSource, isolation, makeRepository, serveAnyCommit } from './git-reading';
import { run, runInSession, runWithin, type Environment, type Finished, type RunOptions } from './process';

export interface UpstreamDependencies {
  /** For the remedies of errors. */
  pipeline: string;
  /** The bare repository; made on first use. */
  gitDir: string;
  url: string;
  /** Without a password. */
  shownUrl: string;
  /** How long the other side may take for one fetch or push, in milliseconds. */
  timeoutMs: number;
  /** Environment of children; no variable of git's. */
  env: Environment;
  /** What git needs to reach the other side (`GIT_SSH_COMMAND`). */
  transport: Environment;
  /** `GIT_ALLOW_PROTOCOL` (git(1)): what a URL may make git start (I76). */
  protocols?: string;
  /** Dokku's folder of apps; each app's folder is its bare repository. */
  dokkuRoot: string;
  /** Environment of a user's own push to Dokku; no variable of git's. */
  deployEnv: Environment;
  /** Private key for signatures. */
  signingKey: string;
}

/**
 * No `gc`: it could remove what another process has made and not kept yet, and a release adds a few dozen objects. An
 * object may be noted in a journal as soon as it has its id, so that git has to write all of them through to the disk.
 */
const config = `[core]
	repositoryFormatVersion = 0
	bare = true
	fsync = committed
	hooksPath = /dev/null
[gc]
	auto = 0
[maintenance]
	auto = false
[protocol]
	version = 2
[http]
	lowSpeedLimit = 1000
	lowSpeedTime = 60
`;

/** The remote, and the variables that name its URL: in an argument any user of this host could read its password. */
const remote = 'upstream';
const remoteUrl = (url: string) => ({
  GIT_CONFIG_COUNT: '1',
  GIT_CONFIG_KEY_0: `remote.${remote}.url`,
  GIT_CONFIG_VALUE_0: url,
});

const heads = 'refs/upstream/heads/';
const tags = 'refs/upstream/tags/';

export class UpstreamRepository implements Upstream {
  private made: Promise<unknown> | undefined;

  constructor(private readonly uses: UpstreamDependencies) {}

  async fetch(): Promise<void> {
    const options = ['--quiet', '--prune', '--no-tags', '--no-write-fetch-head', '--no-recurse-submodules'];
    const refspecs = [`+refs/heads/*:${heads}*`, `+refs/tags/*:${tags}*`];
    await this.reach(['fetch', ...options, '--end-of-options', remote, ...refspecs]).catch(
      (error: unknown) => {
        throw this.explained(error);
      },
    );
  }

  async branches(): Promise<ReadonlyMap<string, string>> {
    return parseBranches(await this.git(['for-each-ref', '--format=%(objectname) %(refname)', heads]), heads);
  }

  async tags(): Promise<ReadonlyMap<string, { object: string; commit: string }>> {
    // Exits with 1 where there is no ref at all.
    const { stdout } = await this.ask(['show-ref', '--dereference'], [1]);
    return parseTags(stdout, tags);
  }

  async has(commit: string): Promise<boolean> {
    const name = `${commit}^{commit}`;
    const { status } = await this.ask(['rev-parse', '--verify', '--quiet', '--end-of-options', name], [1]);
    return status === 0;
  }

  async contains(descendant: string, ancestor: string): Promise<boolean> {
    const commits = ['--end-of-options', ancestor, descendant];
    return (await this.ask(['merge-base', '--is-ancestor', ...commits], [1])).status === 0;
  }

  async between(from: string, to: string): Promise<CommitLine[]> {
    return this.log([], `${from}..${to}`);
  }

  async take(app: string, commit: string): Promise<void> {
    const options = [
      '--quiet',
      '--no-tags',
      '--no-write-fetch-head',
      '--no-recurse-submodules',
      serveAnyCommit,
    ];
    const refspec = `+${commit}:refs/flight-launch/taken/${commit}`;
    const from = join(this.uses.dokkuRoot, app);
    try {
      await this.git(['fetch', ...options, '--end-of-options', from, refspec], {
        env: { GIT_ALLOW_PROTOCOL: 'file' },
      });
    } catch (error) {
      if (!(
        error instanceof ProcessError && /not our ref|couldn't find remote ref/.test(error.failure.stderr)
      ))
        throw error;
      throw new UserError(`commit ${commit} is not in the repository of ${app}`, {
        remedy: `Push it to ${app} again.`,
        cause: error,
      });
    }
  }

  source(commit: string): Source {
    return new CommitSource(commit, async (args) => {
      await this.repository();
      return { args, env: this.environment() };
    });
  }

  async merge(ours: string, theirs: string): Promise<Merge> {
    const options = ['--write-tree', '-z', '--name-only', '--messages'];
    const args = ['merge-tree', ...options, '--end-of-options', ours, theirs];
    const { status, stdout, stderr } = await this.ask(args, [1]);
    // Exits with 1 for conflicts, but then there is a tree, and for a commit that is not here.
    if (stdout === '') throw new Error(`git cannot merge ${theirs} into ${ours}: ${printable(stderr)}`);
    const { tree, conflicts } = parseMergeTree(stdout);
    if (status === 0) return { tree };
    const found = [];
    for (const path of conflicts) {
      found.push({
        path,
        ours: await this.log(['--max-count=3'], `${theirs}..${ours}`, path),
        theirs: await this.log(['--max-count=3'], `${ours}..${theirs}`, path),
      });
    }
    return { conflicts: found };
  }

  async treeWith(commit: string, files: ReadonlyMap<string, Buffer>): Promise<string> {
    const source = this.source(commit);
    const lines: string[] = [];
    for (const [path, content] of files) {
      const entry = await source.entry(path);
      if (entry?.path !== path || !entry.mode.startsWith('100')) {
        throw new Error(`${printable(path)} is no file of commit ${commit}`);
      }
      const id = (await this.git(['hash-object', '-w', '--stdin'], { input: content })).trim();
      lines.push(`${entry.mode} ${id}\t${path}\0`);
    }
    const folder = await mkdtemp(join(tmpdir(), 'flight-launch-index-'));
    try {
      const env = { GIT_INDEX_FILE: join(folder, 'index') };
      await this.git(['read-tree', '--end-of-options', commit], { env });
      await this.git(['update-index', '-z', '--index-info'], { env, input: lines.join('') });
      return (await this.git(['write-tree'], { env })).trim();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async commit({ tree, parents, message, by, at, sign }: CommitSpec): Promise<string> {
    const signing = ['-c', 'gpg.format=ssh', '-c', `user.signingKey=${this.uses.signingKey}`];
    const args = [...(sign ? [...signing, 'commit-tree', '-S'] : ['commit-tree']), '-F', '-'];
    const lineage = parents.flatMap((parent) => ['-p', parent]);
    const options = { env: identity(by, at), input: ended(message) };
    return (await this.git([...args, ...lineage, tree], options)).trim();
  }

  async tag({ name, commit, message, by, at, sign }: TagSpec): Promise<string> {
    // Cleans a name as `git commit-tree` does.
    const tagger = (await this.git(['var', 'GIT_COMMITTER_IDENT'], { env: identity(by, at) })).trim();
    const header = `object ${commit}\ntype commit\ntag ${name}\ntagger ${tagger}\n`;
    const unsigned = `${header}\n${ended(message)}`;
    const signature = sign ? await this.signature(unsigned) : '';
    return (await this.git(['mktag'], { input: unsigned + signature })).trim();
  }

  async keep(name: string, object: string | null): Promise<void> {
    const ref = `refs/flight-launch/${name}`;
    await this.git(object === null ? ['update-ref', '-d', ref] : ['update-ref', ref, object]);
  }

  async push(updates: readonly RefUpdate[], dryRun = false): Promise<PushResult> {
    const args = [
      'push',
      ...[
        '--porcelain',
        '--atomic',
        '--no-verify',
        '--no-signed',
        '--no-follow-tags',
        '--recurse-submodules=no',
      ],
      ...(dryRun ? ['--dry-run'] : []),
      ...updates.map(({ ref, from }) => `--force-with-lease=${ref}:${from ?? ''}`),
      ...['--end-of-options', remote],
      ...updates.map(({ ref, to }) => `${to ?? ''}:${ref}`),
    ];
    try {
      await this.reach(args);
      return { accepted: true };
    } catch (error) {
      const refusal =
        error instanceof ProcessError && !error.failure.timedOut
          ? parseRefusal(error.failure.stdout, error.failure.stderr)
          : undefined;
      if (refusal !== undefined) return refusal;
      throw this.explained(error);
    }
  }

  async deploy(
    app: string,
    branch: string,
    commit: string,
    started: (pid: number) => Promise<void>,
  ): Promise<number> {
    await this.repository();
    const own = { GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null', GIT_ALLOW_PROTOCOL: 'file' };
    // Dokku gets none of these; git itself takes `GIT_DIR` away.
    const unset = Object.keys(own).map((name) => `-u ${name}`);
    const receive = `--receive-pack=env ${unset.join(' ')} git receive-pack`;
    const options = ['--no-verify', '--no-signed', '--no-follow-tags', '--recurse-submodules=no', receive];
    const target = join(this.uses.dokkuRoot, app);
    // Of a push git lowers the protocol itself, but not where the other side's program has another name.
    const push = ['-c', 'protocol.version=0', 'push', ...options, '--end-of-options'];
    const args = [...push, target, `+${commit}:refs/heads/${branch}`];
    const env = { ...this.uses.deployEnv, ...own, GIT_DIR: this.uses.gitDir };
    return runInSession('git', args, { env, cwd: this.uses.gitDir }, started);
  }

  private async signature(text: string): Promise<string> {
    const args = ['-Y', 'sign', '-n', 'git', '-f', this.uses.signingKey];
    return (await run('ssh-keygen', args, { env: this.uses.env, input: text })).stdout;
  }

  private async log(options: readonly string[], range: string, ...paths: string[]): Promise<CommitLine[]> {
    const args = ['log', `--format=${commitFormat}`, ...options, '--end-of-options', range, '--', ...paths];
    return parseCommits(await this.git(args));
  }

  /** @throws ProcessError */
  private async reach(args: readonly string[]): Promise<Finished> {
    await this.repository();
    const { timeoutMs, transport, url, protocols = 'ssh:https' } = this.uses;
    return runWithin(timeoutMs, 'git', args, {
      env: {
        ...this.environment(),
        ...transport,
        ...remoteUrl(url),
        GIT_ALLOW_PROTOCOL: protocols,
        // Nobody is there to answer.
        GIT_TERMINAL_PROMPT: '0',
        GIT_ASKPASS: '/bin/false',
      },
    });
  }

  private explained(error: unknown): unknown {
    if (!(error instanceof ProcessError)) return error;
    if (error.failure.timedOut) return noAnswer(this.uses, formatLimit(this.uses.timeoutMs));
    return upstreamError(this.uses, error.failure.stderr);
  }

  /** Runs git here. @returns what it printed @throws ProcessError */
  private async git(args: readonly string[], options: Partial<RunOptions> = {}): Promise<string> {
    return (await this.ask(args, [], options)).stdout;
  }

  /** As `git`, where exit statuses other than 0 are answers, too. */
  private async ask(
    args: readonly string[],
    awaited: readonly number[],
    { env = {}, ...options }: Partial<RunOptions> = {},
  ): Promise<Finished> {
    await this.repository();
    return run('git', args, { ...options, env: { ...this.environment(), ...env } }, awaited);
  }

  private environment(): Environment {
    return { ...this.uses.env, ...isolation, GIT_DIR: this.uses.gitDir };
  }

  private async repository(): Promise<void> {
    this.made ??= makeRepository(this.uses.gitDir, config);
    await this.made;
  }
}

function ended(message: string): string {
  return message.endsWith('\n') ? message : `${message}\n`;
}

function identity({ name, email }: Identity, at: number): Environment {
  const date = `@${String(Math.floor(at / 1000))} +0000`;
  return {
    GIT_AUTHOR_NAME: name,
    GIT_AUTHOR_EMAIL: email,
    GIT_AUTHOR_DATE: date,
    GIT_COMMITTER_NAME: name,
    GIT_COMMITTER_EMAIL: email,
    GIT_COMMITTER_DATE: date,
  };
}
