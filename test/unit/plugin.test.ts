import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
} from 'node:fs';
import { commands } from '../../src/commands';
import { helpCommand, helpLines } from '../../src/commands/help';
import { UsageError } from '../../src/domain/errors';
import type { Services, Terminal } from '../../src/domain/ports';
import { settingNames } from '../../src/domain/settings';
import { hooks } from '../../src/hooks';
import { assert, rejects, suite } from '../support/suite';

const layout = suite('plugin layout');

/** Triggers that the shell alone serves. */
const shellTriggers = ['install', 'uninstall'];

function executable(path: string): boolean {
  accessSync(path, constants.X_OK);
  return statSync(path).isFile();
}

layout('every command has a file in subcommands/, and every file a command', () => {
  const files = readdirSync('subcommands').filter((name) => name !== 'default');
  assert.equal(files.sort(), Object.keys(commands).sort());
});

layout('every subcommand can be executed and is the one shim', () => {
  assert.ok(executable('subcommands/default'));
  for (const verb of Object.keys(commands)) {
    assert.ok(executable(`subcommands/${verb}`));
    assert.is(readlinkSync(`subcommands/${verb}`), 'default', verb);
  }
});

layout('every trigger of the program has a link at the root into hooks/ that can be executed', () => {
  for (const trigger of [...Object.keys(hooks), ...shellTriggers]) {
    assert.match(readlinkSync(trigger), /^hooks\/[a-z-]+$/, trigger);
    assert.ok(executable(trigger), trigger);
  }
});

layout('every hook is bound to the one trigger that it hands to the program', () => {
  const links = readdirSync('.').filter((name) => lstatSync(name).isSymbolicLink());
  assert.equal(links.sort(), [...Object.keys(hooks), ...shellTriggers].sort());
  const targets = links.map((name) => readlinkSync(name));
  const files = readdirSync('hooks').filter((name) => name !== 'launch');
  assert.equal([...targets].sort(), files.map((name) => `hooks/${name}`).sort());
  for (const trigger of Object.keys(hooks)) {
    assert.match(readFileSync(trigger, 'utf8'), new RegExp(`^launch(_clean)? hook ${trigger} "\\$@"`, 'm'));
  }
});

layout('H1 the deploy is stopped in core-post-extract, by hooks/pre-receive', () => {
  assert.is(readlinkSync('core-post-extract'), 'hooks/pre-receive');
  for (const trigger of ['post-extract', 'pre-receive-app', 'core-post-deploy', 'deploy-source-set']) {
    assert.not.ok(existsSync(trigger), trigger);
  }
});

layout('the shims are POSIX sh', () => {
  for (const file of [
    'commands',
    'subcommands/default',
    ...readdirSync('hooks').map((name) => `hooks/${name}`),
  ]) {
    const [first] = readFileSync(file, 'utf8').split('\n');
    assert.is(first, file === 'hooks/launch' ? '# shellcheck shell=sh' : '#!/bin/sh', file);
  }
});

layout('commands can be executed, and plugin.toml has the tables without which plugn complains', () => {
  assert.ok(executable('commands'));
  const toml = readFileSync('plugin.toml', 'utf8');
  for (const line of [
    /^\[plugin\]$/m,
    /^description = ".+"$/m,
    /^version = "\d+\.\d+\.\d+"$/m,
    /^\[plugin\.config\]$/m,
  ]) {
    assert.match(toml, line);
  }
});

layout('plugin.toml and package.json name the same version', () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  assert.match(readFileSync('plugin.toml', 'utf8'), `version = "${version}"`);
});

layout.run();

const help = suite('help');

async function printed(...args: string[]): Promise<string[]> {
  const lines: string[] = [];
  const terminal = { print: (text: string) => void lines.push(text) } as Terminal;
  await helpCommand(() => commands).run({ terminal } as Services, args);
  return lines;
}

help("usage and about hold no comma, at which Dokku's help splits its columns", () => {
  for (const [verb, { usage, about }] of Object.entries(commands)) {
    assert.not.match(usage, /,|\n/, verb);
    assert.not.match(about, /,|\n|\.$/, verb);
    assert.ok(about.length > 0 && about.length <= 60, verb);
    assert.match(usage, new RegExp(`^${verb}( |$)`));
  }
});

help('H13 no command has git in its name, whose arguments Dokku does not unquote', () => {
  for (const verb of Object.keys(commands)) assert.not.match(verb, /git/);
});

help('no option is spelled like one that is eaten on the way', () => {
  for (const [verb, command] of Object.entries(commands)) {
    const text = [command.usage, ...(command.help ?? [])].join('\n');
    assert.not.match(text, /(^|[\s[])(--help|--version|-n|-e|-E)(?![\w-])/m, verb);
    // Dokku's own, and single letters, which xargs and echo eat.
    assert.not.match(text, /(^|[\s[])(--app|--quiet|--trace|--force|-[A-Za-z])(?![\w-])/m, verb);
  }
});

help('every command that changes something has a dry run', () => {
  const readers = ['diff', 'doctor', 'help', 'history', 'list', 'logs', 'report', 'status'];
  for (const [verb, { usage }] of Object.entries(commands)) {
    assert.is(usage.includes('[--dry-run]'), !readers.includes(verb), verb);
  }
});

help("a line for each command in the form of Dokku's help", () => {
  const lines = helpLines(commands);
  assert.is(lines.length, Object.keys(commands).length);
  for (const line of lines) assert.match(line, /^ {4}flight-launch:[a-z]+[^,]*, [A-Z][^,]*$/);
  assert.equal([...lines].sort(), lines);
});

help('the overview names each command and each exit status', async () => {
  const text = (await printed()).join('\n');
  assert.match(text, /^Usage: dokku flight-launch\[:COMMAND\]$/m);
  for (const { usage, about } of Object.values(commands)) {
    assert.ok(text.includes(`flight-launch:${usage}`), usage);
    assert.ok(text.includes(about), about);
  }
  for (const status of ['0 done', '1 failed', '2 wrong', '3 stopped', '4 locked', '20 no such app']) {
    assert.ok(text.includes(status), status);
  }
});

help('of one command it shows usage and what more there is, by either of its names', async () => {
  assert.equal(await printed('flight-launch:set'), await printed('set'));
  const text = (await printed('set')).join('\n');
  assert.match(text, /^Usage: dokku flight-launch:set NAME KEY VALUE \| --unset/);
  for (const name of settingNames) assert.match(text, new RegExp(`^  ${name} `, 'm'));
});

help('an unknown command is answered with those that there are', async () => {
  for (const name of ['promotee', 'toString', '']) {
    const error = await rejects(
      Promise.resolve().then(() => printed(name)),
      UsageError,
    );
    assert.is(error.message, `there is no command "${name}"`);
    assert.match(error.remedy ?? '', /^Commands: diff, doctor, finish, help, history, list, /);
  }
});

help.run();
