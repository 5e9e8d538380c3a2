/** A miniature host with the recording plugin, and a repository to push to it. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { containerName, leftoverName, normaliseCalls, type RawCall } from './normalise';
import type { After, Call } from './recordings';

export interface Outcome {
  code: number;
  /** Standard output and error, in one. */
  output: string;
}

/** Where an app stood before a scenario. */
export interface Standing {
  ref: string;
  latest: string;
  images: Set<string>;
  containers: Set<string>;
}

const host = resolve('test/host/host');
const settleMs = 8_000;

/** Runs a program to its end, whatever its exit status. */
export function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return new Promise((settle) => {
    execFile(
      file,
      args,
      { ...options, env: { ...process.env, ...options.env }, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 255;
        settle({ code, output: `${stdout}${stderr}${error !== null && code === 255 ? error.message : ''}` });
      },
    ).stdin?.end();
  });
}

interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
}

/** Runs a program that has to succeed. @returns what it printed, trimmed */
async function must(file: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, output } = await run(file, args, options);
  if (code !== 0) throw new Error(`${[file, ...args].join(' ')} ended with ${code}:\n${output}`);
  return output.trim();
}

export class World {
  readonly repository: string;
  private stamp = 0;
  unlock: () => void = () => undefined;

  private constructor(
    private readonly name: string,
    private readonly folder: string,
    private readonly instance: string,
    private readonly sshConfig: string,
  ) {
    this.repository = join(folder, 'repository');
  }

  static async start(): Promise<World> {
    const folder = mkdtempSync(join(tmpdir(), 'flight-launch-replay-'));
    const name = `replay-${process.pid}`;
    const plugin = join(folder, 'flight-launch');
    cpSync(resolve('test/replay/plugin'), plugin, { recursive: true, verbatimSymlinks: true });
    await makeRepository(plugin, 'master');
    const facts = await must(host, ['start', name, '--plugin', plugin]);
    const sshConfig = /^ssh-config (.+)$/m.exec(facts)?.[1];
    if (sshConfig === undefined) throw new Error(`the host told no ssh-config:\n${facts}`);
    const world = new World(name, folder, dirname(dirname(sshConfig)), sshConfig);
    cpSync(resolve('test/replay/app'), world.repository, { recursive: true });
    world.write('server/stamp', 'good 0');
    await makeRepository(world.repository, 'develop');
    return world;
  }

  async stop(): Promise<void> {
    await must(host, ['stop', this.name]);
    rmSync(this.folder, { recursive: true });
  }

  /** The app that stands for one of the recordings: hosts share one engine, which has room for one app of a name. */
  app(recorded: string): string {
    return `${this.prefix}${recorded}`;
  }

  private get prefix(): string {
    return `${this.name}-`;
  }

  // --- what a user does ---

  /** @param command of Dokku; `@NAME` in it is the app that stands for NAME */
  ssh(command: string): Promise<Outcome> {
    const here = command.replaceAll(/@([\w-]+)/g, (_, recorded: string) => this.app(recorded));
    return run('ssh', ['-F', this.sshConfig, this.name, '--', here]);
  }

  async dokku(command: string): Promise<void> {
    const { code, output } = await this.ssh(command);
    if (code !== 0) throw new Error(`dokku ${command} ended with ${code}:\n${output}`);
  }

  push(app: string, ...refspecs: string[]): Promise<Outcome> {
    return run('git', ['push', `${this.name}:${this.app(app)}`, ...refspecs], {
      cwd: this.repository,
      env: { GIT_SSH_COMMAND: `ssh -F ${this.sshConfig}` },
    });
  }

  async deploy(app: string, refspec = 'develop:master'): Promise<void> {
    const { code, output } = await this.push(app, refspec);
    if (code !== 0) throw new Error(`the push to ${app} was refused:\n${output}`);
  }

  write(path: string, text: string): void {
    writeFileSync(join(this.repository, path), `${text}\n`);
  }

  /** Commits what was written, and a stamp of its own. */
  async commit(kind: 'good' | 'bad' = 'good'): Promise<void> {
    this.stamp += 1;
    this.write('server/stamp', `${kind} ${this.stamp}`);
    await this.git('add', '--all');
    await this.git('commit', '--quiet', '--message', `Stamp ${this.stamp}`);
  }

  git(...args: string[]): Promise<string> {
    return must('git', args, { cwd: this.repository });
  }

