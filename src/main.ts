import { closeDeployLock } from './adapters/descriptors';
import { DokkuTerminal } from './adapters/terminal';
import { systemClock } from './adapters/clock';
import { commands } from './commands';
import { helpLines } from './commands/help';
import { exitStatus, UsageError, UserError, type ExitStatus } from './domain/errors';
import type { Log, Terminal } from './domain/ports';
import { hooks } from './hooks';
import { openDataFolder, openServices } from './wiring';

/**
 * `flight-launch.cjs hook TRIGGER ARG…`, `flight-launch.cjs command flight-launch:VERB ARG…` or
 * `flight-launch.cjs help-lines`, as the shell shims call it.
 */
async function main(argv: readonly string[]): Promise<ExitStatus> {
  closeDeployLock();
  const [kind, name = '', ...args] = argv;
  const quiet = process.env.DOKKU_QUIET_OUTPUT === '1' || args.includes('--quiet');
  const terminal = new DokkuTerminal(systemClock, quiet);
  if (kind === 'hook') return runHook(terminal, name, args);
  if (kind === 'command') return runCommand(terminal, name, args);
  if (kind !== 'help-lines') throw new Error(`unknown entry ${JSON.stringify(argv)}`);
  for (const line of helpLines(commands)) terminal.print(line);
  return exitStatus.done;
}

async function runHook(terminal: Terminal, trigger: string, args: readonly string[]): Promise<ExitStatus> {
  const hook = Object.hasOwn(hooks, trigger) ? hooks[trigger] : undefined;
  if (hook === undefined) throw new Error(`no hook for trigger ${trigger}`);
  const data = openDataFolder(process.env, { trigger });
  return guarded(terminal, data.log, trigger, hook.neverFails === true, async () => {
    const noted =
      hook.foreignEnvironment === true ? await data.store.note(args[hook.appArgument] ?? '') : undefined;
    await hook.run(openServices(data, terminal, noted?.env ?? process.env), args);
  });
}

async function runCommand(terminal: Terminal, name: string, args: readonly string[]): Promise<ExitStatus> {
  const verb = name.replace(/^flight-launch:?/, '') || 'help';
  const data = openDataFolder(process.env, { command: verb });
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
    await command.run(openServices(data, terminal, process.env), args);
  });
}

/** Runs the work, turns errors into lines and an exit status, and logs how it went. */
async function guarded(
  terminal: Terminal,
  log: Log,
  what: string,
  neverFails: boolean,
  work: () => Promise<void>,
): Promise<ExitStatus> {
  const started = Date.now();
  try {
    await work();
    log.info({ durationMs: Date.now() - started }, `${what} done`);
    return exitStatus.done;
  } catch (error) {
    log.error({ err: error, durationMs: Date.now() - started }, `${what} failed`);
    const status = explain(terminal, error);
    return neverFails ? exitStatus.done : status;
  }
}

/** A mistake of the user and a bug of ours look different. */
function explain(terminal: Terminal, error: unknown): ExitStatus {
  if (error instanceof UserError) {
    terminal.warn(`flight-launch: ${error.message}`);
    for (const detail of error.details) terminal.warn(`  ${detail}`);
    if (error.remedy !== undefined) terminal.warn(error.remedy);
    return error.exit;
  }
  terminal.warn(
    `flight-launch: this is a bug, please report it: ${error instanceof Error ? error.message : String(error)}`,
  );
  return exitStatus.failed;
}

main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    process.stderr.write(
      ` !     flight-launch: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    process.exitCode = exitStatus.failed;
  },
);
