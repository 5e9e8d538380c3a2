import { execFileSync } from 'node:child_process';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { lstat, mkdir, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { placeArtifact, readTar, streamOf, TarWriter } from '../../src/adapters/tar';
import { maxEntries, type ArchiveRules, type Entry } from '../../src/domain/archive-rules';
import { UserError } from '../../src/domain/errors';
import { endOfArchive, paddingBytes, tarHeader } from '../../src/domain/tar-format';
import { assert, rejects, suite } from '../support/suite';

interface Context {
  folder: string;
}

const rules: ArchiveRules = {
  subject: 'a test',
  remedy: 'Mend it.',
  maxEntries,
  maxBytes: 1024 ** 3,
  sizeRemedy: 'Make it smaller.',
};

type Read = (Entry & { content?: string })[];

async function read(bytes: Buffer | Buffer[], changes: Partial<ArchiveRules> = {}): Promise<Read> {
  const found: Read = [];
  const stream = Readable.from([bytes].flat(), { objectMode: false });
  for await (const { entry, content } of readTar(stream, { ...rules, ...changes })) {
    const chunks: Buffer[] = [];
    for await (const chunk of content) chunks.push(chunk);
    found.push(entry.kind === 'file' ? { ...entry, content: Buffer.concat(chunks).toString() } : entry);
  }
  return found;
}

async function refused(bytes: Buffer | Buffer[]): Promise<string> {
  const error = await rejects(read(bytes), UserError);
  assert.ok(error.remedy);
  return error.message;
}

const owner = { uid: 0, gid: 0 };

function header(entry: Entry): Buffer {
  return tarHeader(entry, entry.path, owner, 'target' in entry ? entry.target : '');
}

function fileEntry(path: string, content: string): Buffer {
  const size = Buffer.byteLength(content);
  return Buffer.concat([
    header({ kind: 'file', path, size, executable: false }),
    Buffer.from(content),
    Buffer.alloc(paddingBytes(size)),
  ]);
}

/** Changes bytes of a header block and mends its checksum. */
function patched(block: Buffer, offset: number, bytes: string | Buffer): Buffer {
  const copy = Buffer.from(block);
  Buffer.from(bytes).copy(copy, offset);
  copy.fill(' ', 148, 156);
  const sum = copy.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  copy.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return copy;
}

/** An extended header with these bytes. */
function pax(body: string | Buffer, type = 'x'): Buffer {
  const bytes = Buffer.from(body);
  const block = header({ kind: 'file', path: 'pax', size: bytes.length, executable: false });
  return Buffer.concat([patched(block, 156, type), bytes, Buffer.alloc(paddingBytes(bytes.length))]);
}

function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const length = Buffer.byteLength(rest);
  const digits = [1, 2, 3, 4, 5, 6].find((count) => String(length + count).length === count) ?? 0;
  return `${String(length + digits)}${rest}`;
}

const whole = Buffer.concat([fileEntry('a', 'one'), fileEntry('b', 'two'), endOfArchive]);
const empty = header({ kind: 'file', path: 'a', size: 0, executable: false });

async function write(path: string, entries: readonly (Entry & { content?: string })[]): Promise<void> {
  const tar = async function* (): AsyncGenerator<Buffer> {
    const writer = new TarWriter(owner);
    for (const { content = '', ...entry } of entries) {
      yield* writer.entry(entry, Readable.from([Buffer.from(content)]));
    }
    yield* writer.end();
  };
  await pipeline(streamOf(tar()), createWriteStream(path));
}

function file(path: string, content: string, executable = false): Entry & { content: string } {
  return { kind: 'file', path, size: Buffer.byteLength(content), executable, content };
}

const test = suite<Context>('tar', { folder: '' });

test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'tar-test-'));
});

test.after.each((context) => {
  rmSync(context.folder, { recursive: true });
});

