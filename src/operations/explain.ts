import { exitStatus, ProcessError, UserError, type ExitStatus } from '../domain/errors';
import type { Log, Terminal } from '../domain/ports';
import { hostFailure } from '../domain/host-failure';

/**
 * Tells what went wrong. A mistake of the user, a host that ran out of something, and a bug of ours look different.
 * @returns the exit status that it means
 */
export function explain(terminal: Terminal, error: unknown): ExitStatus {
  if (error instanceof UserError) {
    terminal.warn(`flight-launch: ${error.message}`);
    for (const detail of error.details) terminal.warn(`  ${detail}`);
    if (error.remedy !== undefined) terminal.warn(error.remedy);
    return error.exit;
  }
  const failure = hostFailure(error);
  if (failure !== undefined) {
    terminal.warn(`flight-launch: ${failure.problem}`);
    terminal.warn(failure.remedy);
    return exitStatus.failed;
  }
  const message = error instanceof Error ? error.message : String(error);
  terminal.warn(`flight-launch: this is a bug, please report it: ${message}`);
  return exitStatus.failed;
}

/** As `explain`. A command of the host that failed a job is told as it is: it may fail there. A bug is logged as well. */
export function explainInJob(
  { terminal, log }: { terminal: Terminal; log: Log },
  job: string,
  error: unknown,
): void {
  if (error instanceof ProcessError) {
    terminal.warn(`flight-launch: ${error.message}`);
    return;
  }
  if (!(error instanceof UserError)) log.error({ err: error }, `${job} failed`);
  explain(terminal, error);
}
