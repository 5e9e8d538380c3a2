import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { extract } from 'tar-stream';
import { Git } from '../../src/adapters/git';
import { parseTree } from '../../src/adapters/git-reading';
import { ProcessError, UserError } from '../../src/domain/errors';
import type { TarSource } from '../../src/domain/ports';
import { assert, rejects, suite } from '../support/suite';
import { thrown } from '../support/thrown';

// The repositories of apps, our data, and a work tree to make commits in.
const scratch = mkdtempSync(join(tmpdir(), 'flight-launch-git-'));
const dokkuRoot = join(scratch, 'dokku');
const bare = join(dokkuRoot, 'shop');
const work = join(scratch, 'work');
const env = { PATH: process.env.PATH ?? '', HOME: join(scratch, 'home') };

const author = {
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.org',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.org',
};

function git(args: string[], more: Record<string, string> = {}): string {
  const { status, stdout, stderr } = spawnSync('git', args, {
    cwd: work,
    env: { ...env, ...author, ...more },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`);
  return stdout.trim();
}

function write(path: string, content: string): void {
  mkdirSync(dirname(join(work, path)), { recursive: true });
  writeFileSync(join(work, path), content);
}

function commit(): string {
  git(['add', '--all']);
  git(['commit', '--quiet', '--allow-empty', '--message', 'x']);
  return git(['rev-parse', 'HEAD']);
}

const fresh = (quarantine = {}) =>
  new Git({ root: mkdtempSync(join(scratch, 'data-')), dokkuRoot, env, quarantine });
const source = (revision: string, app = 'shop') => fresh().source(app, revision);

async function unpack({ stream, done }: TarSource): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const parser = stream.pipe(extract());
  for await (const entry of parser) {
    const content = await text(entry);
    if (entry.header.type === 'file') files.set(entry.header.name, content);
    if (entry.header.type === 'symlink') files.set(entry.header.name, `-> ${entry.header.linkname}`);
  }
  await done;
  return files;
}

const test = suite('git');

let first = '';

test.before(() => {
  for (const folder of [dokkuRoot, work, env.HOME]) mkdirSync(folder);
  git(['init', '--quiet', '--bare', bare]);
  git(['init', '--quiet', '--initial-branch', 'main', work]);
  git(['remote', 'add', 'shop', bare]);
  write('client/package.json', '{}');
  write('client/src/Größe 大.js', 'umlaut');
  write('client/line\nbreak.txt', 'newline');
  write('client/-dash.txt', 'dash');
  write('client/"quoted"\t.txt', 'quoted');
  write('client/*.txt', 'glob');
  write('client/run.sh', '#!/bin/sh\n');
  chmodSync(join(work, 'client/run.sh'), 0o755);
  symlinkSync('../shared', join(work, 'client/link'));
  write('clients/other.txt', 'sibling');
  write('shared/a.txt', 'shared');
  write('-folder/x.txt', 'x');
  write('server/app.rb', 'run');
  first = commit();
  git(['push', '--quiet', 'shop', 'main']);
});

test.after(() => {
  rmSync(scratch, { recursive: true });
});

const clientPaths = [
  'client/"quoted"\t.txt',
  'client/*.txt',
  'client/-dash.txt',
  'client/line\nbreak.txt',
  'client/link',
  'client/package.json',
  'client/run.sh',
  'client/src/Größe 大.js',
];

test('I27, I29 entries have their names as they are: line break, dash, quotes, other scripts', async () => {
  const entries = await source(first).entries(['client']);
  assert.equal(entries.map((entry) => entry.path).sort(), clientPaths);
  assert.is(entries.find((entry) => entry.path === 'client/run.sh')?.mode, '100755');
  assert.is(entries.find((entry) => entry.path === 'client/link')?.mode, '120000');
});

test('I62 a path is a path and no pattern', async () => {
  const read = source(first);
  assert.equal(
    (await read.entries(['client/*.txt'])).map((entry) => entry.path),
    ['client/*.txt'],
  );
  assert.equal([...(await unpack(await read.archive(['client/*.txt']))).keys()], ['client/*.txt']);
  assert.is(await read.entry('cli*'), undefined);
  assert.is(await read.entry(':(glob)**'), undefined);
});

test('I10 a folder is not the one whose name begins alike', async () => {
  const paths = (await source(first).entries(['client'])).map((entry) => entry.path);
  assert.not.ok(paths.some((path) => path.startsWith('clients/')));
});

test('I29, I71 a path that begins with a dash is a path', async () => {
  const read = source(first);
  assert.equal(
    (await read.entries(['-folder'])).map((entry) => entry.path),
    ['-folder/x.txt'],
  );
  assert.is((await read.entry('-folder'))?.type, 'tree');
  assert.equal([...(await unpack(await read.archive(['-folder']))).keys()], ['-folder/x.txt']);
  assert.is(await read.entry('--output=x'), undefined);
});

test('an entry is a file, a folder, a link or nothing', async () => {
  const read = source(first);
  assert.is((await read.entry('client'))?.type, 'tree');
  assert.is((await read.entry('client/package.json'))?.type, 'blob');
  assert.is((await read.entry('client/link'))?.mode, '120000');
  assert.is(await read.entry('client/none'), undefined);
  assert.is(await read.entry('client/package.json/below'), undefined);
  assert.equal(await read.entry('.'), {
    mode: '040000',
    type: 'tree',
    id: git(['rev-parse', `${first}^{tree}`]),
    path: '.',
  });
});

test('the whole repository can be listed and archived', async () => {
  const read = source(first);
  const paths = (await read.entries(['.'])).map((entry) => entry.path).sort();
  assert.equal(
    paths,
    [...clientPaths, '-folder/x.txt', 'clients/other.txt', 'server/app.rb', 'shared/a.txt'].sort(),
  );
  assert.equal([...(await unpack(await read.archive(['.']))).keys()].sort(), paths);
});

test('paths that overlap, or are named twice, come once', async () => {
  const read = source(first);
  const archive = await read.archive(['client', 'client/src', 'shared', 'shared']);
  const files = await unpack(archive);
  assert.is(archive.expected, files.size);
  assert.equal([...files.keys()].sort(), [...clientPaths, 'shared/a.txt']);
});

test('a path that the commit lacks leaves the archive without it, or fails, but does not end well', async () => {
  const { stream, done } = await source(first).archive(['client', 'nowhere']);
  stream.resume();
  await rejects(done, ProcessError);
});

test('I36 a client that is a link is seen as one, and nothing behind it is read', async () => {
  git(['checkout', '--quiet', '-B', 'linked', first]);
  rmSync(join(work, 'client'), { recursive: true });
  symlinkSync('/etc', join(work, 'client'));
  const linked = commit();
  git(['push', '--quiet', 'shop', 'linked']);
  const read = source(linked);
  assert.is((await read.entry('client'))?.mode, '120000');
  assert.equal(
    (await read.entries(['client'])).map(({ path, mode }) => [path, mode]),
    [['client', '120000']],
  );
  assert.equal([...(await unpack(await read.archive(['client']))).entries()], [['client', '-> /etc']]);
});

test('I39 a submodule is listed as such and not counted among the files', async () => {
  git(['checkout', '--quiet', '--force', '-B', 'submodule', first]);
  git(['update-index', '--add', '--cacheinfo', `160000,${first},client/lib`]);
  git(['commit', '--quiet', '--message', 'x']);
  const revision = git(['rev-parse', 'HEAD']);
  git(['push', '--quiet', 'shop', 'submodule']);
  const read = source(revision);
  assert.is((await read.entry('client/lib'))?.type, 'commit');
  assert.is((await read.entries(['client'])).find((entry) => entry.path === 'client/lib')?.mode, '160000');
  const archive = await read.archive(['client']);
  assert.is(archive.expected, clientPaths.length);
  assert.is((await unpack(archive)).size, archive.expected);
});

const keyword = '$Format:%H$ $Id$\n';

test('I37, I38 no attribute changes what is read: neither those of the tree nor those of the repository', async () => {
  git(['checkout', '--quiet', '--force', '-B', 'attributes', first]);
  git(['config', 'core.autocrlf', 'false']);
  write('client/kept.txt', keyword);
  write('client/crlf.txt', 'a\nb\n');
  write('client/windows.txt', 'a\r\nb\r\n');
  // Committed before the attributes, so that they do not change what goes into the commit.
  commit();
  const attributes = [
    '* export-subst ident',
    'client export-ignore',
    '/client/** export-ignore',
    '*.js export-ignore',
    'crlf.txt text eol=crlf',
    'windows.txt text',
    '*.txt filter=shout working-tree-encoding=UTF-16',
  ].join('\n');
  write('.gitattributes', `${attributes}\n`);
  write('client/.gitattributes', '* export-ignore\n* export-subst\n* text eol=crlf\n');
  git(['add', '.gitattributes', 'client/.gitattributes']);
  git(['commit', '--quiet', '--message', 'x']);
  const revision = git(['rev-parse', 'HEAD']);
  git(['push', '--quiet', 'shop', 'attributes']);
  mkdirSync(join(bare, 'info'), { recursive: true });
  writeFileSync(join(bare, 'info/attributes'), '* export-ignore export-subst\n');
  git(['config', '--file', join(bare, 'config'), 'filter.shout.smudge', 'tr a-z A-Z']);
  git(['config', '--file', join(bare, 'config'), 'core.autocrlf', 'true']);
  git(['config', '--file', join(bare, 'config'), 'tar.umask', '0777']);
  git(['config', '--global', 'core.autocrlf', 'true']);
  git(['config', '--global', 'filter.shout.smudge', 'tr a-z A-Z']);
  writeFileSync(join(env.HOME, 'attributes'), '* export-ignore\n');
  git(['config', '--global', 'core.attributesFile', join(env.HOME, 'attributes')]);
  try {
    const archive = await source(revision).archive(['client']);
    const files = await unpack(archive);
    assert.is(files.size, clientPaths.length + 4);
    assert.is(files.size, archive.expected);
    assert.is(files.get('client/kept.txt'), keyword);
    assert.is(files.get('client/crlf.txt'), 'a\nb\n');
    assert.is(files.get('client/windows.txt'), 'a\r\nb\r\n');
  } finally {
    rmSync(join(env.HOME, '.gitconfig'));
    rmSync(join(bare, 'info/attributes'));
  }
});

test('I40 a pointer of LFS is the file that is committed, and no filter runs', async () => {
  git(['checkout', '--quiet', '--force', '-B', 'lfs', first]);
  const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n';
  write('client/big.bin', pointer);
  write('.gitattributes', '*.bin filter=lfs diff=lfs merge=lfs -text\n');
  const revision = commit();
  git(['push', '--quiet', 'shop', 'lfs']);
  assert.is((await unpack(await source(revision).archive(['client']))).get('client/big.bin'), pointer);
});

test('H9 a commit in quarantine is read, from objects that no one else sees', async () => {
  git(['checkout', '--quiet', '--force', '-B', 'pushed', first]);
  const quarantine = mkdtempSync(join(bare, 'objects/tmp_objdir-incoming-'));
  const inQuarantine = {
    GIT_OBJECT_DIRECTORY: quarantine,
    GIT_ALTERNATE_OBJECT_DIRECTORIES: join(bare, 'objects'),
  };
  // Built without a work tree's own objects, so that the new ones are in the quarantine alone.
  const blob = spawnSync('git', ['hash-object', '-w', '--stdin'], {
    env: { ...env, ...inQuarantine, GIT_DIR: bare },
    input: 'fresh',
    encoding: 'utf8',
  }).stdout.trim();
  const plumbing = { ...inQuarantine, GIT_DIR: bare, GIT_INDEX_FILE: join(scratch, 'index') };
  git(['read-tree', first], plumbing);
  git(['update-index', '--add', '--cacheinfo', `100644,${blob},client/fresh.txt`], plumbing);
  const tree = git(['write-tree'], plumbing);
  const revision = git(['commit-tree', '-p', first, '-m', 'x', tree], plumbing);

  const read = fresh(inQuarantine).source('shop', revision);
  assert.is((await read.entry('client/fresh.txt'))?.id, blob);
  const files = await unpack(await read.archive(['client']));
  assert.is(files.get('client/fresh.txt'), 'fresh');
  assert.is(files.get('client/package.json'), '{}');
  const error = await rejects(source(revision).entry('client'), UserError);
  assert.is(error.message, `commit ${revision} is not in the repository`);

  const repository = fresh();
  assert.is(await repository.has('shop', revision), false);
  assert.is(await repository.isArriving('shop', revision), true);
  assert.is(await repository.isArriving('shop', first), false);
  assert.is(await repository.isArriving('no-such-app', revision), false);
  rmSync(quarantine, { recursive: true });
  assert.is(await repository.isArriving('shop', revision), false);
});

test('a file is read whole, and not at all where it is too large', async () => {
  const read = source(first);
  const entry = await read.entry('client/src/Größe 大.js');
  assert.ok(entry !== undefined);
  assert.is((await read.read(entry, 6)).toString(), 'umlaut');
  const error = await rejects(read.read(entry, 5), UserError);
  assert.is(error.message, 'client/src/Größe 大.js is 6 B large; at most 5 B is read');
});

test('a commit that is not there is told as such', async () => {
  for (const revision of ['0'.repeat(40), 'f'.repeat(40)]) {
    for (const attempt of [
      () => source(revision).entry('.'),
      () => source(revision).entry('client'),
      () => source(revision).entries(['client']),
      () => source(revision).archive(['client']),
    ]) {
      assert.is((await rejects(attempt(), UserError)).message, `commit ${revision} is not in the repository`);
    }
  }
});

test("reading leaves the app's repository as it was", async () => {
  const refs = git(['--git-dir', bare, 'for-each-ref']);
  const read = source(first);
  await unpack(await read.archive(['client']));
  await read.entries(['.']);
  assert.is(git(['--git-dir', bare, 'for-each-ref']), refs);
  assert.not.ok(existsSync(join(bare, 'info/attributes')));
});

test('a reader that a crash left half-made is mended', async () => {
  const root = mkdtempSync(join(scratch, 'data-'));
  mkdirSync(join(root, 'reader.git'));
  writeFileSync(join(root, 'reader.git/HEAD'), '');
  const read = new Git({ root, dokkuRoot, env, quarantine: {} }).source('shop', first);
  assert.is((await read.entry('client'))?.type, 'tree');
});

test('two deploys at once may make the reader', async () => {
  const root = mkdtempSync(join(scratch, 'data-'));
  const entries = await Promise.all(
    Array.from({ length: 4 }, () =>
      new Git({ root, dokkuRoot, env, quarantine: {} }).source('shop', first).entry('client'),
    ),
  );
  for (const entry of entries) assert.is(entry?.type, 'tree');
});

test('a branch is found by its whole name', async () => {
  git(['push', '--quiet', 'shop', `${first}:refs/heads/team/main`, `${first}:refs/heads/mainline`]);
  const repository = fresh();
  assert.is(await repository.branch('shop', 'main'), first);
  assert.is(await repository.branch('shop', 'team/main'), first);
  assert.is(await repository.branch('shop', 'none'), undefined);
  // A folder of branches, a pattern and nothing at all are no branch.
  for (const name of ['team', 'team/', 'mai*', '*', '']) {
    assert.is(await repository.branch('shop', name), undefined, name);
  }
});

test('an app without a repository has no branch', async () => {
  mkdirSync(join(dokkuRoot, 'empty'));
  assert.is(await fresh().branch('empty', 'main'), undefined);
});

test('a commit is kept under a ref', async () => {
  await fresh().keep('shop', `refs/flight-launch/before-setup/${first}`, first);
  assert.is(git(['--git-dir', bare, 'rev-parse', `refs/flight-launch/before-setup/${first}`]), first);
});

test('a listing that is not as git writes it is refused', () => {
  const id = 'a'.repeat(40);
  assert.equal(parseTree(`100644 blob ${id}\ta\nb\t c\0`), [
    { mode: '100644', type: 'blob', id, path: 'a\nb\t c' },
  ]);
  assert.equal(parseTree(''), []);
  for (const line of [
    `100666 blob ${id}\ta`,
    `100644 tag ${id}\ta`,
    '100644 blob 12\ta',
    `100644 blob ${id}\t`,
    'x\u001b',
  ]) {
    const error = thrown(() => parseTree(`${line}\0`), UserError);
    assert.match(error.message, /^git lists an entry of unknown kind: /);
    assert.not.match(error.message, /[\u0000-\u001f]/);
  }
});

test('H9 the configuration of the user that runs it does not reach git', async () => {
  // Git gives up on a value like this wherever it reads it.
  appendFileSync(join(env.HOME, '.gitconfig'), '[core]\n\tcompression = nonsense\n');
  const read = source(first);
  assert.equal(
    (await read.entries(['client/src'])).map((entry) => entry.path),
    ['client/src/Größe 大.js'],
  );
  assert.is((await unpack(await read.archive(['client']))).size, clientPaths.length);
  assert.is(await fresh().branch('shop', 'main'), first);
});

test.run();
