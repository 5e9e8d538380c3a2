import { exitStatus, ProcessError, UsageError, UserError } from '../../src/domain/errors';
import type { Log, Terminal } from '../../src/domain/ports';
import { explain, explainInJob } from '../../src/operations/explain';
import { assert, suite } from '../support/suite';

const test = suite('telling errors');

/** Keeps what is told and logged. */
class Recorder {
  readonly told: string[] = [];
  readonly logged: string[] = [];
  readonly log: Log = {
    info: unexpected,
    warn: unexpected,
    error: (_, message) => this.logged.push(message),
  };
  readonly terminal: Terminal = {
    header: unexpected,
    step: unexpected,
    detail: unexpected,
    print: unexpected,
    timed: unexpected,
    warn: (text) => this.told.push(text),
  };
}

function unexpected(): never {
  throw new Error('nothing but warnings was expected');
}

const failed = (code: string) => Object.assign(new Error(`${code}: as the system tells it`), { code });
const child = new ProcessError({
  command: ['docker', 'tag'],
  exitCode: 1,
  signal: undefined,
  timedOut: false,
  durationMs: 100,
  stdout: '',
  stderr: 'no',
});

test('a mistake of the user: problem, details, remedy, and its own exit status', () => {
  const recorder = new Recorder();
  const error = new UserError('the problem', { details: ['one', 'two'], remedy: 'The remedy.', exit: 4 });
  assert.is(explain(recorder.terminal, error), exitStatus.locked);
  assert.equal(recorder.told, ['flight-launch: the problem', '  one', '  two', 'The remedy.']);
  assert.is(explain(recorder.terminal, new UsageError('x')), exitStatus.usage);
});

for (const [code, problem] of [
  ['F32 ENOSPC', 'the disk is full'],
  ['F32 EDQUOT', 'the disk is full'],
  ['F33 EMFILE', 'too many files are open'],
  ['F33 ENFILE', 'too many files are open'],
  ['F28 EIO', 'the disk cannot be written'],
  ['F28 EROFS', 'the disk cannot be written'],
] as const) {
  test(`${code}: a host that fails is no bug of ours`, () => {
    const recorder = new Recorder();
    assert.is(explain(recorder.terminal, failed(code.slice(4))), exitStatus.failed);
    assert.is(recorder.told.length, 2);
    assert.match(recorder.told[0] ?? '', `flight-launch: ${problem}`);
  });
}

test('all else is a bug, also a command of the host, which a command of ours has to expect', () => {
  for (const error of [new Error('odd'), failed('EACCES'), child]) {
    const recorder = new Recorder();
    assert.is(explain(recorder.terminal, error), exitStatus.failed);
    assert.equal(recorder.told, [`flight-launch: this is a bug, please report it: ${error.message}`]);
  }
});

test('in a job a command of the host may fail; what is no mistake of the user is logged', () => {
  const cases: [error: Error, told: string, logged: string[]][] = [
    [child, `flight-launch: ${child.message}`, []],
    [new UserError('the problem'), 'flight-launch: the problem', []],
    [new Error('odd'), 'flight-launch: this is a bug, please report it: odd', ['promote 1 failed']],
  ];
  for (const [error, told, logged] of cases) {
    const recorder = new Recorder();
    explainInJob(recorder, 'promote 1', error);
    assert.equal(recorder.told, [told]);
    assert.equal(recorder.logged, logged);
  }
});

test.run();