  // --- what a user cannot see ---

  private data(path: string): string {
    return join(this.instance, 'lib/data', path);
  }

  /** Names the triggers that the recording plugin fails in. */
  fail(triggers: readonly string[]): void {
    writeFileSync(this.data('flight-launch-replay/failing'), triggers.map((one) => `${one}\n`).join(''));
  }

  /** Forgets the calls noted so far. */
  forgetCalls(): void {
    writeFileSync(this.data('flight-launch-replay/calls.ndjson'), '');
  }

  calls(): Call[] {
    const lines = readFileSync(this.data('flight-launch-replay/calls.ndjson'), 'utf8').split('\n');
    const raw = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as RawCall);
    return normaliseCalls(raw, {
      instance: this.instance,
      user: `fl-${this.name}`,
      prefix: this.prefix,
    });
  }

  /** Removes what failed deploys of an app left, so that a scenario begins without. */
  async tidy(app: string): Promise<void> {
    for (const file of this.leftoverFiles(app)) rmSync(file);
    const known = new Set(Object.values(this.containerFiles(app)));
    const stray = (await this.runningIds(app)).filter((id) => !known.has(id));
    if (stray.length > 0) await must('docker', ['container', 'rm', '--force', ...stray]);
  }

  private leftoverFiles(app: string): string[] {
    return readdirSync(this.data('.'))
      .map((plugin) => this.data(join(plugin, this.app(app))))
      .filter((folder) => existsSync(folder) && statSync(folder).isDirectory())
      .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
      .filter((file) => /\.\d+(\.missing)?$/.test(file));
  }

  /** Has another process hold the deploy lock of an app, until `unlock`. */
  async lock(app: string): Promise<void> {
    const folder = this.data(`apps/${this.app(app)}`);
    const file = join(folder, '.deploy.lock');
    mkdirSync(folder, { recursive: true });
    appendFileSync(file, '');
    const { uid, gid } = statSync(this.data('apps'));
    chownSync(file, uid, gid);
    const release = await holdLock(file);
    this.unlock = () => {
      release();
      rmSync(file, { force: true });
    };
  }

  async standing(app: string): Promise<Standing> {
    const ids = await this.runningIds(app);
    return {
      ref: await this.ref(app),
      latest: await imageId(`dokku/${this.app(app)}:latest`),
      images: new Set([...(await imagesOf(ids)).values()]),
      containers: new Set(Object.values(this.containerFiles(app))),
    };
  }

  /** What a scenario left, once the containers that were told to stop have done so. */
  async after(app: string, before: Standing, exit: number, expected: After): Promise<After> {
    const deadline = Date.now() + settleMs;
    let running = await this.running(app, before);
    while (!sameKeys(running, expected.running) && Date.now() < deadline) {
      await sleep(500);
      running = await this.running(app, before);
    }
    const latest = await imageId(`dokku/${this.app(app)}:latest`);
    const images = [...(await imagesOf(await this.runningIds(app))).values()];
    const age = (known: boolean) => (known ? 'old' : 'new');
    return {
      exit,
      ref: (await this.ref(app)) === before.ref ? 'same' : 'changed',
      latest: latest === before.latest ? 'same' : 'changed',
      latestIsRunning: images.includes(latest),
      latestStage: latest === '' ? '' : await imageLabel(latest, 'com.dokku.image-stage'),
      running,
      containerFiles: Object.fromEntries(
        Object.entries(this.containerFiles(app)).map(([name, id]) => [name, age(before.containers.has(id))]),
      ),
      gitRevIsPushed: (await this.gitRev(app)) === (await this.git('rev-parse', 'HEAD')),
      lockFile: existsSync(this.data(`apps/${this.app(app)}/.deploy.lock`)),
      leftovers: this.leftoverFiles(app)
        .map((file) => leftoverName(relative(this.data('.'), file).replace(this.prefix, '')))
        .sort(),
      build: this.lastBuild(app),
    };
  }

  private async running(app: string, before: Standing): Promise<After['running']> {
    const images = await imagesOf(await this.runningIds(app));
    return Object.fromEntries(
      [...images].map(([name, image]) => [
        containerName(name.replace(this.prefix, '')),
        before.images.has(image) ? 'old' : 'new',
      ]),
    );
  }

  private async runningIds(app: string): Promise<string[]> {
    const filters = [`com.dokku.app-name=${this.app(app)}`, `com.flight-launch.host=${this.name}`];
    const ids = await must('docker', [
      'container',
      'ls',
      '--quiet',
      '--no-trunc',
      ...filters.flatMap((label) => ['--filter', `label=${label}`]),
    ]);
    return ids.split('\n').filter((id) => id !== '');
  }

  private containerFiles(app: string): Record<string, string> {
    const folder = join(this.instance, 'home', this.app(app));
    if (!existsSync(folder)) return {};
    const names = readdirSync(folder).filter((name) => name.startsWith('CONTAINER.'));
    return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), 'utf8').trim()]));
  }

  private async ref(app: string): Promise<string> {
    const folder = join(this.instance, 'home', this.app(app));
    if (!existsSync(folder)) return '';
    return (
      await run('git', ['-c', 'safe.directory=*', '--git-dir', folder, 'rev-parse', 'refs/heads/master'])
    ).output;
  }

  private async gitRev(app: string): Promise<string> {
    return (await this.ssh(`config:get @${app} GIT_REV`)).output.trim();
  }

  private lastBuild(app: string): After['build'] {
    const folder = this.data(`builds/${this.app(app)}`);
    if (!existsSync(folder)) return null;
    const files = readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .map((name) => join(folder, name))
      .sort((one, other) => statSync(one).mtimeMs - statSync(other).mtimeMs);
    const last = files.at(-1);
    if (last === undefined) return null;
    const record = JSON.parse(readFileSync(last, 'utf8')) as NonNullable<After['build']>;
    const { kind, status, source } = record;
    return {
      kind,
      status,
      source,
      ...(record.exit_code === undefined ? {} : { exit_code: record.exit_code }),
    };
  }

  /** An image as a capture makes it: without an app's configuration, and none of Dokku's cleanup's business. */
  async capture(from: string, tag: string, change = ''): Promise<string> {
    const image = this.image(tag);
    const folder = mkdtempSync(join(this.folder, 'capture-'));
    writeFileSync(
      join(folder, 'Dockerfile'),
      `FROM ${from}\nUSER root\nRUN rm -rf /tmp/env /app/.env /app/.profile.d; ${change}\n` +
        'LABEL com.dokku.app-name=captured com.dokku.image-stage=captured\n',
    );
    await must('docker', ['build', '--quiet', '--tag', image, folder]);
    return image;
  }

  image(tag: string): string {
    return `flight-launch-replay/${this.name}:${tag}`;
  }

  tag(image: string, as: string): Promise<string> {
    return must('docker', ['tag', image, as]);
  }
}

