import { execa } from 'execa';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface Result {
  status: number;
  /** Standard output and error, in the order in which they came. */
  output: string;
  stdout: string;
  stderr: string;
}

/**
 * A Dokku host as its users reach it: by ssh, git and HTTP. A miniature one of its own, or the real one that
 * `FLIGHT_LAUNCH_HOST` names (an ssh host alias of Dokku's user; `<alias>-admin` is a root shell there). A real one is
 * taken for this suite alone: the plugin is installed anew, and everything of it is removed at the end.
 */
export class TestHost {
  readonly #apps = new Set<string>();
  readonly #pipelines = new Set<string>();
  readonly #furtherPlugins = new Set<string>();

  private constructor(
    /** Alias for ssh and git. */
    readonly alias: string,
    private readonly sshConfig: string | undefined,
    private readonly remove: () => Promise<void>,
    readonly isReal: boolean,
  ) {}

  /**
   * @param name unique among the test files, since they run side by side; app names begin with it
   */
  static async start(name: string): Promise<TestHost> {
    const real = process.env.FLIGHT_LAUNCH_HOST;
    const host =
      real === undefined || real === ''
        ? await TestHost.miniature(name)
        : new TestHost(real, undefined, () => Promise.resolve(), true);
    await host.installPlugin();
    return host;
  }

  /** One without the plugin. */
  static async miniature(name: string): Promise<TestHost> {
    const script = join(process.cwd(), 'test/host/host');
    const { stdout } = await execa(script, ['start', name]);
    const config = /^ssh-config (.*)$/m.exec(stdout)?.[1];
    if (config === undefined) throw new Error(`no ssh-config in: ${stdout}`);
    // Also where the runner ends this file: an exit handler cannot wait.
    const stop = () => void execFileSync(script, ['stop', name], { stdio: ['ignore', 'ignore', 'inherit'] });
    process.once('exit', stop);
    const remove = () => {
      process.removeListener('exit', stop);
      stop();
      return Promise.resolve();
    };
    return new TestHost(name, config, remove, false);
  }

