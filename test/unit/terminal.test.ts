import { build } from 'esbuild';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { assert, suite } from '../support/suite';

// What is printed goes past Node's streams, so each case is a program of its own.
const scratch = mkdtempSync(join(tmpdir(), 'flight-launch-terminal-'));

const script = join(scratch, 'program.mjs');

const test = suite('terminal');

test.before(async () => {
  await build({
    stdin: {
      contents: `
        import { Socket } from 'node:net';
        import { DokkuTerminal } from './src/adapters/terminal';
        const [, , body, quiet] = process.argv;
        const Program = (async () => {}).constructor;
        await new Program('DokkuTerminal', 'Socket', 'quiet', \`
          let now = 0;
          const terminal = new DokkuTerminal({ now: () => now }, quiet);
          \${body}\`)(DokkuTerminal, Socket, quiet === 'true');`,
      resolveDir: process.cwd(),
    },
    outfile: script,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'silent',
  });
});

test.after(() => {
  rmSync(scratch, { recursive: true });
});

/** Starts a program that has a `terminal`, and a clock that it moves with `now += …`. */
function start(body: string, quiet = false) {
  return spawn(process.execPath, [script, body, String(quiet)], { stdio: ['ignore', 'pipe', 'pipe'] });
}

async function printed(body: string, quiet = false) {
  const child = start(body, quiet);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { stdout, stderr };
}

const everything = `
  terminal.header('a'); terminal.step('b'); terminal.detail('c');
  terminal.warn('d'); terminal.print('e');`;

test("lines carry Dokku's prefixes, warnings go to standard error", async () => {
  assert.equal(await printed(everything), {
    stdout: '=====> a\n-----> b\n       c\ne\n',
    stderr: ' !     d\n',
  });
});

test('quiet leaves out headers and steps', async () => {
  assert.equal(await printed(everything, true), { stdout: '       c\ne\n', stderr: ' !     d\n' });
});

test('a step carries its time', async () => {
  const { stdout } = await printed(`
    const result = await terminal.timed('Building', () => { now += 3200; return Promise.resolve('R'); });
    terminal.print(result);`);
  assert.is(stdout, '-----> Building\n       done in 3.2 s\nR\n');
});

test('a step that fails does not say that it is done, and its error comes back', async () => {
  const { stdout, stderr } = await printed(`
    await terminal.timed('Building', () => Promise.reject(new Error('mine'))).catch((error) => {
      terminal.warn(error.message);
    });`);
  assert.is(stdout, '-----> Building\n');
  assert.is(stderr, ' !     mine\n');
});

test('a long step shows that it lives, unless something else was printed meanwhile', async () => {
  const { stdout } = await printed(`
    globalThis.setInterval = (tick) => { globalThis.tick = tick; };
    globalThis.clearInterval = () => {};
    await terminal.timed('Building', () => {
      for (let second = 0; second < 25; second += 1) {
        now += 1000;
        if (second === 14) terminal.detail('a line of the build');
        globalThis.tick();
      }
      return Promise.resolve();
    });`);
  assert.is(
    stdout,
    [
      '-----> Building',
      '       still running (10 s)',
      '       a line of the build',
      '       still running (25 s)',
      '       done in 25 s',
      '',
    ].join('\n'),
  );
});

test('F41 nobody listening any more is no reason to stop', async () => {
  const child = start(`
    await new Promise((resolve) => setTimeout(resolve, 100));
    for (let line = 0; line < 1000; line += 1) { terminal.step('x'.repeat(200)); }
    terminal.warn('reached the end');`);
  child.stdout.destroy();
  const ended = once(child, 'close');
  assert.is(await text(child.stderr), ' !     reached the end\n');
  assert.equal(await ended, [0, null]);
});

test('F42 a reader that is slow gets everything, also what is printed right before the exit', async () => {
  const child = start(`
    // Makes the descriptor such that a full pipe is an error (EAGAIN), as another program may leave it.
    new Socket({ fd: 1 });
    for (let line = 0; line < 5000; line += 1) terminal.print(String(line).padStart(99, '.'));
    process.exit(0);`);
  child.stderr.resume();
  // More than a pipe holds, so the program has to wait for us.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const lines = (await text(child.stdout)).split('\n');
  assert.is(lines.length, 5001);
  assert.match(lines[4999] ?? '', /\.4999$/);
});

test.run();