test('reads what GNU tar and git write, in chunks of any size', async ({ folder }) => {
  await mkdir(join(folder, 'in/deep'), { recursive: true });
  await writeFile(join(folder, 'in/deep/a'), 'x'.repeat(2000), { mode: 0o755 });
  await writeFile(join(folder, 'in', `${'long'.repeat(40)}.é`), 'y');
  await symlink('deep/a', join(folder, 'in/link'));
  const tar = execFileSync('tar', ['--format=pax', '--sort=name', '-C', join(folder, 'in'), '-c', '.']);
  const expected: Read = [
    { kind: 'folder', path: 'deep' },
    { kind: 'file', path: 'deep/a', size: 2000, executable: true, content: 'x'.repeat(2000) },
    { kind: 'symlink', path: 'link', target: 'deep/a' },
    { kind: 'file', path: `${'long'.repeat(40)}.é`, size: 1, executable: false, content: 'y' },
  ];
  assert.equal(await read(tar), expected);
  const bytes = Array.from({ length: Math.ceil(tar.length / 7) }, (_, index) =>
    tar.subarray(index * 7, index * 7 + 7),
  );
  assert.equal(await read(bytes), expected);

  const git = (...args: string[]): Buffer =>
    execFileSync('git', ['-C', join(folder, 'in'), '-c', 'user.name=a', '-c', 'user.email=a@b', ...args]);
  git('init', '--quiet');
  git('add', '.');
  git('commit', '--quiet', '--message', 'x');
  const paths = (await read(git('archive', '--format=tar', 'HEAD'))).map(({ path }) => path);
  assert.equal(paths.sort(), ['deep', 'deep/a', 'link', `${'long'.repeat(40)}.é`].sort());
});

test('GNU tar reads what is written, long names, links and all', async ({ folder }) => {
  const long = Array.from({ length: 9 }, (_, index) => `${'folder-é-'.repeat(8)}${index}`).join('/');
  const entries: Read = [
    file(`${long}/file`, 'content', true),
    { kind: 'symlink', path: 'link', target: long },
    { kind: 'hardlink', path: 'hard', target: `${long}/file`, size: 7 },
    file('plain', ''),
  ];
  await write(join(folder, 'a.tar'), entries);
  await mkdir(join(folder, 'out'));
  execFileSync('tar', ['-C', join(folder, 'out'), '-xf', join(folder, 'a.tar')]);
  assert.is(await readFile(join(folder, 'out', long, 'file'), 'utf8'), 'content');
  assert.is(await readFile(join(folder, 'out/hard'), 'utf8'), 'content');
  assert.is(await readlink(join(folder, 'out/link')), long);
  assert.is((await stat(join(folder, 'out', long, 'file'))).mode & 0o7777, 0o755);
  const back = await read(await readFile(join(folder, 'a.tar')));
  assert.equal(
    back.filter(({ kind }) => kind !== 'folder'),
    entries,
  );
});

test('every folder on the way has the owner of the entries', async ({ folder }) => {
  const tar = async function* (): AsyncGenerator<Buffer> {
    const writer = new TarWriter({ uid: 1500, gid: 1500 }, 'workspace');
    yield* writer.file('client/src/a.js', Buffer.from('1'));
    yield* writer.entry(
      { kind: 'hardlink', path: 'client/b', target: 'client/src/a.js', size: 1 },
      Readable.from([]),
    );
    yield* writer.end();
  };
  await pipeline(streamOf(tar()), createWriteStream(join(folder, 'a.tar')));
  const listing = execFileSync('tar', ['--numeric-owner', '-tvf', join(folder, 'a.tar')], {
    encoding: 'utf8',
  });
  assert.equal(
    listing
      .trim()
      .split('\n')
      .map((line) => line.replace(/ +\d+ 1980-01-01 \d\d:\d\d/, '')),
    [
      'drwxr-xr-x 1500/1500 workspace/',
      'drwxr-xr-x 1500/1500 workspace/client/',
      'drwxr-xr-x 1500/1500 workspace/client/src/',
      '-rw-r--r-- 1500/1500 workspace/client/src/a.js',
      'hrw-r--r-- 1500/1500 workspace/client/b link to workspace/client/src/a.js',
    ],
  );
});

test('a stream is written no faster than it is read', async () => {
  let written = 0;
  const endless = async function* (): AsyncGenerator<Buffer> {
    const writer = new TarWriter(owner);
    for (; written < 100_000; written += 1) {
      const entry: Entry = { kind: 'symlink', path: String(written), target: 'x' };
      yield* writer.entry(entry, Readable.from([]));
    }
  };
  const stream = streamOf(endless());
  await new Promise((settle) => stream.once('readable', settle));
  assert.ok(written < 1000, `${written} entries`);
  stream.destroy();
});

