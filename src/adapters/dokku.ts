import { access, constants, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { appRepository, type StartedImage } from '../domain/app-image';
import { hasCode, ProcessError, UserError } from '../domain/errors';
import type { Dokku } from '../domain/ports';
import { isMissing, namesIn } from './files';
import { run, runInSession, type Environment } from './process';
import { commandLines } from './processes';

interface Dependencies {
  /** Dokku's folder of apps. */
  dokkuRoot: string;
  /** Dokku's folder of data. */
  libRoot: string;
  /** Folder of the enabled plugins. */
  pluginsPath: string;
  /** Environment of children, Dokku's settings included; no state of the command that called us. */
  env: Environment;
  /** The same for a deploy of its own, in which our hooks take part as in a user's push. */
  deployEnv: Environment;
  /** System user and name of the ssh key, as Dokku hands them to `user-auth`. */
  sshUser: string;
  sshName: string;
}

/**
 * Triggers where Dokku has one, else its command line: both are its public interface, while the files behind them are
 * not (docs/development/plugin-creation.md of Dokku).
 */
export class DokkuHost implements Dokku {
  constructor(private readonly has: Dependencies) {}

  async appExists(app: string): Promise<boolean> {
    try {
      await this.trigger('app-exists', app);
      return true;
    } catch (error) {
      if (isRefusal(error)) return false;
      throw error;
    }
  }

  async createApp(app: string): Promise<void> {
    await this.dokku('apps:create', app);
  }

  async deployBranch(app: string): Promise<string> {
    return (await this.trigger('git-deploy-branch', app)).trim();
  }

  async setDeployBranch(app: string, branch: string): Promise<void> {
    await this.dokku('git:set', app, 'deploy-branch', branch);
  }

  async setBuildDir(app: string, folder: string): Promise<void> {
    await this.dokku('builder:set', app, 'build-dir', ...(folder === '.' ? [] : [folder]));
  }

  async buildDir(app: string): Promise<string> {
    const ofApp = await this.property('builder', app, 'build-dir');
    const folder = ofApp ?? (await this.property('builder', '--global', 'build-dir')) ?? '';
    return folder.replace(/^\/+|\/+$/g, '');
  }

  async scheduler(app: string): Promise<string> {
    return (await this.trigger('scheduler-detect', app)).trim() || 'docker-local';
  }

  async startedImage(app: string): Promise<StartedImage> {
    const answer = async (name: string) => (await this.trigger(name, app)).trim();
    return {
      server: await answer('deployed-app-repository'),
      repository: (await answer('deployed-app-image-repo')) || appRepository(app),
      pushedTag: (await answer('deployed-app-image-tag')) || undefined,
    };
  }

  async property(plugin: string, app: string, key: string): Promise<string | null> {
    const value = await this.withProperties('fn-plugin-property-get "$@"', plugin, app, key);
    return value.replace(/\n$/, '') || null;
  }

  async setProperty(plugin: string, app: string, key: string, value: string | null): Promise<void> {
    if (value === null) await this.withProperties('fn-plugin-property-delete "$@"', plugin, app, key);
    else await this.withProperties('fn-plugin-property-write "$@"', plugin, app, key, value);
  }

  async setConfig(app: string, name: string, value: string | null): Promise<void> {
    // Not its command: who may promote need not be allowed to configure the app.
    const call = value === null ? 'config_unset' : 'config_set';
    const script = `set -eo pipefail; source "$PLUGIN_AVAILABLE_PATH/config/functions"; ${call} --no-restart "$@"`;
    await this.bash(script, app, value === null ? name : `${name}=${value}`);
  }

  async revisionVariable(app: string): Promise<string> {
    // Set to nothing means that the app has none (docs/deployment/methods/git.md of Dokku).
    const script = 'fn-plugin-property-get-default git "$1" rev-env-var GIT_REV';
    return (await this.withProperties(script, app)).replace(/\n$/, '');
  }

  async processes(app: string, dokkuPid: number): Promise<string[]> {
    const ofDeploy = { ...this.has.env, DOKKU_PID: String(dokkuPid) };
    const ask = async (name: string, ...args: string[]) =>
      (await run('plugn', ['trigger', name, ...args], { env: ofDeploy, cwd: this.has.dokkuRoot })).stdout;
    const answered = (answer: Promise<string>) =>
      answer.catch((error: unknown) => {
        if (isRefusal(error)) return undefined;
        throw error;
      });
    const hasProcfile = (await answered(ask('procfile-exists', app))) !== undefined;
    const names: string[] = [];
    for (const line of (await ask('ps-current-scale', app)).split('\n')) {
      const [type = '', count = '0'] = line.trim().split('=');
      if (type === '') continue;
      // Dokku refuses to tell a command of a type that is scaled but not in the Procfile, and starts none.
      const command = hasProcfile ? await answered(ask('procfile-get-command', app, type, '5000')) : type;
      if (command === undefined || command.trim() === '') continue;
      for (let index = 1; index <= Number(count); index++) names.push(`${type}.${index}`);
    }
    return names;
  }

  async newBuildId(): Promise<string> {
    return (await this.trigger('builds-generate-id')).trim();
  }

  async ownPorts(app: string): Promise<string> {
    await this.trigger('ports-configure', app);
    const port = (await this.trigger('ports-get-property', app, 'proxy-port')).trim();
    return `http:${port}:5000`;
  }

  async setDetected(app: string, builder: string, ports: string): Promise<void> {
    await this.trigger('builder-set-property', app, 'detected', builder);
    await this.trigger('ports-set-detected', app, ports);
  }

  async announceTree(app: string, tree: string, commit: string): Promise<void> {
    await run('plugn', ['trigger', 'core-post-extract', app, tree, commit], { env: this.has.env, cwd: tree });
  }

  async setDeploySource(app: string, type: string, metadata: string): Promise<void> {
    await this.trigger('deploy-source-set', app, type, metadata);
  }

  release(app: string, started: (pid: number) => Promise<void>): Promise<number> {
    return this.deployTrigger(['release-and-deploy', app, 'latest', 'deploy'], started);
  }

  redeploy(app: string, started: (pid: number) => Promise<void>): Promise<number> {
    return this.deployTrigger(['deploy', app, 'latest'], started);
  }

  async isReleasing(app: string): Promise<boolean> {
    // Dokku keeps no record of a restart; what tells of it is the process of the trigger, which goes on alone when the
    // command that called it is killed.
    return (await commandLines()).some((line) =>
      line.some((word, index) => this.isReleaseTrigger(word) && line[index + 1] === app),
    );
  }

  async receive(app: string, started: (pid: number) => Promise<void>): Promise<number> {
    // Called by itself, the trigger finds neither: they are given to a command of Dokku when that begins.
    const env = {
      ...this.has.deployEnv,
      DOKKU_PID: String(process.pid),
      DOKKU_BUILD_ID: await this.newBuildId(),
    };
    return runInSession('plugn', ['trigger', 'receive-app', app], { env, cwd: this.has.dokkuRoot }, started);
  }

  async removeLeftovers(app: string, dokkuPid: number): Promise<void> {
    const data = join(this.has.libRoot, 'data');
    for (const plugin of await namesIn(data)) {
      // A template of the proxy lies in `app-<app>` (contract of `core-post-extract`'s files).
      for (const folder of [join(data, plugin, app), join(data, plugin, `app-${app}`)]) {
        const left = (await namesIn(folder)).filter((name) => name.split('.').includes(String(dokkuPid)));
        for (const name of left) await rm(join(folder, name), { recursive: true, force: true });
      }
    }
  }

  async config(app: string): Promise<Readonly<Record<string, string>>> {
    const output = await this.trigger('config-export', app, 'false', 'true', 'json');
    return JSON.parse(output) as Record<string, string>;
  }

  async containers(app: string): Promise<{ process: string; id: string }[]> {
    const folder = join(this.has.dokkuRoot, app);
    const found: { process: string; id: string }[] = [];
    for (const name of await namesIn(folder)) {
      const process = /^CONTAINER\.([A-Za-z0-9_-]+\.[0-9]+)$/.exec(name)?.[1];
      if (process === undefined) continue;
      const id = await containerId(join(folder, name));
      if (id !== undefined) found.push({ process, id });
    }
    return found.sort((a, b) => a.process.localeCompare(b.process, 'en', { numeric: true }));
  }

  async authorize(command: string, apps: readonly string[]): Promise<void> {
    if (await this.implemented('user-auth')) {
      for (const app of apps) {
        await this.trigger('user-auth', this.has.sshUser, this.has.sshName, command, app).catch(
          (error: unknown) => {
            throw isRefusal(error) ? denied(command, app) : error;
          },
        );
      }
    }
    if (await this.implemented('user-auth-app')) {
      const visible = (
        await this.trigger('user-auth-app', this.has.sshUser, this.has.sshName, ...apps)
      ).split(/\s+/);
      const hidden = apps.find((app) => !visible.includes(app));
      if (hidden !== undefined) throw denied(command, hidden);
    }
  }

  private isReleaseTrigger(path: string): boolean {
    return (
      path.startsWith(`${this.has.pluginsPath}/`) && ['release-and-deploy', 'deploy'].includes(basename(path))
    );
  }

  /** Whether an access-control plugin answers a trigger. `20_events` only records, as Dokku itself sees it. */
  private async implemented(trigger: string): Promise<boolean> {
    for (const plugin of await namesIn(this.has.pluginsPath)) {
      if (plugin !== '20_events' && (await isExecutable(join(this.has.pluginsPath, plugin, trigger))))
        return true;
    }
    return false;
  }

  /** @throws ProcessError where the trigger fails */
  private async trigger(name: string, ...args: string[]): Promise<string> {
    return (await run('plugn', ['trigger', name, ...args], { env: this.has.env, cwd: this.has.dokkuRoot }))
      .stdout;
  }

  private deployTrigger(args: readonly string[], started: (pid: number) => Promise<void>): Promise<number> {
    return runInSession(
      'plugn',
      ['trigger', ...args],
      { env: this.has.env, cwd: this.has.dokkuRoot },
      started,
    );
  }

  /** Dokku's property functions are for bash alone (`property-functions` of its plugin `common`). */
  private async withProperties(call: string, ...args: string[]): Promise<string> {
    const script = `set -eo pipefail; source "$PLUGIN_CORE_AVAILABLE_PATH/common/property-functions"; ${call}`;
    return this.bash(script, ...args);
  }

  private async bash(script: string, ...args: string[]): Promise<string> {
    const { env, dokkuRoot: cwd } = this.has;
    return (await run('bash', ['-c', script, 'bash', ...args], { env, cwd })).stdout;
  }

  private async dokku(...args: string[]): Promise<void> {
    await this.dokkuPrints(...args);
  }

  private async dokkuPrints(...args: string[]): Promise<string> {
    try {
      const { stdout } = await run('dokku', ['--quiet', ...args], {
        env: this.has.env,
        cwd: this.has.dokkuRoot,
      });
      return stdout.trim();
    } catch (error) {
      if (!(error instanceof ProcessError)) throw error;
      const said = `${error.failure.stdout}\n${error.failure.stderr}`
        .split('\n')
        .map((line) => line.replace(/^[ !>=-]*/, ''));
      throw new UserError(`\`dokku ${args.join(' ')}\` failed`, {
        details: said.filter((line) => line !== ''),
        cause: error,
      });
    }
  }
}

/** The trigger ran and said no, as opposed to could not be run. */
function isRefusal(error: unknown): boolean {
  return error instanceof ProcessError && error.failure.exitCode !== undefined;
}

function denied(command: string, app: string): UserError {
  return new UserError(`you may not run ${command} on ${app}`, {
    remedy: 'Ask the administrator of this host for access to that app.',
  });
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch (error) {
    if (isMissing(error) || hasCode(error, 'EACCES')) return false;
    throw error;
  }
}

/** Undefined where a deploy removed the file meanwhile. */
async function containerId(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim() || undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
