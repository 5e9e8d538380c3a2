/** What the exit status of a command means; documented in README and in every help text. */
export const exitStatus = {
  done: 0,
  failed: 1,
  usage: 2,
  resumable: 3,
  locked: 4,
  /** Dokku's own status for an app that does not exist (`verify_app_name`). */
  noSuchApp: 20,
} as const;

export type ExitStatus = (typeof exitStatus)[keyof typeof exitStatus];

export interface UserErrorOptions {
  /** One line: what the user can do about it. */
  remedy?: string;
  /** Further lines, each shown below the problem: every failed check, or the last lines of a log. */
  details?: readonly string[];
  exit?: ExitStatus;
  cause?: unknown;
}

/**
 * A mistake or a circumstance that the user can mend, as opposed to a bug of ours.
 * The message is one line that names the input and the rule.
 */
export class UserError extends Error {
  override readonly name: string = 'UserError';
  readonly remedy: string | undefined;
  readonly details: readonly string[];
  readonly exit: ExitStatus;

  constructor(problem: string, options: UserErrorOptions = {}) {
    super(problem, options.cause === undefined ? undefined : { cause: options.cause });
    this.remedy = options.remedy;
    this.details = options.details ?? [];
    this.exit = options.exit ?? exitStatus.failed;
  }
}

/** Wrong arguments or settings: exit status 2. */
export class UsageError extends UserError {
  override readonly name = 'UsageError';

  constructor(problem: string, options: Omit<UserErrorOptions, 'exit'> = {}) {
    super(problem, { ...options, exit: exitStatus.usage });
  }
}

/** Whether the system gave this reason, such as `ENOENT`. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** How a child process ended; all that an error about it needs to tell. */
export interface ProcessFailure {
  command: readonly string[];
  exitCode: number | undefined;
  signal: string | undefined;
  timedOut: boolean;
  durationMs: number;
  /** The end of its standard output and error, decoded as UTF-8. */
  stdout: string;
  stderr: string;
}

/** A child process that failed. Commands that expect a failure catch it; otherwise it is shown as a bug. */
export class ProcessError extends Error {
  override readonly name = 'ProcessError';

  constructor(
    readonly failure: ProcessFailure,
    options?: ErrorOptions,
  ) {
    super(describeFailure(failure), options);
  }
}

function describeFailure(failure: ProcessFailure): string {
  const how = failure.timedOut
    ? 'ran past its time'
    : failure.signal !== undefined
      ? `was ended by ${failure.signal}`
      : failure.exitCode === undefined
        ? 'could not be started'
        : `exited with ${String(failure.exitCode)}`;
  const seconds = (failure.durationMs / 1000).toFixed(1);
  const tail = failure.stderr.trim() || failure.stdout.trim();
  return `\`${failure.command.join(' ')}\` ${how} after ${seconds} s${tail === '' ? '' : `: ${tail}`}`;
}
