import { PassThrough, Readable } from 'node:stream';
import { readInput } from '../../src/adapters/input';
import { UserError } from '../../src/domain/errors';
import { assert, rejects, suite } from '../support/suite';

const test = suite('standard input');

test('everything comes, in however many pieces', async () => {
  const bytes = Buffer.from('a key \u00e9\n');
  assert.is(await readInput(Readable.from([bytes.subarray(0, 7), bytes.subarray(7)])), 'a key \u00e9\n');
  assert.is((await readInput(Readable.from([Buffer.alloc(64 * 1024, 'a')]))).length, 64 * 1024);
});

test('nothing, too much, and what has no end are refused', async () => {
  assert.is((await rejects(readInput(Readable.from([])), UserError)).message, 'standard input is empty');
  const endless = new Readable({ read: () => endless.push(Buffer.alloc(1000, 'a')) });
  const { message } = await rejects(readInput(endless), UserError);
  assert.is(message, 'standard input is larger than 64 KiB');
  assert.ok(endless.destroyed);
  const silent = new PassThrough();
  silent.write('some');
  assert.is(
    (await rejects(readInput(silent, 20), UserError)).message,
    'standard input had no end within 0.02 s',
  );
});

test('a stream that breaks is an error', async () => {
  const broken = new Readable({ read: () => broken.destroy(new Error('EIO')) });
  await rejects(readInput(broken), /EIO/);
});

test.run();
