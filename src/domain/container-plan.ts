import { posix } from 'node:path';
import { buildLabel } from './build';
import type { ClientBuild } from './client-build';
import { UserError } from './errors';
import { printable } from './paths';

/**
 * Docker command lines of a client build, and the parsers of what they print. Nothing here runs anything.
 *
 * Nothing of the host is mounted: all files go in and out as tar streams, so that a remote engine works alike.
 */
export type Phase = 'install' | 'build';

/** Not root, and no user that an image is likely to have. */
export const buildUser = { uid: 1500, gid: 1500 };

/** Names below the root of a container's file system, as they stand in the tar streams. */
export const paths = {
  workspace: 'workspace',
  home: 'workspace/.home',
  cache: 'workspace/.cache',
  caFile: 'workspace/.ca.pem',
  /** pnpm 10 and older read this; setting it as `npm_config_store_dir` would make npm warn of an unknown option. */
  pnpmSettings: 'workspace/.home/.config/pnpm/rc',
} as const;

export const pnpmSettings = `store-dir=/${paths.cache}/pnpm\n`;

const labels = {
  pipeline: 'com.flight-launch.pipeline',
  build: buildLabel,
  kind: 'com.flight-launch.kind',
  key: 'com.flight-launch.key',
  /** Seconds since the epoch; when no owner of the container can be at work any more. */
  expires: 'com.flight-launch.expires',
};

/** Below this, one large file of a cache or a bundler is nobody's mistake. */
const minFileBytes = 1024 ** 3;
const cleanupSeconds = 600;

export function cacheVolume(pipeline: string): string {
  return `flight-launch-${pipeline}-cache`;
}

/** Repository of the images that hold a pipeline's installed dependencies; no pipeline can have such a name. */
export function installRepository(pipeline: string): string {
  return `flight-launch/install/${pipeline}`;
}

export function installImage({ pipeline, install }: ClientBuild): string {
  return `${installRepository(pipeline)}:${install.hash.slice(0, 32)}`;
}

/** Does nothing where the volume exists. */
export function createVolume({ pipeline }: ClientBuild): string[] {
  return ['volume', 'create', '--label', `${labels.pipeline}=${pipeline}`, cacheVolume(pipeline)];
}

/**
 * Prints the container's id. The command gets its environment by standard input (`environmentScript`): on a command
 * line anyone could read it, in Docker's own environment a variable such as `DOCKER_HOST` would act on Docker, and
 * as the container's configuration it would be copied into the install image. Standard error goes where standard
 * output goes: two streams would lose the order of their lines.
 * @param now milliseconds since the epoch
 */
export function createContainer(plan: ClientBuild, phase: Phase, image: string, now: number): string[] {
  const { limits } = plan;
  const expires = Math.ceil(now / 1000) + 2 * limits.timeout + cleanupSeconds;
  const option = (name: string, values: readonly string[]): string[] =>
    values.flatMap((value) => [`--${name}`, value]);
  return [
    'create',
    ...['--pull', 'never', '--interactive', '--init', '--no-healthcheck'],
    ...['--user', `${buildUser.uid}:${buildUser.gid}`],
    ...['--workdir', clientPath(plan)],
    ...['--network', hasNetwork(plan, phase) ? 'bridge' : 'none'],
    ...['--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'],
    ...['--memory', String(limits.memory), '--memory-swap', String(limits.memory)],
    ...['--cpus', String(limits.cpus), '--pids-limit', String(limits.processes)],
    ...option('ulimit', [
      'core=0',
      ...(phase === 'build' ? [`fsize=${Math.max(limits.output, minFileBytes)}`] : []),
    ]),
    ...['--log-driver', 'none'],
    '--mount',
    `type=volume,source=${cacheVolume(plan.pipeline)},target=/${paths.cache},volume-nocopy`,
    ...option('label', [
      `${labels.pipeline}=${plan.pipeline}`,
      `${labels.build}=${plan.build}`,
      `${labels.kind}=${phase}`,
      `${labels.key}=${plan.key}`,
      `${labels.expires}=${expires}`,
    ]),
    ...['--entrypoint', 'sh', image],
    ...['-c', 'eval "$(cat)"; exec sh -c "$0" </dev/null 2>&1', phaseCommand(plan, phase)],
  ];
}

export function phaseCommand(plan: ClientBuild, phase: Phase): string {
  return phase === 'install' ? plan.install.command : plan.command;
}

/** Unpacks a tar from standard input into the container's file system. */
export function copyIn(container: string): string[] {
  return ['cp', '-', `${container}:/`];
}

/** Runs the container's command; its environment is read from standard input. */
export function startContainer(container: string): string[] {
  return ['start', '--attach', '--interactive', container];
}

/** Prints an output folder as a tar whose names begin with the folder's own (`outputRoot`). */
export function copyOut(plan: ClientBuild, container: string, output: string): string[] {
  return ['cp', `${container}:${posix.join(clientPath(plan), output)}`, '-'];
}