  /** Removes all that the tests made. */
  async stop(): Promise<void> {
    for (const plugin of this.#furtherPlugins) await this.uninstallPlugin(plugin);
    if (this.isReal) {
      // What a pipeline stored belongs to the engine, and would be found again by the next test.
      for (const pipeline of this.#pipelines) await this.dokku('flight-launch:unlink', pipeline);
      for (const app of this.#apps) await this.dokku('apps:destroy', '--force', app);
      await this.admin('dokku plugin:uninstall flight-launch; rm -rf "$DOKKU_LIB_ROOT/data/flight-launch"');
    }
    await this.remove();
  }

  /** `ssh HOST …` as a user does it: the words joined by spaces, as ssh does. */
  dokku(...words: string[]): Promise<Result> {
    return this.dokkuWith({}, ...words);
  }

  async dokkuWith({ input = '' }: { input?: string }, ...words: string[]): Promise<Result> {
    for (const [index, word] of words.entries()) {
      if (word === 'apps:create' || word === 'apps:clone' || word === 'apps:rename')
        this.#apps.add(words.at(-1) ?? '');
      if (word === 'flight-launch:setup') this.#notePipeline(words.slice(index + 1));
    }
    return result(await execa('ssh', [...this.sshOptions(), this.alias, ...words], { ...common, input }));
  }

  /** As `dokku`, but a failure is an error that shows what was printed. */
  async must(...words: string[]): Promise<Result> {
    return succeeded(words.join(' '), await this.dokku(...words));
  }

  /** A root shell on the host, for what an administrator does there. */
  async admin(script: string, input?: string | Buffer): Promise<Result> {
    const prelude =
      'export DOKKU_ROOT="${DOKKU_ROOT:-/home/dokku}" DOKKU_LIB_ROOT="${DOKKU_LIB_ROOT:-/var/lib/dokku}"\n';
    const child = execa('ssh', [...this.sshOptions(), `${this.alias}-admin`, `${prelude}${script}`], {
      ...common,
      ...(input === undefined ? {} : { input }),
    });
    return result(await child);
  }

  /** As `admin`, but a failure is an error; returns standard output without its last newline. */
  async mustAdmin(script: string, input?: string | Buffer): Promise<string> {
    return succeeded(script, await this.admin(script, input)).stdout.replace(/\n$/, '');
  }

  /** `flight-launch:status` of a pipeline, as machines read it. */
  async status(pipeline: string): Promise<Record<'staging' | 'production', StageStatus>> {
    const { stdout } = await this.must('flight-launch:status', pipeline, '--format', 'json');
    const { apps } = JSON.parse(stdout) as { apps: StageStatus[] };
    const of = (stage: string) => {
      const found = apps.find((app) => app.stage === stage);
      if (found === undefined) throw new Error(`no ${stage} in ${stdout}`);
      return found;
    };
    return { staging: of('staging'), production: of('production') };
  }

  /** The `GIT_SSH_COMMAND` under which git reaches this host. */
  get gitSsh(): string {
    return ['ssh', ...this.sshOptions()].join(' ');
  }

  /** What a remote of the app is called on this host. */
  remote(app: string): string {
    return `${this.alias}:${app}`;
  }

  /** Starts ssh as a process of its own, to kill it or to leave its output unread. */
  spawnDokku(...words: string[]) {
    return execa('ssh', [...this.sshOptions(), this.alias, ...words], { reject: false, buffer: false });
  }

  /** The address of an app, as its deploy printed it last. */
  url(deployOutput: string): string {
    const url = /Application deployed:[^]*?(http:\/\/\S+)/.exec(deployOutput)?.[1];
    if (url === undefined) throw new Error(`no address in the output of the deploy:\n${deployOutput}`);
    return url;
  }

  private sshOptions(): string[] {
    return this.sshConfig === undefined ? [] : ['-F', this.sshConfig];
  }

  #notePipeline(words: readonly string[]): void {
    const name = words.find((word) => !word.startsWith('--'));
    if (name === undefined) return;
    this.#pipelines.add(name);
    const named = (option: string, fallback: string) =>
      words.includes(option) ? (words[words.indexOf(option) + 1] ?? fallback) : fallback;
    this.#apps.add(named('--staging', `${name}-staging`));
    this.#apps.add(named('--production', name));
  }

  /** Installs the plugin as it stands in this checkout, committed or not, the way an administrator would: from git. */
  async installPlugin(): Promise<void> {
    const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'])
      .toString()
      .split('\0')
      .filter((path) => path !== '' && !/^(test|src|docs|scripts|node_modules)\//.test(path));
    const tar = execFileSync('tar', ['--create', '--ignore-failed-read', ...files], {
      maxBuffer: 256 * 1024 * 1024,
    });
    await this.installFromGit('flight-launch', tar);
  }

  /**
   * Installs another plugin, that of an administrator's own, until `stop` or `uninstallPlugin`.
   * @param files content by path; all but `plugin.toml`, which is added, are executable
   */
  async installFurtherPlugin(name: string, files: Readonly<Record<string, string>>): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), 'flight-launch-plugin-'));
    try {
      for (const [path, content] of Object.entries(files)) {
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        writeFileSync(join(folder, path), content, { mode: 0o755 });
      }
      writeFileSync(
        join(folder, 'plugin.toml'),
        `[plugin]\ndescription = "for a test"\nversion = "0.0.1"\n[plugin.config]\n`,
      );
      this.#furtherPlugins.add(name);
      await this.installFromGit(name, execFileSync('tar', ['--create', '--directory', folder, '.']));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  async uninstallPlugin(name: string): Promise<Result> {
    this.#furtherPlugins.delete(name);
    return succeeded(`plugin:uninstall ${name}`, await this.admin(`dokku plugin:uninstall ${name}`));
  }

  private async installFromGit(name: string, tar: Buffer): Promise<void> {
    await this.mustAdmin(
      `set -e
      folder=$(mktemp -d)
      trap 'rm -rf "$folder"' EXIT
      chmod 755 "$folder"
      cd "$folder"
      tar --extract --no-same-owner
      git init --quiet .
      git add --all
      git -c user.name=test -c user.email=test@example.invalid commit --quiet --message plugin
      if dokku plugin:list | grep -q '^ *${name} '; then dokku plugin:uninstall ${name}; fi
      dokku plugin:install "file://$folder" --name ${name}
      # Where the host has no domain, Dokku has just written the nginx.conf of every app as root, for root alone: it
      # could clone and rename none of them until their next deploy.
      find "$DOKKU_ROOT" -mindepth 2 -maxdepth 2 -name nginx.conf -exec chown --reference="$DOKKU_ROOT" {} +`,
      tar,
    );
  }
}

/** An app of a pipeline, as `flight-launch:status --format json` shows it. */
export interface StageStatus {
  stage: string;
  app: string;
  exists: boolean;
  state: 'not-deployed' | 'build' | 'foreign' | 'mixed';
  build: string | null;
  commit: string | null;
  by: { name: string; fingerprint?: string } | null;
  liveAt: string | null;
  processes: { process: string; running: boolean; build: string | null }[];
  deployBranch: string | null;
  underWay: string | null;
}

const common = { reject: false, all: true, stripFinalNewline: false, timeout: 600_000 } as const;

interface Ran {
  exitCode?: number | undefined;
  all: string;
  stdout: string;
  stderr: string;
}

function result({ exitCode, all, stdout, stderr }: Ran): Result {
  return { status: exitCode ?? -1, output: all, stdout, stderr };
}

/** @throws Error that shows what was printed, where the status is not 0 */
export function succeeded(what: string, ran: Result): Result {
  if (ran.status !== 0) throw new Error(`\`${what}\` exited with ${ran.status}:\n${ran.output}`);
  return ran;
}

/** Name of the build in the output of a push. @throws Error where there is none */
export function buildIn({ output }: Result): string {
  const build = /flight-launch: build (\S+) of pipeline/.exec(output)?.[1];
  if (build === undefined) throw new Error(`no build in:\n${output}`);
  return build;
}

export interface Response {
  status: number;
  body: string;
}

/** One HTTP request, no redirects followed, no connection kept. */
export function get(url: string): Promise<Response> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { agent: false, timeout: 30_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
      );
      response.on('error', reject);
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`${url} did not answer in 30 s`)));
    outgoing.on('error', reject);
    outgoing.end();
  });
}
