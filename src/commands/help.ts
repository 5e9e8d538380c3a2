import { UsageError } from '../domain/errors';
import { quoted } from '../domain/paths';
import { parseArguments } from './arguments';
import type { Command } from './command';

/** Help needs to know all commands, itself included. */
export function helpCommand(commands: () => Readonly<Record<string, Command>>): Command {
  return {
    usage: 'help [COMMAND]',
    about: 'Show this list or what a command takes',
    run({ terminal }, args) {
      const verb = parseArguments('flight-launch:help [COMMAND]', args, { optional: ['COMMAND'] }).positional(
        'COMMAND',
      );
      for (const line of verb === undefined ? overview(commands()) : detailed(commands(), verb))
        terminal.print(line);
      return Promise.resolve(undefined);
    },
  };
}

/** Lines in Dokku's form, `    usage, about`: it aligns the columns at the comma, and completes commands from them. */
export function helpLines(commands: Readonly<Record<string, Command>>): string[] {
  return Object.values(commands)
    .map(({ usage, about }) => `    flight-launch:${usage}, ${about}`)
    .sort();
}

function overview(commands: Readonly<Record<string, Command>>): string[] {
  const rows = Object.values(commands).map(({ usage, about }) => [`flight-launch:${usage}`, about] as const);
  const width = Math.min(60, Math.max(...rows.map(([usage]) => usage.length)));
  return [
    'Usage: dokku flight-launch[:COMMAND]',
    '',
    'Build the client of a monorepo on this host and deploy it with the server.',
    '',
    'Additional commands:',
    ...rows.sort().map(([usage, about]) => `    ${usage.padEnd(width)}  ${about}`),
    '',
    'Exit status: 0 done; 1 failed (nothing changed or put back); 2 wrong usage or configuration;',
    '             3 stopped half-way (can be resumed); 4 locked by another; 20 no such app.',
  ];
}

function detailed(commands: Readonly<Record<string, Command>>, name: string): string[] {
  const verb = name.replace(/^flight-launch:/, '');
  const command = Object.hasOwn(commands, verb) ? commands[verb] : undefined;
  if (command === undefined) {
    throw new UsageError(`there is no command ${quoted(verb)}`, {
      remedy: `Commands: ${Object.keys(commands).sort().join(', ')}.`,
    });
  }
  return [`Usage: dokku flight-launch:${command.usage}`, '', `${command.about}.`, ...(command.help ?? [])];
}
