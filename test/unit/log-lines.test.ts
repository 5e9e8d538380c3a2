import { LogLines } from '../../src/adapters/log-lines';
import { assert, suite } from '../support/suite';

function lines(chunks: readonly (string | Buffer)[], secrets: readonly string[] = []): string[] {
  const found: string[] = [];
  const log = new LogLines((line) => found.push(line), secrets);
  for (const chunk of chunks) log.write(Buffer.from(chunk));
  log.end();
  return found;
}

const test = suite('log-lines');

test('lines are whole whatever the chunks', () => {
  assert.equal(lines(['a', 'b\nc', '\n', '\nd']), ['ab', 'c', '', 'd']);
  assert.equal(lines([]), []);
  assert.equal(lines(['a\r\nb\r', '\nc']), ['a', 'b', 'c']);
});

test('I51: of a line that was redrawn the last state stays', () => {
  assert.equal(lines(['10%\r50%\r', '100%\n']), ['100%']);
  assert.equal(lines(['10%\r50%\r\n']), ['50%']);
  assert.equal(lines(['10%\r']), ['10%']);
  assert.equal(lines([`${'x'.repeat(20_000)}\rshort\n`]), ['short']);
});

test('I51: control sequences are removed, cut or whole', () => {
  assert.equal(lines(['\u001b[1;31mred\u001b[0m \u001b[2K\u001b[', '1Aup\n']), ['red up']);
  assert.equal(lines(['\u001b]0;title\u0007a\u001b]8;;http://x\u001b\\link\u001b]8;;\u001b\\\n']), ['alink']);
  assert.equal(lines(['\u001bP1$r\u001b\\a\u009b31mb\u009dtitle\u009cc\n']), ['abc']);
  assert.equal(lines(['a\u001b]0;never ends\nb\n']), ['a', 'b']);
  assert.equal(lines(['\u001b(Ba\u001b7b\u001bcc\u0008\u0007\u0000d\n']), ['abcd']);
  assert.equal(lines(['a\tb\u202ec\u2066d\n']), ['a\tbcd']);
});

test('I26: invalid UTF-8 is replaced, a character across chunks is not', () => {
  assert.equal(lines([Buffer.from([0xff, 0x61, 0x0a])]), ['\ufffda']);
  const euro = Buffer.from('€\n');
  assert.equal(lines([euro.subarray(0, 1), euro.subarray(1)]), ['€']);
  assert.equal(lines([euro.subarray(0, 2)]), ['\ufffd']);
});

test('I50: long lines are cut, and memory does not grow with them', () => {
  assert.equal(lines([`${'x'.repeat(1001)}\ny\n`]), [`${'x'.repeat(1000)}…`, 'y']);
  const found: string[] = [];
  const log = new LogLines((line) => found.push(line));
  const before = process.memoryUsage().heapUsed;
  for (let count = 0; count < 2000; count += 1) log.write(Buffer.alloc(65_536, 'x'));
  log.end();
  assert.equal(found, [`${'x'.repeat(1000)}…`]);
  assert.ok(process.memoryUsage().heapUsed - before < 32 * 1024 ** 2);
});

test('I52: secrets are redacted, also in parts and between control sequences', () => {
  const secrets = ['hunter2', 'hunter2:extra', 'first line\nsecond line', 'ab'];
  assert.equal(lines(['a hunter2 b hunter2:extra\n'], secrets), ['a [REDACTED] b [REDACTED]']);
  assert.equal(lines(['hun\u001b[1mter2\n'], secrets), ['[REDACTED]']);
  assert.equal(lines(['second line, abba\n'], secrets), ['[REDACTED], abba']);
});

test.run();
