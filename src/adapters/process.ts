import { execa, type Options } from 'execa';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { closeSync, openSync } from 'node:fs';
import { ProcessError } from '../domain/errors';

/** The whole environment of a child: nothing is inherited (H12, H17). */
export type Environment = Readonly<Record<string, string>>;

export interface RunOptions {
  env: Environment;
  cwd?: string;
  /** Standard input; `/dev/null` where absent, since a hook's own standard input holds the refs still to come (H18). */
  input?: Readable | string | Uint8Array;
  signal?: AbortSignal;
}

export interface Finished {
  /** Exit status: 0, or one of those that were awaited. */
  status: number;
  stdout: string;
  stderr: string;
}

const tailBytes = 8 * 1024;
const maxBufferedBytes = 16 * 1024 * 1024;

/**
 * Runs a program to its end and returns what it printed.
 * @param awaited exit statuses beside 0 that are no failure
 * @throws ProcessError when it cannot be started, exits with another status or is killed
 */
export async function run(
  file: string,
  args: readonly string[],
  options: RunOptions,
  awaited: readonly number[] = [],
): Promise<Finished> {
  const child = execa(file, args, { ...common(options), maxBuffer: maxBufferedBytes });
  const result = await child;
  const stdout = text(result.stdout);
  const stderr = text(result.stderr);
  const status = result.exitCode;
  if (result.failed && (status === undefined || !awaited.includes(status))) {
    throw failure(file, args, result, stdout, stderr);
  }
  return { status: status ?? 0, stdout, stderr };
}

/** Exit status of `timeout` where it ended the program, and where that took SIGKILL. */
const pastTime = [124, 137];

/**
 * As `run`, for a limited time. The program gets a process group of its own, and past the time all of it is ended, so
 * that what git waits for (an ssh that hangs) goes with git; also where we are gone ourselves by then.
 * @throws ProcessError as `run`, and past the time, with `timedOut`
 */
export async function runWithin(
  timeoutMs: number,
  file: string,
  args: readonly string[],
  options: RunOptions,
): Promise<Finished> {
  const limit = (timeoutMs / 1000).toFixed(3);
  try {
    return await run('timeout', ['--kill-after=5', limit, file, ...args], options);
  } catch (error) {
    if (!(error instanceof ProcessError)) throw error;
    const { exitCode, signal } = error.failure;
    const timedOut = signal === 'SIGKILL' || (exitCode !== undefined && pastTime.includes(exitCode));
    throw new ProcessError({ ...error.failure, command: [file, ...args], timedOut }, { cause: error.cause });
  }
}

export interface Streaming {
  stdout: Readable;
  stderr: Readable;
  /** Settles after exit; rejects with ProcessError, whose output is the tail of standard error only. */
  done: Promise<void>;
  kill(signal?: NodeJS.Signals): void;
}

/** Starts a program whose output is consumed while it runs. Both streams have to be drained by the caller. */
export function stream(file: string, args: readonly string[], options: RunOptions): Streaming {
  const child = execa(file, args, { ...common(options), buffer: false });
  let tail = '';
  child.stderr.on('data', (chunk: Buffer) => {
    tail = (tail + chunk.toString()).slice(-tailBytes);
  });
  const done = child.then((result) => {
    if (result.failed) throw failure(file, args, result, '', tail);
  });
  // The caller awaits `done` after the stream; a failure in between must not count as unhandled.
  done.catch(() => undefined);
  return { stdout: child.stdout, stderr: child.stderr, done, kill: (signal) => child.kill(signal) };
}

/**
 * Runs a program that acts on an open file of ours, which it gets as descriptor 3. execa cannot hand one over.
 * @returns the exit status
 * @throws Error where it cannot be started or is killed
 */
export async function runOnDescriptor(
  file: string,
  args: readonly string[],
  descriptor: number,
  env: Environment,
): Promise<number> {
  needDescriptors();
  const child = spawn(file, args, { env, stdio: ['ignore', 'ignore', 'inherit', descriptor] });
  const [status, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  if (status === null) throw new Error(`${file} was ended by ${String(signal)}`);
  return status;
}

/** Becomes the program once a line arrives; where the other end of the pipe goes without one, it never does. */
const gate = 'read -r _ && exec "$@" </dev/null';

/**
 * Runs a program whose output goes where ours goes, in a session of its own: who kills its process group does not hit
 * us. It does nothing before `started` is through, so that it never runs where we were killed before noting it.
 * @returns the exit status, 128 where it was killed
 */
export async function runInSession(
  file: string,
  args: readonly string[],
  { env, cwd }: { env: Environment; cwd: string },
  started: (pid: number) => Promise<void>,
): Promise<number> {
  needDescriptors();
  const child = spawn('sh', ['-c', gate, 'sh', file, ...args], {
    env,
    cwd,
    stdio: ['pipe', 'inherit', 'inherit'],
    detached: true,
  });
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  // A child that is gone already takes no line; its exit tells all there is to tell.
  child.stdin.on('error', () => undefined);
  try {
    if (child.pid !== undefined) await started(child.pid);
    child.stdin.end('\n');
  } catch (error) {
    child.stdin.destroy();
    throw error;
  }
  const [status] = await ended;
  return status ?? 128;
}

/** Starts a program that outlives us, with its output in a file; nothing else of ours reaches it. */
export function startDetached(file: string, args: readonly string[], env: Environment, output: number): void {
  needDescriptors();
  spawn(file, args, { env, cwd: '/', stdio: ['ignore', output, output], detached: true }).unref();
}

/** What starting a child takes for a moment: a pair for each of its three streams, and one more. */
const neededDescriptors = 8;

/**
 * Where descriptors have run out, Node's `spawn` yields a child without streams and an error event that comes too late
 * to be caught; so this is found out before (F33).
 * @throws Error with the code EMFILE or ENFILE
 */
function needDescriptors(): void {
  const opened: number[] = [];
  try {
    while (opened.length < neededDescriptors) opened.push(openSync('/dev/null', 'r'));
  } finally {
    for (const descriptor of opened) closeSync(descriptor);
  }
}

function common(options: RunOptions) {
  needDescriptors();
  return {
    env: { ...options.env },
    extendEnv: false,
    reject: false,
    stripFinalNewline: false,
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    ...(options.input === undefined ? {} : { input: options.input }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
  } satisfies Options;
}

interface Outcome {
  exitCode?: number | undefined;
  signal?: string | undefined;
  durationMs: number;
  cause?: unknown;
}

function failure(
  file: string,
  args: readonly string[],
  { exitCode, signal, durationMs, cause }: Outcome,
  stdout: string,
  stderr: string,
): ProcessError {
  return new ProcessError(
    {
      command: [file, ...args],
      exitCode,
      signal,
      timedOut: false,
      durationMs,
      stdout: stdout.slice(-tailBytes),
      stderr: stderr.slice(-tailBytes),
    },
    { cause },
  );
}

function text(output: unknown): string {
  return typeof output === 'string' ? output : '';
}
