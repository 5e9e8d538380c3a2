import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from './adapters/clock';
import { ContainerClientBuilder } from './adapters/client-builder';
import { DockerEngine } from './adapters/docker';
import { DokkuHost } from './adapters/dokku';
import { Git } from './adapters/git';
import { FileLocks } from './adapters/locks';
import { DetachedJobs } from './adapters/jobs';
import { readInput } from './adapters/input';
import { openLog } from './adapters/log';
import { systemProcesses } from './adapters/processes';
import { FileStore } from './adapters/store';
import { FileReleases } from './adapters/releases';
import { UpstreamRepository } from './adapters/upstream';
import { accessFiles, FileUpstreamAccess, sshCommand } from './adapters/upstream-access';
import { openWorkTree } from './adapters/work-tree';
import { childEnvironment, deployEnvironment, type Environment } from './domain/environment';
import { UserError } from './domain/errors';
import type { Pipeline } from './domain/pipeline';
import type { Log, Services, Store, Terminal, Upstream } from './domain/ports';
import { effectiveSettings } from './domain/settings';
import { parseUpstreamUrl, shownUrl } from './domain/upstream-url';

export type { Services };

type ProcessEnvironment = Readonly<Record<string, string | undefined>>;

export interface DataFolder {
  root: string;
  store: Store;
  log: Log;
}

/** What is there before anything is known about who calls: our files and the log. */
export function openDataFolder(env: ProcessEnvironment, terminal: Terminal, context: object): DataFolder {
  const root = join(libRootOf(env), 'data', 'flight-launch');
  return {
    root,
    store: new FileStore(root, terminal),
    log: openLog(join(root, 'flight-launch.log'), context),
  };
}

/**
 * Hands every port its adapter.
 * @param ending aborted when this process is told to end
 * @param added variables for children beside it
 * @param env Dokku's own environment: that of the process, or the one noted before a builder changed it
 */
export function openServices(
  { root, store, log }: DataFolder,
  terminal: Terminal,
  env: ProcessEnvironment,
  ending: AbortSignal,
  added: Readonly<Record<string, string>> = {},
): Services {
  const children = { ...childEnvironment(env), ...added };
  const dokkuRoot = env.DOKKU_ROOT ?? '/home/dokku';
  const libRoot = libRootOf(env);
  const sshName = env.SSH_NAME ?? env.NAME ?? 'default';
  const docker = new DockerEngine(env.DOCKER_BIN ?? 'docker', children);
  const git = new Git({ root, dokkuRoot, env: children, quarantine: quarantineOf(env) });
  return {
    caller: { name: sshName, fingerprint: env.FINGERPRINT },
    hostName: hostname(),
    systemUser: env.DOKKU_SYSTEM_USER ?? 'dokku',
    env,
    terminal,
    log,
    clock: systemClock,
    store,
    locks: new FileLocks({
      root,
      libRoot,
      by: sshName,
      env: children,
      clock: systemClock,
      processes: systemProcesses,
      terminal,
    }),
    dokku: new DokkuHost({
      dokkuRoot,
      libRoot,
      pluginsPath: env.PLUGIN_ENABLED_PATH ?? '/var/lib/dokku/plugins/enabled',
      env: children,
      deployEnv: deployEnvironment(env),
      sshUser: env.SSH_USER ?? 'dokku',
      sshName,
    }),
    docker,
    processes: systemProcesses,
    jobs: new DetachedJobs({
      root,
      program: [process.execPath, process.argv[1] ?? ''],
      env: children,
      processes: systemProcesses,
    }),
    releases: new FileReleases(root),
    workTree: openWorkTree(root, children),
    sleep,
    clientBuilder: () => new ContainerClientBuilder(docker, terminal, systemClock, ending),
    source: (app, commit) => git.source(app, commit),
    repository: git,
    upstream: (pipeline) => openUpstream(root, dokkuRoot, children, deployEnvironment(env), pipeline),
    upstreamAccess: (pipeline) =>
      new FileUpstreamAccess({ folder: join(root, 'pipelines', pipeline), pipeline, env: children }),
    readInput: () => readInput(process.stdin),
  };
}

/** @throws UserError where the pipeline has no upstream */
function openUpstream(
  root: string,
  dokkuRoot: string,
  env: Environment,
  deployEnv: Environment,
  { name, settings }: Pipeline,
): Upstream {
  const { upstream, upstreamTimeout } = effectiveSettings(settings);
  if (upstream === undefined) {
    throw new UserError(`pipeline ${name} has no upstream`, {
      remedy: `\`dokku flight-launch:setup ${name} --upstream URL\` sets one.`,
    });
  }
  const folder = join(root, 'pipelines', name);
  const access = accessFiles(folder);
  return new UpstreamRepository({
    pipeline: name,
    gitDir: join(folder, 'repo.git'),
    url: upstream,
    shownUrl: shownUrl(parseUpstreamUrl(upstream)),
    timeoutMs: upstreamTimeout * 1000,
    env,
    transport: { GIT_SSH_COMMAND: sshCommand(access) },
    dokkuRoot,
    deployEnv,
    signingKey: access.key,
  });
}

function libRootOf(env: ProcessEnvironment): string {
  return env.DOKKU_LIB_ROOT ?? '/var/lib/dokku';
}

/** Where the objects of the push under way are (githooks(5), `pre-receive`). */
function quarantineOf(env: ProcessEnvironment): Record<string, string> {
  const objects = env.GIT_OBJECT_DIRECTORY;
  const alternates = env.GIT_ALTERNATE_OBJECT_DIRECTORIES;
  return {
    ...(objects === undefined ? {} : { GIT_OBJECT_DIRECTORY: objects }),
    ...(alternates === undefined ? {} : { GIT_ALTERNATE_OBJECT_DIRECTORIES: alternates }),
  };
}