export function outputRoot(plan: ClientBuild, output: string): string {
  return posix.basename(posix.join(clientPath(plan), output));
}

/** Whether `docker cp` failed because there is nothing at that path; engines up to 20.10 and later ones. */
export function isNothingThere(stderr: string): boolean {
  return /Could not find the file|No such container:path/i.test(stderr);
}

/** Keeps what a finished install container left as an image. Prints its id. */
export function commitContainer(plan: ClientBuild, container: string): string[] {
  return ['commit', '--pause=false', container, installImage(plan)];
}

/** With its anonymous volumes, which an image may declare. */
export function removeContainers(containers: readonly string[]): string[] {
  return ['rm', '--force', '--volumes', ...containers];
}

export interface ContainerState {
  running: boolean;
  exitCode: number;
  outOfMemory: boolean;
}

export function inspectState(container: string): string[] {
  const fields = '{{.State.Running}} {{.State.ExitCode}} {{.State.OOMKilled}}';
  return ['container', 'inspect', '--format', fields, container];
}

export function parseState(output: string): ContainerState {
  const match = /^(true|false) (-?[0-9]+) (true|false)\n$/.exec(output);
  if (match === null) throw new Error(`unknown state of a container: ${printable(output)}`);
  return { running: match[1] === 'true', exitCode: Number(match[2]), outOfMemory: match[3] === 'true' };
}

export function listContainers(pipeline: string): string[] {
  return [
    ...['container', 'ls', '--all', '--no-trunc'],
    ...['--filter', `label=${labels.pipeline}=${pipeline}`, '--filter', `label=${labels.expires}`],
    ...['--format', `{{.ID}} {{.Label "${labels.key}"}} {{.Label "${labels.expires}"}}`],
  ];
}

/**
 * Containers that a killed process left. Whoever builds a key holds its lock, so all others of that key are left;
 * of other keys those whose owner must have ended by now.
 * @param output of `listContainers`
 * @param key of the artifact whose lock the caller holds, if any
 * @param now milliseconds since the epoch
 */
export function leftContainers(output: string, key: string | undefined, now: number): string[] {
  return output
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, ofKey, expires]) => expires !== undefined && (ofKey === key || Number(expires) * 1000 < now))
    .map(([id]) => id ?? '');
}

/** Variables of a phase. Only the build phase gets those of the app; they may replace ours. */
export function phaseEnvironment(plan: ClientBuild, phase: Phase): Record<string, string> {
  const cache = `/${paths.cache}`;
  return {
    CI: 'true',
    HOME: `/${paths.home}`,
    COREPACK_ENABLE_DOWNLOAD_PROMPT: '0',
    NO_UPDATE_NOTIFIER: '1',
    npm_config_cache: `${cache}/npm`,
    YARN_CACHE_FOLDER: `${cache}/yarn`,
    YARN_GLOBAL_FOLDER: `${cache}/yarn-berry`,
    pnpm_config_store_dir: `${cache}/pnpm`,
    ...(hasNetwork(plan, phase) ? networkEnvironment(plan) : {}),
    ...(phase === 'build' ? plan.env : {}),
  };
}

/** The CA is added to those that Node trusts; npm's `cafile` and OpenSSL's variables would replace them. */
function networkEnvironment({ proxy, caFile }: ClientBuild): Record<string, string> {
  return {
    ...(proxy === undefined
      ? {}
      : { http_proxy: proxy, https_proxy: proxy, HTTP_PROXY: proxy, HTTPS_PROXY: proxy }),
    ...(caFile === undefined ? {} : { NODE_EXTRA_CA_CERTS: `/${paths.caFile}` }),
  };
}

/**
 * A shell script that sets variables; values may hold anything but NUL.
 * @throws UserError for a name that no shell can set
 */
export function environmentScript(env: Readonly<Record<string, string>>): string {
  return Object.entries(env)
    .map(([name, value]) => {
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
        throw new UserError(`"${printable(name)}" is no name of an environment variable`, {
          remedy: 'Use letters, digits and underscores in `client.env` of flight-launch.json.',
        });
      }
      return `export ${name}='${value.replaceAll("'", `'\\''`)}'\n`;
    })
    .join('');
}

/** The parts of a proxy's address that must not be shown. */
export function proxySecrets(proxy: string | undefined): string[] {
  if (proxy === undefined || !URL.canParse(proxy)) return [];
  const { username, password } = new URL(proxy);
  if (password === '') return [];
  const plain = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return [`${username}:${password}`, plain, Buffer.from(plain).toString('base64'), password].concat(
    decodeURIComponent(password),
  );
}

function clientPath({ folder }: ClientBuild): string {
  return posix.join('/', paths.workspace, folder);
}

/** The install phase fetches packages; the build phase gets the network only where the repository asks for it. */
export function hasNetwork(plan: ClientBuild, phase: Phase): boolean {
  return phase === 'install' || plan.network;
}
