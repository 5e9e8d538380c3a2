import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { assert, suite } from '../support/suite';

interface Outcome {
  status: number | null;
  output: string;
  lastLine: string;
}

const runner = (...args: string[]) => outcomeOf(start(...args));

function start(...args: string[]) {
  return spawn(process.execPath, ['test/run.js', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

function outcomeOf(child: ReturnType<typeof start>): Promise<Outcome> {
  return new Promise((settle, reject) => {
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
      });
    }
    child.on('error', reject);
    child.on('close', (status) => {
      settle({ status, output, lastLine: output.trimEnd().split('\n').at(-1) ?? '' });
    });
  });
}

const fixtures = (...args: string[]) => runner('--dir', 'test/runner/fixtures', ...args);
const fixture = (name: string) => fixtures(`/${name}.test.ts`);

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'flight-launch-runner-'));
  try {
    await work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const bad: [name: string, counts: string, ...problems: string[]][] = [
  ['failing', '1 passed, 1 failed', 'suite "failing": a test failed', 'failing.test.ts:10:10'],
  ['failing-oddly', '0 passed, 1 failed', 'suite "failing oddly": a test failed', 'thrown: a string'],
  ['throwing-before', '0 passed, 2 failed', 'hook before: thrown by before', '1 of 1 tests did not finish'],
  ['throwing-after', '1 passed, 1 failed', 'hook after: thrown by after'],
  ['throwing-before-each', '0 passed, 2 failed', 'hook before.each, at "holds": thrown by before.each'],
  ['throwing-after-each', '1 passed, 2 failed', 'hook after.each, at "holds": thrown by after.each'],
  [
    'throwing-after-each-of-failed',
    '0 passed, 2 failed',
    'hook after.each, at "does not hold"',
    ': a test failed',
  ],
  ['rejecting-hook', '0 passed, 2 failed', 'hook before: rejected by before'],
  ['forgotten-run', '1 passed, 1 failed', 'suite "second": .run() was not called'],
  ['empty-suite', '0 passed, 1 failed', 'suite "empty suite": declares no test'],
  ['no-suite', '0 passed, 1 failed', 'declares no suite'],
  ['silent', '0 passed, 1 failed', 'reported nothing'],
  ['bare-uvu', '0 passed, 1 failed', 'reported nothing'],
  ['early-exit', '1 passed, 1 failed', '2 of 3 tests did not finish'],
  ['exit-before-run', '0 passed, 1 failed', '1 of 1 tests did not finish'],
  ['exit-in-hook', '1 passed, 1 failed', 'a hook did not finish'],
  ['unsettled', '0 passed, 1 failed', '1 of 1 tests did not finish'],
  ['killed', '0 passed, 2 failed', 'reported nothing', 'was killed by SIGKILL'],
  ['late-rejection', '1 passed, 1 failed', 'ended with status 1', 'too late'],
  ['throwing-module', '0 passed, 1 failed', '1 of 1 tests did not finish', 'thrown while the file loads'],
  ['hanging', '1 passed, 2 failed', 'did not end within 5 s', '1 of 2 tests did not finish'],
  ['skipped', '1 passed, 1 failed', 'suite "skipped": 1 skipped'],
  ['only', '1 passed, 1 failed', '.only sets the other tests aside'],
];

const test = suite('runner');

// One run for all of them, since each run costs a second; that one bad file is enough is shown further down.
const all = fixtures('--jobs', '4', '--time-limit', '5', ...bad.map(([name]) => `/${name}.test.ts`));

for (const [name, counts, ...problems] of bad) {
  test(`fails on ${name}`, async () => {
    const { status, output } = await all;
    assert.is(status, 1);
    const section = output.split(/^(?=FAIL|ok )/m).find((part) => part.includes(`/${name}.test.ts  (`)) ?? '';
    assert.match(section, `FAIL  test/runner/fixtures/${name}.test.ts  (${counts}, `);
    for (const problem of problems) assert.match(section, problem);
  });
}

test('passes where everything passed', async () => {
  const { status, output, lastLine } = await fixture('passing');
  assert.is(status, 0);
  assert.is(lastLine, '2 passed, 0 failed');
  assert.match(output, 'ok    test/runner/fixtures/passing.test.ts  (2 passed, 0 failed');
});

test('fails where one test failed', async () => {
  const { status, lastLine } = await fixture('failing');
  assert.is(status, 1);
  assert.is(lastLine, '1 passed, 1 failed');
});

test('fails where nothing but a hook failed', async () => {
  const { status, lastLine } = await fixture('throwing-after');
  assert.is(status, 1);
  assert.is(lastLine, '1 passed, 1 failed');
});

test('adds up the files, and one bad file fails the run', async () => {
  const { status, lastLine } = await fixtures('/passing.test.ts', '/failing.test.ts');
  assert.is(status, 1);
  assert.is(lastLine, '3 passed, 1 failed');
});

test('fails where there is no test', async () => {
  await inFolder(async (folder) => {
    const { status, output, lastLine } = await runner('--dir', folder);
    assert.is(status, 1);
    assert.is(lastLine, '0 passed, 1 failed');
    assert.match(output, 'No test was found.');
  });
});

test('fails on a file that cannot be bundled', async () => {
  await inFolder(async (folder) => {
    writeFileSync(join(folder, 'broken.test.ts'), `import './no-such-module';\n`);
    const { status, output, lastLine } = await runner('--dir', folder);
    assert.is(status, 1);
    assert.is(lastLine, '0 passed, 1 failed');
    assert.match(output, 'cannot be bundled');
    assert.match(output, 'Could not resolve "./no-such-module"');
  });
});

test('fails on a pattern that matches no file, though another one does', async () => {
  const { status, output, lastLine } = await fixtures('/passing.test.ts', 'no-such-test');
  assert.is(status, 1);
  assert.is(lastLine, '2 passed, 1 failed');
  assert.match(output, 'No test file matches "no-such-test".');
});

test('told to end, ends the file that runs and starts no other', async () => {
  await inFolder(async (folder) => {
    const support = JSON.stringify(resolve('test/support/suite'));
    const marker = join(folder, 'started');
    writeFileSync(
      join(folder, '1.test.ts'),
      `import { writeFileSync } from 'node:fs';
       import { suite } from ${support};
       const test = suite('first');
       test('hangs', async () => {
         writeFileSync(${JSON.stringify(marker)}, '');
         await new Promise((settle) => setTimeout(settle, 600_000));
       });
       test.run();`,
    );
    writeFileSync(join(folder, '2.test.ts'), `console.log('second');`);
    const child = start('--dir', folder, '--jobs', '1');
    const ended = outcomeOf(child);
    while (!existsSync(marker) && child.exitCode === null)
      await new Promise((settle) => setTimeout(settle, 50));
    child.kill('SIGTERM');
    const { status, output, lastLine } = await ended;
    assert.is(status, 1);
    assert.is(lastLine, '0 passed, 2 failed');
    assert.match(output, 'Interrupted.');
    assert.not.match(output, '2.test.ts');
  });
});

test('ends what a file left running', async () => {
  const { status, output } = await fixture('leaving-a-process');
  assert.is(status, 0, output);
});

test('shows the end of a long output only', async () => {
  const { status, output } = await fixture('printing-much');
  assert.is(status, 1);
  assert.ok(output.length < 80 * 1024, `${output.length} characters`);
  assert.match(output, 'suite "printing much": a test failed');
});

test('is refused a senseless limit', async () => {
  const { status, output } = await fixtures('--jobs', '0');
  assert.is(status, 1);
  assert.match(output, '--jobs takes a number above 0, not "0"');
});

test.run();
