import { execa } from 'execa';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { succeeded, type Result, type TestHost } from './host';

export interface MonorepoOptions {
  /** Folder of `test/example` that becomes `client/`. */
  client?: 'client' | 'plain-client' | 'yarn-client' | 'pnpm-client';
  /** Whether the server gets a Dockerfile. */
  dockerfile?: boolean;
}

/** A checkout of an example monorepo with a git identity and no configuration of the machine. */
export class Monorepo {
  readonly folder = mkdtempSync(join(tmpdir(), 'flight-launch-monorepo-'));

  static async create({
    client = 'plain-client',
    dockerfile = false,
  }: MonorepoOptions = {}): Promise<Monorepo> {
    const repository = new Monorepo();
    const example = (name: string) => join(process.cwd(), 'test/example', name);
    const kept = (path: string) => !/\/(node_modules|dist)(\/|$)/.test(path);
    cpSync(example(client), join(repository.folder, 'client'), { recursive: true, filter: kept });
    cpSync(example('server'), join(repository.folder, 'server'), { recursive: true, filter: kept });
    if (dockerfile)
      cpSync(example('server-dockerfile'), join(repository.folder, 'server'), { recursive: true });
    await repository.git('init', '--quiet', '--initial-branch', 'develop');
    await repository.commit('Start');
    return repository;
  }

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  read(path: string): string {
    return readFileSync(this.path(path), 'utf8');
  }

  /** Writes files, by path; null removes one. */
  write(files: Readonly<Record<string, string | null>>): void {
    for (const [path, content] of Object.entries(files)) {
      if (content === null) {
        rmSync(this.path(path), { recursive: true });
        continue;
      }
      mkdirSync(dirname(this.path(path)), { recursive: true });
      writeFileSync(this.path(path), content);
    }
  }

  /**
   * @param at when it says that it was made, where that is not now
   * @returns the commit
   */
  async commit(
    message: string,
    files: Readonly<Record<string, string | null>> = {},
    at?: Date,
  ): Promise<string> {
    this.write(files);
    await this.git('add', '--all');
    const date = at?.toISOString();
    await execa('git', ['commit', '--quiet', '--allow-empty', '--message', message], {
      cwd: this.folder,
      env: {
        ...identity,
        ...(date === undefined ? {} : { GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date }),
      },
    });
    return this.head();
  }

  head(): Promise<string> {
    return this.git('rev-parse', 'HEAD');
  }

  /** Runs git, which has to succeed; returns what it printed. */
  async git(...args: string[]): Promise<string> {
    return (await execa('git', args, { cwd: this.folder, env: identity })).stdout;
  }

  /** `git push HOST:APP HEAD:master`, or with the arguments given. */
  push(host: TestHost, app: string, ...args: string[]): Promise<Result> {
    return this.startPush(host, app, ...args).ended;
  }

  /** As `push`, but does not wait for the end. */
  startPush(host: TestHost, app: string, ...args: string[]): RunningPush {
    const refspecs = args.length === 0 ? ['HEAD:master'] : args;
    const child = execa('git', ['push', host.remote(app), ...refspecs], {
      cwd: this.folder,
      env: { ...identity, GIT_SSH_COMMAND: host.gitSsh },
      reject: false,
      all: true,
      timeout: 600_000,
    });
    // What the host printed, without git's prefix and padding.
    const plain = (all: string) => all.replace(/^remote: ?/gm, '').replace(/ +$/gm, '');
    let soFar = '';
    child.all.on('data', (chunk: Buffer) => (soFar += chunk.toString()));
    const ended = child.then(({ exitCode, all, stdout, stderr }) => ({
      status: exitCode ?? -1,
      output: plain(all),
      stdout,
      stderr,
    }));
    const until = async (pattern: RegExp) => {
      while (!pattern.test(plain(soFar))) {
        if (child.exitCode !== null || child.signalCode !== null)
          throw new Error(`the push ended without ${String(pattern)}:\n${plain(soFar)}`);
        await sleep(100);
      }
    };
    return { ended, until, kill: () => void child.kill('SIGKILL') };
  }

  /** A push that has to deploy. */
  async mustPush(host: TestHost, app: string, ...args: string[]): Promise<Result> {
    return succeeded(`git push ${app}`, await this.push(host, app, ...args));
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export interface RunningPush {
  ended: Promise<Result>;
  /** Waits for a text in what the push printed; fails where the push ends without it. */
  until(pattern: RegExp): Promise<void>;
  /** Kills the git client. */
  kill(): void;
}

const identity = {
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.invalid',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.invalid',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
};
