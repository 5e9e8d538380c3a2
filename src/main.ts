import { closeDeployLock } from './adapters/descriptors';
import { DokkuTerminal } from './adapters/terminal';
import { systemClock } from './adapters/clock';
import { commands } from './commands';
import { helpLines } from './commands/help';
import { exitStatus, UsageError, type ExitStatus } from './domain/errors';
import type { Log, Terminal } from './domain/ports';
import { hostFailure } from './domain/host-failure';
import { hooks } from './hooks';
import { putOnProduction } from './jobs/put-on-production';
import { runRelease } from './jobs/release';
import { explain } from './operations/explain';
import { openDataFolder, openServices } from './wiring';

/**
 * Told to end, we end the container of a client build first: without us nothing would limit it. A second signal ends us
 * at once.
 */
const ending = new AbortController();
for (const signal of ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    ending.abort();
  });
}

/**
 * `flight-launch.cjs hook TRIGGER ARG…`, `command flight-launch:VERB ARG…` or `help-lines`, as the shell shims call it;
 * `job PIPELINE JOB` or `settle PIPELINE JOB`, as it starts itself.
 */
async function main(argv: readonly string[]): Promise<ExitStatus> {
  closeDeployLock();
  const [kind, name = '', ...args] = argv;
  const quiet = process.env.DOKKU_QUIET_OUTPUT === '1' || args.includes('--quiet');
  const terminal = new DokkuTerminal(systemClock, quiet);
  if (kind === 'hook') return runHook(terminal, name, args);
  if (kind === 'command') return runCommand(terminal, name, args);
  if (kind === 'job' || kind === 'settle') return runJob(terminal, name, args[0] ?? '', kind === 'settle');
  if (kind !== 'help-lines') throw new Error(`unknown entry ${JSON.stringify(argv)}`);
  for (const line of helpLines(commands)) terminal.print(line);
  return exitStatus.done;
}

async function runHook(terminal: Terminal, trigger: string, args: readonly string[]): Promise<ExitStatus> {
  const hook = Object.hasOwn(hooks, trigger) ? hooks[trigger] : undefined;
  if (hook === undefined) throw new Error(`no hook for trigger ${trigger}`);
  const data = openDataFolder(process.env, terminal, { trigger });
  return guarded(terminal, data.log, trigger, hook.neverFails === true, async () => {
    const noted =
      hook.foreignEnvironment === true ? await data.store.note(args[hook.appArgument] ?? '') : undefined;
    await hook.run(openServices(data, terminal, noted?.env ?? process.env, ending.signal), args);
    return undefined;
  });
}

async function runCommand(terminal: Terminal, name: string, args: readonly string[]): Promise<ExitStatus> {
  const verb = name.replace(/^flight-launch:?/, '') || 'help';
  const data = openDataFolder(process.env, terminal, { command: verb });
  return guarded(terminal, data.log, verb, false, async () => {
    const command = Object.hasOwn(commands, verb) ? commands[verb] : undefined;
    if (command === undefined) {
      throw new UsageError(`there is no command flight-launch:${verb}`, {
        remedy: 'See `dokku flight-launch:help`.',
      });
    }
    if (process.env.DOKKU_APP_NAME !== undefined) {
      throw new UsageError('flight-launch takes the name of a pipeline, not --app', {
        remedy: `Usage: dokku flight-launch:${command.usage}`,
      });
    }
    return command.run(openServices(data, terminal, process.env, ending.signal), args);
  });
}

/** A job is a Dokku command of its own: its children get its process id, and a build id that is new. */
async function runJob(
  terminal: Terminal,
  pipeline: string,
  id: string,
  settling: boolean,
): Promise<ExitStatus> {
  // Nobody waits for us: what hangs up is not ours, however often.
  process.on('SIGHUP', () => undefined);
  const env = { ...process.env, DOKKU_PID: String(process.pid) };
  const data = openDataFolder(env, terminal, { pipeline, job: id });
  return guarded(terminal, data.log, `job ${id}`, false, async () => {
    const { jobs, clock, processes, dokku } = openServices(data, terminal, env, ending.signal);
    const record = (await jobs.list(pipeline)).find((job) => job.id === id);
    if (record === undefined) throw new Error(`there is no job ${id}`);
    await jobs.append(pipeline, id, {
      format: 1,
      at: clock.now(),
      step: 'started',
      process: await processes.identify(process.pid),
    });
    const buildId = await dokku.newBuildId();
    const services = openServices(data, terminal, env, ending.signal, {
      DOKKU_BUILD_ID: buildId,
      FLIGHT_LAUNCH_JOB: id,
    });
    if (record.kind === 'release') await runRelease(services, pipeline, record, buildId);
    else await putOnProduction(services, pipeline, record, buildId, { settling });
    return undefined;
  });
}

/** Runs the work, turns errors into lines and an exit status, and logs how it went. */
async function guarded(
  terminal: Terminal,
  log: Log,
  what: string,
  neverFails: boolean,
  work: () => Promise<ExitStatus | undefined>,
): Promise<ExitStatus> {
  const started = Date.now();
  try {
    const status = (await work()) ?? exitStatus.done;
    log.info({ status, durationMs: Date.now() - started }, `${what} ended`);
    return status;
  } catch (error) {
    log.error({ err: error, durationMs: Date.now() - started }, `${what} failed`);
    const status = explain(terminal, error);
    return neverFails ? exitStatus.done : status;
  }
}

main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    const failure = hostFailure(error);
    const bug = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const lines = failure === undefined ? bug : `${failure.problem}\n !     ${failure.remedy}`;
    process.stderr.write(` !     flight-launch: ${lines}\n`);
    process.exitCode = exitStatus.failed;
  },
);
