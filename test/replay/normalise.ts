/** Replaces what differs from run to run by the recordings' placeholders. */
import type { Call } from './recordings';

/** A call as the recording plugin notes it: with its whole environment. */
export type RawCall = Omit<Call, 'envNames'>;

export interface HostNames {
  /** Folder of the miniature host, which holds `home`, `lib` and `bin`. */
  instance: string;
  user: string;
  /** Of the names of its apps. */
  prefix: string;
}

/** Variables of shells, and of the miniature host itself, which the recordings leave out too. */
const ownVariables = /^(_|SHLVL|OLDPWD|HOST_\w+)$/;

/** Calls of the miniature host in the terms of the recordings. */
export function normaliseCalls(calls: readonly RawCall[], host: HostNames): Call[] {
  const pids = new Map<string, string>();
  const builds = new Set<string>();
  for (const { env } of calls) {
    const { DOKKU_PID: pid, DOKKU_BUILD_ID: build } = env;
    if (pid !== undefined && !pids.has(pid)) pids.set(pid, `{PID${pids.size + 1}}`);
    if (build !== undefined) builds.add(build);
  }
  const text = (value: string): string => {
    let result = value;
    for (const build of builds) result = result.replaceAll(build, '{BUILD}');
    return result
      .replaceAll(host.prefix, '')
      .replaceAll(`${host.instance}/home`, '/home/dokku')
      .replaceAll(`${host.instance}/lib`, '/var/lib/dokku')
      .replaceAll(`${host.instance}/bin:`, '')
      .replaceAll(/tmp_objdir-incoming-\w+/g, '{QUARANTINE}')
      .replaceAll(/\/tmp\/\S*git_build_app_repo\.\w+/g, '{WD}')
      .replaceAll(/\/tmp\/flight-launch-promote\.\w+/g, '{DIR}')
      .replaceAll(/\b[0-9a-f]{64}\b/g, '{CID}');
  };
  return calls.map((call) => ({
    ...call,
    args: call.args.map((arg) => (/^\d+\.\d+\.\d+\.\d+$/.test(arg) ? '{IP}' : text(arg))),
    cwd: text(call.cwd),
    user: call.user === host.user ? 'dokku' : call.user,
    env: Object.fromEntries(
      Object.entries(call.env).map(([name, value]) => [
        name,
        name === 'DOKKU_PID' ? (pids.get(value) ?? value) : value === host.user ? 'dokku' : text(value),
      ]),
    ),
    envNames: Object.keys(call.env)
      .filter((name) => !ownVariables.test(name))
      .sort(),
  }));
}

/**
 * What the recordings themselves leave as it was on the recorded host: the app's port, process ids, and commits other
 * than the one that was pushed.
 */
export function withoutOwnNumbers(call: Call): Call {
  const args = call.args.map((arg) =>
    arg.replace(/^[0-9a-f]{40}$/, '{REV}').replace(/^http:(?!5000:)\d+:/, 'http:{PORT}:'),
  );
  if (call.trigger === 'builds-record-start') args[2] = '{PID}';
  return { ...call, args };
}

/** The name of a container, without its numbers. */
export function containerName(name: string): string {
  return name.replace(/\.upcoming-\d+$/, '.upcoming-{N}').replace(/\.\d{10}$/, '.{EPOCH}');
}

/** The name of a file that a deploy left, without the process id. */
export function leftoverName(name: string): string {
  return name.replace(/\.\d+(\.missing)?$/, '.{PID}$1');
}
