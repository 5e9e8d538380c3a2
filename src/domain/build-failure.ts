import type { ClientBuild } from './client-build';
import { hasNetwork, phaseCommand, type ContainerState, type Phase } from './container-plan';
import { neededDisk, neededFiles, type Shortage } from './disk-room';
import { UserError, type UserErrorOptions } from './errors';
import { printable } from './paths';
import { formatBytes, formatDuration } from './units';

/** A phase of a client build that failed. */
export class BuildFailure extends UserError {
  constructor(
    problem: string,
    /** Whether the same may pass when it is tried again. */
    readonly repeatable: boolean,
    options: UserErrorOptions,
  ) {
    super(problem, options);
  }
}

/** Why we ended a phase ourselves. */
export type Stopped = 'timeout' | 'log' | Shortage;

const shownLines = 20;

/**
 * What to tell of a phase that failed.
 * @param ended how: ended by us, or with the state of its container
 * @param lines the last lines that it printed
 */
export function explainFailure(
  plan: ClientBuild,
  phase: Phase,
  ended: Stopped | ContainerState,
  lines: readonly string[],
): BuildFailure {
  const what = phase === 'install' ? 'Installing the dependencies' : 'Building the client';
  const command = `\`${printable(phaseCommand(plan, phase))}\``;
  const fail = (problem: string, remedy: string, repeatable = false): BuildFailure =>
    new BuildFailure(`${what} failed: ${command} ${problem}`, repeatable, {
      remedy,
      details: lines.slice(-shownLines),
    });
  const raise = (setting: string): string =>
    `Make it need less, or raise the limit: flight-launch:set ${plan.pipeline} ${setting} VALUE`;
  const printed = (pattern: RegExp): boolean => lines.some((line) => pattern.test(line));
  const { limits } = plan;

  if (ended === 'timeout') {
    return fail(`ran past its limit of ${formatDuration(limits.timeout * 1000)}`, raise('build-timeout'));
  }
  if (ended === 'log') return fail(`printed more than ${formatBytes(limits.log)}`, raise('log-limit'));
  if (ended === 'disk' || ended === 'files') {
    const floor = ended === 'disk' ? formatBytes(neededDisk) : `${neededFiles} files`;
    return fail(
      `cannot go on: less than ${floor} are free where Docker keeps its data, and the deploy needs as much`,
      `Make it write less, or free some space there (flight-launch:prune ${plan.pipeline} removes what is no longer needed), and push again.`,
    );
  }
  // Node gives up by itself shortly before the engine would end it.
  if (ended.outOfMemory || printed(/JavaScript heap out of memory/)) {
    return fail(`needed more than its ${formatBytes(limits.memory)} of memory`, raise('memory'));
  }
  if (printed(/no space left on device|ENOSPC(?!.*watchers)/i)) {
    return fail(
      'found the disk full',
      `Free some space where Docker keeps its data (flight-launch:prune ${plan.pipeline} removes what is no longer needed) and push again.`,
    );
  }
  if (printed(/\bEFBIG\b|File too large|File size limit exceeded/)) {
    return fail('wrote a file that is larger than the output limit', raise('output-limit'));
  }
  if (printed(/\bEAGAIN\b|Resource temporarily unavailable|(?:can't|cannot) fork|pthread_create/i)) {
    return fail(`needed more than its ${limits.processes} processes and threads`, raise('processes'));
  }
  if (
    !hasNetwork(plan, phase) &&
    printed(
      /\b(?:ENOTFOUND|EAI_AGAIN|ENETUNREACH|getaddrinfo)\b|Could not resolve host|name resolution|Network is unreachable/i,
    )
  ) {
    return fail(
      'needs the network, which the build phase does not have',
      'Let it work without, or set "client": {"network": true} in flight-launch.json.',
    );
  }
  if (ended.exitCode === 127) {
    return fail(
      'ended with 127: command not found',
      'Add what is missing to the client\'s dependencies, or name an image that has it: "client": {"image": "…"} in flight-launch.json.',
    );
  }
  return fail(
    `exited with ${ended.exitCode}`,
    `Try it on your own machine: cd ${printable(plan.folder)} && ${printable(phaseCommand(plan, phase))}`,
    true,
  );
}