test('an error of the source is the error of the reader', async () => {
  const failing = async function* (): AsyncGenerator<Buffer> {
    yield await Promise.resolve(whole.subarray(0, 700));
    throw new Error('the source broke');
  };
  const reading = async (): Promise<void> => {
    for await (const { content } of readTar(streamOf(failing()), rules)) for await (const _ of content);
  };
  assert.is((await rejects(reading())).message, 'the source broke');
});

test('content that nobody reads is skipped', async () => {
  const names: string[] = [];
  for await (const { entry } of readTar(Readable.from([whole], { objectMode: false }), rules))
    names.push(entry.path);
  assert.equal(names, ['a', 'b']);
});

test('I11: NUL in an extended name', async () => {
  assert.match(await refused([pax(record('path', 'a\0b')), empty, endOfArchive]), 'a NUL in its "path"');
  assert.match(
    await refused([pax(record('linkpath', 'a\0b')), empty, endOfArchive]),
    'a NUL in its "linkpath"',
  );
  assert.match(await refused([pax(record('path', '')), empty, endOfArchive]), 'an empty "path"');
});

test('I12: sizes of an extended header that are none, or not the same', async () => {
  for (const size of ['NaN', '-1', '1e3', '0x10', ' 1', '99999999999999999']) {
    assert.match(await refused([pax(record('size', size)), empty, endOfArchive]), `"${size}" for a size`);
  }
  const three = fileEntry('a', 'one');
  assert.match(await refused([pax(record('size', '700')), three, endOfArchive]), 'two different sizes');
  const body = Buffer.concat([Buffer.from('one'), Buffer.alloc(509)]);
  assert.equal(
    await read([pax(record('size', '3')), empty, body, endOfArchive]),
    [file('a', 'one')].map((entry) => entry),
  );
});

test('I13: a size before a long name, and GNU long names at all', async () => {
  const gnu = patched(header({ kind: 'file', path: '././@LongLink', size: 0, executable: false }), 156, 'L');
  assert.match(await refused([pax(record('size', '512')), gnu, empty, endOfArchive]), 'unknown type "L"');
  assert.match(await refused([gnu, empty, endOfArchive]), 'unknown type "L"');
});

test('I14, I15: sizes that are negative or beyond all measure', async () => {
  assert.match(
    await refused([patched(empty, 124, Buffer.alloc(12, 0xff)), endOfArchive]),
    'a size is negative',
  );
  const huge = Buffer.alloc(12);
  huge[0] = 0x80;
  huge[4] = 1;
  assert.match(await refused([patched(empty, 124, huge), endOfArchive]), 'a size is too large');
  assert.match(await refused([patched(empty, 124, '00000000009\0'), endOfArchive]), 'a size is no number');
  assert.match(await refused([patched(empty, 124, '-0000000001\0'), endOfArchive]), 'a size is no number');
  const over = await rejects(read(whole, { maxBytes: 5 }), UserError);
  assert.is(over.message, 'A test is larger than its limit of 5 B');
});

test('I16: a folder or a link with content', async () => {
  const folder = header({ kind: 'folder', path: 'a/' });
  assert.match(
    await refused([patched(folder, 124, '00000001000\0'), Buffer.alloc(512), endOfArchive]),
    'has content',
  );
  const link = header({ kind: 'symlink', path: 'a', target: 'b' });
  assert.match(
    await refused([patched(link, 124, '00000001000\0'), Buffer.alloc(512), endOfArchive]),
    'has content',
  );
  const named = header({ kind: 'file', path: 'a/', size: 0, executable: false });
  assert.match(await refused([named, endOfArchive]), 'a file named as a folder');
});

