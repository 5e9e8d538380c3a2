import { parseArgs } from 'node:util';
import { UsageError } from '../domain/errors';
import { printable, quoted } from '../domain/paths';

export interface ArgumentRules {
  /** Names of the positional arguments, in order; the last ones may be optional. */
  required?: readonly string[];
  optional?: readonly string[];
  /** Options with a value, without `--`. */
  values?: readonly string[];
  flags?: readonly string[];
}

export interface Arguments {
  positional: (name: string) => string | undefined;
  value: (name: string) => string | undefined;
  flag: (name: string) => boolean;
}

/** Dokku takes these anywhere on the command line for itself and leaves them there (I58, I60). */
const dokkuFlags = new Set(['--quiet', '--trace', '--force']);

/**
 * Checks the arguments of a command against its rules, exactly: over ssh, an unmatched quote drops what follows (H13).
 * @throws UsageError
 */
export function parseArguments(usage: string, args: readonly string[], rules: ArgumentRules): Arguments {
  const { required = [], optional = [], values = [], flags = [] } = rules;
  const wrong = (problem: string) => new UsageError(problem, { remedy: `Usage: dokku ${usage}` });
  const parsed = parse(
    args.filter((arg) => !dokkuFlags.has(arg)),
    values,
    flags,
    wrong,
  );
  const names = [...required, ...optional];
  const missing = required[parsed.positionals.length];
  if (missing !== undefined) throw wrong(`${missing} is missing`);
  const extra = parsed.positionals[names.length];
  if (extra !== undefined) throw wrong(`${quoted(extra)} is one argument too many`);
  return {
    positional: (name) => parsed.positionals[names.indexOf(name)],
    value: (name) => parsed.values.get(name),
    flag: (name) => parsed.flags.has(name),
  };
}

function parse(
  args: string[],
  values: readonly string[],
  flags: readonly string[],
  wrong: (problem: string) => UsageError,
): { positionals: string[]; values: Map<string, string>; flags: Set<string> } {
  const options: OptionTypes = {};
  for (const name of values) options[name] = { type: 'string', multiple: true };
  for (const name of flags) options[name] = { type: 'boolean', multiple: true };
  const parsed = strictly(args, options, wrong);
  const found = {
    positionals: parsed.positionals,
    values: new Map<string, string>(),
    flags: new Set<string>(),
  };
  for (const [name, given] of Object.entries(parsed.values)) {
    const list = Array.isArray(given) ? given : [given];
    if (list.length > 1) throw wrong(`--${name} is given ${String(list.length)} times`);
    const [value] = list;
    if (typeof value === 'string') found.values.set(name, value);
    if (value === true) found.flags.add(name);
  }
  return found;
}

type OptionTypes = Record<string, { type: 'string' | 'boolean'; multiple: true }>;
type Given = string | boolean | (string | boolean)[] | undefined;

function strictly(
  args: string[],
  options: OptionTypes,
  wrong: (problem: string) => UsageError,
): { positionals: string[]; values: Record<string, Given> } {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    if (error instanceof TypeError) throw wrong(printable(plainly(error.message)));
    throw error;
  }
}

/** Node's own message without its hints on how to pass odd values. */
function plainly(message: string): string {
  return message
    .replace(/^Option '(--[^ ']+).*argument (?:missing|is ambiguous).*$/s, '$1 needs a value')
    .replace(/\.\s.*/s, '');
}

/** @throws UsageError for a message of a commit that is no line of text */
export function checkMessage(message: string): void {
  if (/^[^\p{Cc}]{1,1000}$/u.test(message) && message.trim() !== '') return;
  throw new UsageError(`the message cannot be ${quoted(message)}`, {
    remedy: 'It is one line of at most 1000 characters, without control characters.',
  });
}

/** @throws UsageError for a format that is none */
export function wantsJson(args: Arguments): boolean {
  const format = args.value('format') ?? 'stdout';
  if (format === 'json' || format === 'stdout') return format === 'json';
  throw new UsageError(`there is no format ${quoted(format)}`, { remedy: 'Use `json` or `stdout`.' });
}