/**
 * Has a process of its own hold an flock, which goes with it if this process ends.
 * @returns releases the lock
 */
async function holdLock(file: string): Promise<() => void> {
  const holder = spawn('flock', [file, 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  await once(holder.stdout, 'data');
  return () => holder.stdin.end();
}

async function makeRepository(folder: string, branch: string): Promise<void> {
  const git = (...args: string[]) => must('git', args, { cwd: folder });
  await git('init', '--quiet', `--initial-branch=${branch}`);
  await git('config', 'user.name', 'Test');
  await git('config', 'user.email', 'test@example.com');
  await git('add', '--all');
  await git('commit', '--quiet', '--message', 'Begin');
}

async function imageId(name: string): Promise<string> {
  return must('docker', ['image', 'ls', '--quiet', '--no-trunc', name]);
}

async function imageLabel(id: string, label: string): Promise<string> {
  return must('docker', ['image', 'inspect', '--format', `{{index .Config.Labels "${label}"}}`, id]);
}

/** Names of containers, without the leading slash, and the ids of their images. */
async function imagesOf(containers: readonly string[]): Promise<Map<string, string>> {
  if (containers.length === 0) return new Map();
  // One that ends meanwhile makes the command fail; what it prints about the others counts.
  const { output } = await run('docker', [
    'container',
    'inspect',
    '--format',
    '{{.Name}} {{.Image}}',
    ...containers,
  ]);
  const lines = output.split('\n').filter((line) => line.startsWith('/'));
  return new Map(lines.map((line) => line.slice(1).split(' ') as [string, string]));
}

function sameKeys(one: object, other: object): boolean {
  return Object.keys(one).sort().join(' ') === Object.keys(other).sort().join(' ');
}
