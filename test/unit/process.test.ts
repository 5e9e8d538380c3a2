import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, closeSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { run, runOnDescriptor, runWithin, stream } from '../../src/adapters/process';
import { systemProcesses } from '../../src/adapters/processes';
import { ProcessError } from '../../src/domain/errors';
import { inScratch } from '../support/scratch';
import { assert, rejects, suite } from '../support/suite';

const env = { PATH: process.env.PATH ?? '' };
const sh = (script: string, ...args: string[]) => ['-c', script, 'sh', ...args];

const running = suite('run');

running('returns what was printed, byte for byte', async () => {
  const { stdout, stderr } = await run('sh', sh('printf "a\\n\\n"; printf "b\\n" >&2'), { env });
  assert.is(stdout, 'a\n\n');
  assert.is(stderr, 'b\n');
});

running('I61, I62 arguments are no shell text', async () => {
  const args = ['$(id)', '*', '; echo x', 'a b', "'", '"', '-n', '\n'];
  const { stdout } = await run('printf', ['%s\\0', ...args], { env });
  assert.equal(stdout.split('\0').slice(0, -1), args);
});

running('H12, H17 a child has the environment that it is given, and no other', async () => {
  process.env.FLIGHT_LAUNCH_CANARY = 'x';
  try {
    const { stdout } = await run('/usr/bin/env', [], { env: { A: '1', B: 'two\nlines' } });
    assert.is(stdout, 'A=1\nB=two\nlines\n');
    assert.is((await run('/usr/bin/env', [], { env: {} })).stdout, '');
  } finally {
    delete process.env.FLIGHT_LAUNCH_CANARY;
  }
});

running('H18 standard input is /dev/null and not ours, of a streaming child too', async () => {
  // The lowest free descriptor is the next one's: our own standard input is something else meanwhile.
  closeSync(0);
  const own = openSync('/proc/self/status', 'r');
  try {
    assert.is(own, 0);
    const script = sh('readlink /proc/self/fd/0');
    assert.is((await run('sh', script, { env })).stdout, '/dev/null\n');
    const child = stream('sh', script, { env });
    child.stderr.resume();
    assert.is(await text(child.stdout), '/dev/null\n');
    await child.done;
  } finally {
    closeSync(own);
    openSync('/dev/null', 'r');
  }
});

running('input is a text or a stream', async () => {
  assert.is((await run('cat', [], { env, input: 'a\nb' })).stdout, 'a\nb');
  assert.is((await run('cat', [], { env, input: '' })).stdout, '');
});

running('cwd is where it is told to be', async () => {
  assert.is((await run('pwd', [], { env, cwd: '/usr' })).stdout, '/usr\n');
});

running('a failure says what was run, how it ended and what it printed', async () => {
  const error = await rejects(run('sh', sh('echo out; echo err >&2; exit 7'), { env }), ProcessError);
  assert.is(error.failure.exitCode, 7);
  assert.is(error.failure.signal, undefined);
  assert.is(error.failure.timedOut, false);
  assert.is(error.failure.stdout, 'out\n');
  assert.is(error.failure.stderr, 'err\n');
  assert.equal(error.failure.command, ['sh', ...sh('echo out; echo err >&2; exit 7')]);
});

running('a child that was killed, or is not there, is told as such', async () => {
  const killed = await rejects(run('sh', sh('kill -9 $$'), { env }), ProcessError);
  assert.is(killed.failure.signal, 'SIGKILL');
  assert.match(killed.message, /was ended by SIGKILL/);
  const missing = await rejects(run('flight-launch-no-such-program', [], { env }), ProcessError);
  assert.is(missing.failure.exitCode, undefined);
  assert.match(missing.message, /could not be started/);
  assert.match(String(missing.cause), /ENOENT/);
});

running(
  'past its time a child is ended, and with it all that it started and that holds its output',
  async () => {
    const script = sh('sleep 60 & wait');
    const started = Date.now();
    const { failure } = await rejects(runWithin(300, 'sh', script, { env }), ProcessError);
    assert.is(failure.timedOut, true);
    assert.equal(failure.command, ['sh', ...script]);
    // The output of `sleep` is that of the shell, and has been read to its end.
    assert.ok(Date.now() - started < 30_000);
  },
);

running('a child within its time is as any other', async () => {
  assert.is((await runWithin(60_000, 'sh', sh('cat; echo x'), { env, input: 'a' })).stdout, 'ax\n');
  const { failure } = await rejects(runWithin(60_000, 'sh', sh('exit 3'), { env }), ProcessError);
  assert.is(failure.exitCode, 3);
  assert.is(failure.timedOut, false);
});