test('I17: an extended header of 5 MiB', async () => {
  assert.match(
    await refused([pax(record('comment', 'x'.repeat(900_000))), empty, endOfArchive]),
    'larger than 65536',
  );
  assert.match(await refused([pax('9 a=b\n'), empty, endOfArchive]), 'a wrong length');
  assert.match(await refused([pax('x'), empty, endOfArchive]), 'a wrong length');
  assert.match(await refused([pax('6 a  \n'), empty, endOfArchive]), 'a record without a key');
  assert.match(await refused([pax(record('a', 'b')), empty, endOfArchive]), 'sets "a", which is unknown');
  assert.match(await refused([pax(record('path', 'b').repeat(2)), empty, endOfArchive]), 'sets "path" twice');
  assert.match(await refused([pax(record('path', 'b')), pax(record('path', 'c')), empty]), 'stands alone');
  assert.equal((await read([pax(record('SCHILY.xattr.user.x', '1')), empty, endOfArchive])).length, 1);
});

test('I22: sparse files, and types that are unknown', async () => {
  const sparse = pax(record('GNU.sparse.major', '1') + record('path', 'x'));
  assert.match(await refused([sparse, empty, endOfArchive]), 'a sparse file');
  assert.match(await refused([patched(empty, 156, 'S'), endOfArchive]), 'entry "a" is of unknown type "S"');
  assert.match(await refused([patched(empty, 156, '7'), endOfArchive]), 'contiguous-file');
});

test('I26: names that are not UTF-8', async () => {
  const raw = Buffer.from([0x61, 0xff]);
  assert.match(await refused([patched(empty, 0, raw), endOfArchive]), 'a name is not UTF-8: "aÿ"');
  const inPax = Buffer.concat([Buffer.from('10 path='), raw, Buffer.from('\n')]);
  inPax.write('11');
  assert.match(await refused([pax(inPax), empty, endOfArchive]), 'not UTF-8');
});

test('I31, I32, I33: cut, empty, or followed by more', async () => {
  assert.match(await refused(whole.subarray(0, 1024)), 'it was cut before its end');
  assert.match(await refused(whole.subarray(0, 2048)), 'it was cut before its end');
  assert.match(await refused(whole.subarray(0, 2048 + 512)), 'it was cut before its end');
  assert.match(await refused(whole.subarray(0, 515)), 'it was cut before its end');
  assert.match(await refused([]), 'it is empty');
  assert.match(await refused([whole, fileEntry('c', 'x')]), 'data follows its end');
  assert.match(
    await refused([fileEntry('a', 'x'), Buffer.alloc(512), fileEntry('b', 'x')]),
    'data follows its end',
  );
  assert.match(await refused([whole, Buffer.alloc(2 * 1024 ** 2)]), 'data follows its end');
  assert.is((await read([whole, Buffer.alloc(10_240)])).length, 2);
});

test('I34: a checksum that is wrong, and formats that are unknown', async () => {
  const wrong = Buffer.from(empty);
  wrong.write('b', 0);
  assert.match(await refused([wrong, endOfArchive]), 'a checksum is wrong');
  assert.match(await refused([patched(empty, 257, Buffer.alloc(8)), endOfArchive]), 'an unknown format');
  assert.match(await refused(Buffer.from('<html>'.repeat(200))), 'cannot be taken');
});

test('I35: a global name', async () => {
  assert.match(await refused([pax(record('path', '../x'), 'g'), empty, endOfArchive]), 'more than a comment');
  assert.equal((await read([pax(record('comment', 'abc'), 'g'), empty, endOfArchive])).length, 1);
});

