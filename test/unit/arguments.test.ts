import { parseArguments, wantsJson } from '../../src/commands/arguments';
import { UsageError } from '../../src/domain/errors';
import { assert, suite } from '../support/suite';
import { thrown } from '../support/thrown';

const test = suite('arguments');

const rules = { required: ['NAME', 'KEY'], optional: ['VALUE'], values: ['format'], flags: ['dry-run'] };
const parse = (...args: string[]) => parseArguments('flight-launch:set NAME KEY [VALUE]', args, rules);
const refused = (...args: string[]) => thrown(() => parse(...args), UsageError);

test('positional arguments, values and flags, in any order', () => {
  const given = parse('--dry-run', 'shop', '--format=json', 'memory', '2g');
  assert.is(given.positional('NAME'), 'shop');
  assert.is(given.positional('KEY'), 'memory');
  assert.is(given.positional('VALUE'), '2g');
  assert.is(given.value('format'), 'json');
  assert.is(given.flag('dry-run'), true);
});

test('what may be left out is undefined or false', () => {
  const given = parse('shop', 'memory');
  assert.is(given.positional('VALUE'), undefined);
  assert.is(given.value('format'), undefined);
  assert.is(given.flag('dry-run'), false);
  assert.is(given.positional('OTHER'), undefined);
});

test("I58, I60 Dokku's own flags are left to Dokku", () => {
  const given = parse('--quiet', 'shop', '--trace', 'memory', '--force');
  assert.is(given.positional('KEY'), 'memory');
  assert.is(given.positional('VALUE'), undefined);
});

const wrong: [hazard: string, args: string[], problem: string][] = [
  ['I55 what an unmatched quote dropped', ['shop'], 'KEY is missing'],
  ['nothing at all', [], 'NAME is missing'],
  ['one too many', ['a', 'b', 'c', 'd'], '"d" is one argument too many'],
  ['I56 a line break', ['a', 'b', 'c', 'd\ne'], '"d\\ne" is one argument too many'],
  ['I57 -n', ['a', 'b', '-n'], "Unknown option '-n'"],
  ['I59 --app', ['a', 'b', '--app', 'prod'], "Unknown option '--app'"],
  ['I70 -d', ['a', 'b', '-d'], "Unknown option '-d'"],
  ['I71 --output=x', ['a', 'b', '--output=x'], "Unknown option '--output'"],
  ['an abbreviated option', ['a', 'b', '--form', 'json'], "Unknown option '--form'"],
  ['a negated option', ['a', 'b', '--no-dry-run'], "Unknown option '--no-dry-run'"],
  ['a property of every object', ['a', 'b', '--__proto__=x'], "Unknown option '--__proto__'"],
  ['I28 an escape sequence', ['a', 'b', '--\u001b[2J\n'], "Unknown option '--\\u001b[2J\\u000a'"],
  ['a value that is missing', ['a', 'b', '--format'], '--format needs a value'],
  ['a value that looks like an option', ['a', 'b', '--format', '--dry-run'], '--format needs a value'],
  ['a value for a flag', ['a', 'b', '--dry-run=no'], "Option '--dry-run' does not take an argument"],
  ['an option given twice', ['a', 'b', '--format=x', '--format=y'], '--format is given 2 times'],
  ['a flag given twice', ['a', 'b', '--dry-run', '--dry-run'], '--dry-run is given 2 times'],
];

for (const [hazard, args, problem] of wrong) {
  test(`refused, with the usage: ${hazard}`, () => {
    const error = refused(...args);
    assert.is(error.message, problem);
    assert.is(error.remedy, 'Usage: dokku flight-launch:set NAME KEY [VALUE]');
    assert.is(error.exit, 2);
  });
}

test('I61, I62 what a shell would expand is text', () => {
  const given = parse('$(id)', '*', '--', '--dry-run');
  assert.is(given.positional('NAME'), '$(id)');
  assert.is(given.positional('KEY'), '*');
  assert.is(given.positional('VALUE'), '--dry-run');
  assert.is(given.flag('dry-run'), false);
});

test('a format is json or stdout', () => {
  const format = (...args: string[]) => wantsJson(parse('shop', 'memory', ...args));
  assert.is(format(), false);
  assert.is(format('--format', 'stdout'), false);
  assert.is(format('--format', 'json'), true);
  for (const other of ['yaml', 'JSON', '']) {
    const error = thrown(() => format(`--format=${other}`), UsageError);
    assert.is(error.message, `there is no format "${other}"`);
    assert.is(error.remedy, 'Use `json` or `stdout`.');
  }
});

test.run();