running('a child can be told to end', async () => {
  const aborter = new AbortController();
  const attempt = run('sleep', ['60'], { env, signal: aborter.signal });
  aborter.abort();
  await rejects(attempt, ProcessError);
});

running('of long output an error keeps the end', async () => {
  const script = sh('i=0; while [ $i -lt 3000 ]; do echo line $i >&2; i=$((i+1)); done; exit 1');
  const { failure } = await rejects(run('sh', script, { env }), ProcessError);
  assert.ok(failure.stderr.length <= 8192);
  assert.match(failure.stderr, /line 2999\n$/);
});

running.run();

const streaming = suite('stream');

streaming('output comes while the child runs', async () => {
  const child = stream('sh', sh('echo first; exec sleep 60'), { env });
  child.stderr.resume();
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  assert.is(chunk.toString(), 'first\n');
  child.kill('SIGKILL');
  const { failure } = await rejects(child.done, ProcessError);
  assert.is(failure.signal, 'SIGKILL');
});

streaming('H10 a producer that fails after its last byte is told, though the stream ended well', async () => {
  const child = stream('sh', sh('echo all; echo why >&2; exit 3'), { env });
  child.stderr.resume();
  assert.is(await text(child.stdout), 'all\n');
  const { failure } = await rejects(child.done, ProcessError);
  assert.is(failure.exitCode, 3);
  assert.is(failure.stderr, 'why\n');
});

streaming('a failure that nobody awaits yet does not end the process', async () => {
  const child = stream('sh', sh('exit 1'), { env });
  child.stdout.resume();
  child.stderr.resume();
  await setTimeout(100);
  await rejects(child.done, ProcessError);
});

streaming('large input and output pass through', async () => {
  const megabytes = 8;
  const input = Readable.from(
    (function* () {
      for (let index = 0; index < megabytes; index += 1) yield Buffer.alloc(1024 * 1024, index);
    })(),
  );
  const child = stream('cat', [], { env, input });
  child.stderr.resume();
  let bytes = 0;
  for await (const chunk of child.stdout) bytes += (chunk as Buffer).length;
  await child.done;
  assert.is(bytes, megabytes * 1024 * 1024);
});

streaming.run();

const descriptor = suite('run on descriptor');

descriptor('the child has the open file as descriptor 3, and its status comes back', async () => {
  await inScratch(async (folder) => {
    const path = join(folder, 'file');
    writeFileSync(path, '');
    const file = openSync(path, 'a');
    try {
      assert.is(await runOnDescriptor('sh', sh('echo here >&3; exit 5'), file, env), 5);
    } finally {
      closeSync(file);
    }
    assert.is(readFileSync(path, 'utf8'), 'here\n');
  });
});

descriptor('a program that cannot be started, or is killed, is an error', async () => {
  await rejects(runOnDescriptor('flight-launch-no-such-program', [], 1, env), /ENOENT/);
  await rejects(runOnDescriptor('sh', sh('kill -9 $$'), 1, env), /sh was ended by SIGKILL/);
});

descriptor.run();

const starts = suite('process starts');

starts('F38, F40 the start tells a process from others, and names the boot', async () => {
  const own = await systemProcesses.startOf(process.pid);
  assert.ok(own !== undefined);
  assert.is(await systemProcesses.startOf(process.pid), own);
  assert.ok(own.startsWith(readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()));
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  await once(child, 'spawn');
  const other = await systemProcesses.startOf(child.pid ?? 0);
  assert.ok(other !== undefined && other !== own);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.is(await systemProcesses.startOf(child.pid ?? 0), undefined);
});

starts('a program whose name holds spaces and parentheses does not confuse it', async () => {
  await inScratch(async (folder) => {
    const program = join(folder, 'a ) S 1 (b');
    writeFileSync(program, '#!/bin/sh\necho up\nread -r line\n', { mode: 0o755 });
    const child = spawn(program, [], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    const start = await systemProcesses.startOf(child.pid ?? 0);
    // Boot and clock ticks: started after this process, and not long after.
    const ticks = (text: string | undefined) => Number(text?.split(':')[1]);
    const age = ticks(start) - ticks(await systemProcesses.startOf(process.pid));
    assert.ok(age >= 0 && age < 60 * 100, start);
    child.stdin.end('\n');
    await once(child, 'exit');
  });
});

starts.run();