test('placing: files replace what has their name, and are listed', async ({ folder }) => {
  const artifact = join(folder, 'a.tar');
  await write(artifact, [
    file('index.html', 'new'),
    file('assets/a.js', '1', true),
    { kind: 'hardlink', path: 'assets/b.js', target: 'assets/a.js', size: 1 },
    { kind: 'symlink', path: 'latest', target: 'assets/a.js' },
    { kind: 'folder', path: 'none' },
  ]);
  const root = join(folder, 'wd');
  await mkdir(join(root, 'app/public'), { recursive: true });
  await writeFile(join(root, 'app/public/index.html'), 'old');
  await writeFile(join(root, 'app/public/robots.txt'), 'kept');
  // A link under the name of a file is replaced itself; what it points at stays (I42).
  await writeFile(join(folder, 'outside'), 'kept');
  await symlink(join(folder, 'outside'), join(root, 'app/public/latest'));
  assert.equal(await placeArtifact(artifact, root, 'app/public'), ['index.html', 'latest']);
  const placed = join(root, 'app/public');
  assert.equal((await readdir(placed)).sort(), ['assets', 'index.html', 'latest', 'none', 'robots.txt']);
  assert.is(await readFile(join(placed, 'index.html'), 'utf8'), 'new');
  assert.is(await readFile(join(placed, 'latest'), 'utf8'), '1');
  assert.is(await readFile(join(folder, 'outside'), 'utf8'), 'kept');
  const a = await stat(join(placed, 'assets/a.js'));
  const b = await stat(join(placed, 'assets/b.js'));
  assert.is(a.mode & 0o7777, 0o755);
  assert.is(a.nlink, 1);
  assert.not.equal(a.ino, b.ino);
  assert.ok(Date.now() - a.mtimeMs < 60_000, 'servers derive Last-Modified from it');
});

test('placing: the public folder is made where there is none', async ({ folder }) => {
  const artifact = join(folder, 'a.tar');
  await write(artifact, [file('index.html', 'x')]);
  await mkdir(join(folder, 'wd'));
  assert.equal(await placeArtifact(artifact, join(folder, 'wd'), 'a/b/public'), []);
  assert.is(await readFile(join(folder, 'wd/a/b/public/index.html'), 'utf8'), 'x');
  assert.equal(await placeArtifact(artifact, join(folder, 'wd'), '.'), []);
});

test('I41: placing never writes through a symlink', async ({ folder }) => {
  const artifact = join(folder, 'a.tar');
  await write(artifact, [file('assets/a.js', 'x')]);
  const outside = join(folder, 'outside');
  await mkdir(outside);
  for (const [name, make] of [
    ['public', (wd: string) => symlink(outside, join(wd, 'public'))],
    [
      'public/assets',
      async (wd: string) => {
        await mkdir(join(wd, 'public'));
        await symlink(outside, join(wd, 'public/assets'));
      },
    ],
  ] as const) {
    const wd = mkdtempSync(join(folder, 'wd-'));
    await make(wd);
    const error = await rejects(placeArtifact(artifact, wd, 'public'), UserError);
    assert.is(
      error.message,
      `${name} of the server is a symlink, where a folder for the built client has to be`,
    );
    assert.match(error.remedy ?? '', 'server.public');
  }
  const wd = mkdtempSync(join(folder, 'wd-'));
  await symlink(outside, join(wd, 'app'));
  assert.match(
    (await rejects(placeArtifact(artifact, wd, 'app/public'), UserError)).message,
    'app of the server',
  );
  assert.equal(await readdir(outside), []);
});

test('placing: a file in the way of a folder, and a folder in the way of a file', async ({ folder }) => {
  const artifact = join(folder, 'a.tar');
  await write(artifact, [file('assets/a.js', 'x')]);
  const wd = join(folder, 'wd');
  await mkdir(join(wd, 'one'), { recursive: true });
  await writeFile(join(wd, 'one/assets'), 'kept');
  const blocked = await rejects(placeArtifact(artifact, wd, 'one'), UserError);
  assert.match(blocked.message, 'one/assets of the server is a file');
  await mkdir(join(wd, 'two/assets/a.js'), { recursive: true });
  const full = await rejects(placeArtifact(artifact, wd, 'two'), UserError);
  assert.match(full.message, 'two/assets/a.js of the server is a folder');
  await writeFile(join(wd, 'three'), 'kept');
  assert.match(
    (await rejects(placeArtifact(artifact, wd, 'three'), UserError)).message,
    'three of the server is a file',
  );
  assert.ok((await lstat(join(wd, 'three'))).isFile());
});

test('placing: a stored client that is damaged', async ({ folder }) => {
  await mkdir(join(folder, 'wd'));
  await writeFile(join(folder, 'a.tar'), whole.subarray(0, 1024));
  const error = await rejects(placeArtifact(join(folder, 'a.tar'), join(folder, 'wd'), 'public'), UserError);
  assert.match(error.message, 'The archive of the stored client cannot be taken');
});

test.run();
