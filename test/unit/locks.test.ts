import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { FileLocks } from '../../src/adapters/locks';
import { systemProcesses } from '../../src/adapters/processes';
import { UserError } from '../../src/domain/errors';
import type { Terminal } from '../../src/domain/ports';
import { assert, rejects, suite } from '../support/suite';

const scratch = mkdtempSync(join(tmpdir(), 'flight-launch-locks-'));
const env = { PATH: process.env.PATH ?? '' };

/** Locks of a person on a host of its own, with a clock that stands still; `waits` has what the terminal was told. */
function freshLocks(by = 'ada', root = mkdtempSync(join(scratch, 'data-'))) {
  const waits: string[] = [];
  const terminal = {
    timed<T>(label: string, work: () => Promise<T>): Promise<T> {
      waits.push(label);
      return work();
    },
  } as Terminal;
  const clock = { now: () => 1_000_000 };
  const locks = new FileLocks({ root, libRoot: root, by, env, clock, processes: systemProcesses, terminal });
  return { root, locks, waits };
}

/** Holds a lock of a pipeline in a process of its own, as another command would. */
async function holdElsewhere(root: string, name: string): Promise<ChildProcess> {
  const folder = join(root, 'pipelines/shop/locks');
  mkdirSync(folder, { recursive: true });
  const child = spawn('flock', ['--exclusive', join(folder, name), 'sh', '-c', 'echo held; exec sleep 60'], {
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

/** `flock` passes its lock on to what it runs, so both have to end: they are a process group. */
async function kill(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) throw new Error('flock was not started');
  const ended = once(child, 'close');
  process.kill(-child.pid, 'SIGKILL');
  await ended;
}

const key = 'ab'.repeat(32);
const sameFile = `ab${'0'.repeat(62)}`;
const otherFile = 'cd'.repeat(32);

const test = suite('locks');

test.after(() => {
  rmSync(scratch, { recursive: true });
});

test('the work runs under the lock, and its result and its error come back', async () => {
  const { locks } = freshLocks();
  assert.is(await locks.pipeline('shop', 'set', () => Promise.resolve(42)), 42);
  await rejects(
    locks.pipeline('shop', 'set', () => Promise.reject(new Error('mine'))),
    /^mine$/,
  );
  assert.is(await locks.pipeline('shop', 'set', () => Promise.resolve('again')), 'again');
});

test('who comes second is told at once who holds it, for what, since when: exit status 4', async () => {
  const { root, locks } = freshLocks();
  const second = freshLocks('bob', root).locks;
  await locks.pipeline('shop', 'release 1.2', async () => {
    const error = await rejects(
      second.pipeline('shop', 'set', () => Promise.resolve()),
      UserError,
    );
    assert.is(error.exit, 4);
    assert.is(
      error.message,
      `pipeline shop is locked by ada (release 1.2, just now, process ${String(process.pid)})`,
    );
    assert.is(error.remedy, 'Wait until that has ended and try again.');
  });
  assert.is(await second.pipeline('shop', 'set', () => Promise.resolve('free')), 'free');
});

test('H7 another pipeline, and an artifact of the same, have locks of their own', async () => {
  const { locks } = freshLocks();
  const reached = await locks.pipeline('shop', 'x', () =>
    locks.pipeline('blog', 'x', () => locks.artifact('shop', key, 'x', () => Promise.resolve(true))),
  );
  assert.is(reached, true);
});

test('H8 a lock that another process holds holds, and nothing of the file is removed or replaced', async () => {
  const { root, locks } = freshLocks();
  const holder = await holdElsewhere(root, 'lock');
  const file = join(root, 'pipelines/shop/locks/lock');
  const { ino } = statSync(file);
  const error = await rejects(
    locks.pipeline('shop', 'set', () => Promise.resolve()),
    UserError,
  );
  // That holder has not signed.
  assert.is(error.message, 'pipeline shop is locked by another process');
  await kill(holder);
  await locks.pipeline('shop', 'set', () => Promise.resolve());
  assert.is(statSync(file).ino, ino);
});

test('F1-2 a holder that was killed leaves no lock', async () => {
  const { root, locks } = freshLocks();
  await kill(await holdElsewhere(root, 'lock'));
  assert.is(await locks.pipeline('shop', 'set', () => Promise.resolve('free')), 'free');
});

test('F27 a signature that a crash tore is no obstacle', async () => {
  const { root, locks } = freshLocks();
  const folder = join(root, 'pipelines/shop/locks');
  mkdirSync(folder, { recursive: true });
  for (const torn of ['', '{"by": "a', '{}', 'null']) {
    writeFileSync(join(folder, 'lock'), torn);
    const holder = await holdElsewhere(root, 'lock');
    const error = await rejects(
      locks.pipeline('shop', 'set', () => Promise.resolve()),
      UserError,
    );
    assert.is(error.message, 'pipeline shop is locked by another process', torn);
    await kill(holder);
  }
});

test('H8, F38, F40 the holder signs with name, purpose, time, process, its start and the boot', async () => {
  const { root, locks } = freshLocks();
  await locks.pipeline('shop', 'a long purpose that is longer than the next', () => Promise.resolve());
  await locks.pipeline('shop', 'set', async () => {
    const signature: unknown = JSON.parse(readFileSync(join(root, 'pipelines/shop/locks/lock'), 'utf8'));
    assert.equal(signature, {
      by: 'ada',
      purpose: 'set',
      pid: process.pid,
      since: 1_000_000,
      start: await systemProcesses.startOf(process.pid),
    });
  });
});

test('H18 a child that outlives the work keeps no lock', async () => {
  const { root, locks } = freshLocks();
  let orphan: ChildProcess | undefined;
  await locks.pipeline('shop', 'x', () =>
    locks.artifact('shop', key, 'x', async () => {
      orphan = spawn('sleep', ['60'], { stdio: 'ignore' });
      await once(orphan, 'spawn');
    }),
  );
  try {
    const other = freshLocks('bob', root).locks;
    assert.is(await other.pipeline('shop', 'y', () => Promise.resolve('free')), 'free');
    assert.is(await other.tryArtifact('shop', key, 'y', () => Promise.resolve('free')), 'free');
  } finally {
    orphan?.kill('SIGKILL');
  }
});

test('a second build of the same client waits for the first and says for whom', async () => {
  const { root, locks } = freshLocks();
  const second = freshLocks('bob', root);
  const order: string[] = [];
  let finish = (): void => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  let waiting: Promise<void> | undefined;
  await locks.artifact('shop', key, 'build shop.1', async () => {
    waiting = second.locks.artifact('shop', key, 'build shop.2', () => {
      order.push('second');
      return Promise.resolve();
    });
    // Long enough for the second to have begun, were it not waiting.
    await setTimeout(150);
    order.push('first');
    finish();
    await finished;
  });
  await waiting;
  assert.equal(order, ['first', 'second']);
  assert.equal(second.waits, ['Waiting for build shop.1']);
});

test('who does not have to wait says nothing', async () => {
  const { locks, waits } = freshLocks();
  await locks.artifact('shop', key, 'x', () =>
    locks.artifact('shop', otherFile, 'y', () => Promise.resolve()),
  );
  assert.equal(waits, []);
});

test('pruning leaves alone what is being built, and takes the rest', async () => {
  const { root, locks } = freshLocks();
  const second = freshLocks('bob', root).locks;
  let ran = 0;
  const remove = () => {
    ran += 1;
    return Promise.resolve('removed');
  };
  await locks.artifact('shop', key, 'build', async () => {
    assert.is(await second.tryArtifact('shop', key, 'prune', remove), undefined);
    assert.is(ran, 0);
    assert.is(await second.tryArtifact('shop', otherFile, 'prune', remove), 'removed');
  });
  assert.is(await second.tryArtifact('shop', key, 'prune', remove), 'removed');
  assert.is(ran, 2);
});

test('H8 the files of locks are of a fixed number, however many clients there were', async () => {
  const { root, locks } = freshLocks();
  await locks.artifact('shop', key, 'x', () => Promise.resolve());
  await locks.artifact('shop', sameFile, 'x', () => Promise.resolve());
  assert.equal(readdirSync(join(root, 'pipelines/shop/locks')), ['artifact-ab']);
});

test('a host without flock is told as an error and not as a lock', async () => {
  const { root } = freshLocks();
  const terminal = {} as Terminal;
  const clock = { now: () => 0 };
  const locks = new FileLocks({
    root,
    libRoot: root,
    by: 'ada',
    env: { PATH: scratch },
    clock,
    processes: systemProcesses,
    terminal,
  });
  const error = await rejects(locks.pipeline('shop', 'set', () => Promise.resolve()));
  assert.not.instance(error, UserError);
  assert.match(error.message, /flock/);
});

test.run();
