import {
  ArchiveChecker,
  checkNotLfsPointer,
  checkTree,
  maxEntries,
  type ArchiveRules,
  type Entry,
  type RawEntry,
} from '../../src/domain/archive-rules';
import { UserError } from '../../src/domain/errors';
import { assert, suite } from '../support/suite';

const rules: ArchiveRules = {
  subject: 'the built client (client/dist)',
  remedy: 'Leave plain files.',
  maxEntries,
  maxBytes: 1000,
  sizeRemedy: 'Make it smaller.',
};

function file(name: string, size = 1, mode = 0o644): RawEntry {
  return { name, type: 'file', size, mode, target: '' };
}

function folder(name: string): RawEntry {
  return { name, type: 'directory', size: 0, mode: 0o755, target: '' };
}

function symlink(name: string, target: string): RawEntry {
  return { name, type: 'symlink', size: 0, mode: 0o777, target };
}

function link(name: string, target: string): RawEntry {
  return { name, type: 'link', size: 0, mode: 0o644, target };
}

function check(entries: readonly RawEntry[], changes: Partial<ArchiveRules> = {}): (Entry | undefined)[] {
  const checker = new ArchiveChecker({ ...rules, ...changes });
  return entries.map((entry) => checker.check(entry));
}

function refused(entries: readonly RawEntry[], changes: Partial<ArchiveRules> = {}): string {
  try {
    check(entries, changes);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    assert.ok(error.remedy, 'a remedy');
    assert.not.match(error.message, /[\u0000-\u001f]/);
    return error.message;
  }
  throw new Error('nothing was refused');
}

const test = suite('archive-rules');

test('plain entries keep their names and lose all modes but one', () => {
  assert.equal(check([folder('./'), folder('a/'), file('./a/x', 3, 0o6755), file('b', 2, 0o4644)]), [
    undefined,
    { kind: 'folder', path: 'a' },
    { kind: 'file', path: 'a/x', size: 3, executable: true },
    { kind: 'file', path: 'b', size: 2, executable: false },
  ]);
});

test('the root is taken off all names', () => {
  const entries = [folder('dist/'), file('dist/a'), link('dist/b', 'dist/a'), symlink('dist/c', 'a')];
  assert.equal(check(entries, { root: 'dist' }), [
    undefined,
    { kind: 'file', path: 'a', size: 1, executable: false },
    { kind: 'hardlink', path: 'b', target: 'a', size: 1 },
    { kind: 'symlink', path: 'c', target: 'a' },
  ]);
  assert.match(refused([file('dist', 1)], { root: 'dist' }), 'is a file, it has to be a folder');
});

test('I1, I2, I3: names that leave the root', () => {
  assert.is(refused([file('../x')]), 'Entry "../x" of the built client (client/dist) has ".." in its name');
  assert.match(refused([file('a/../../x')]), '"a/../../x"');
  assert.match(refused([file('/etc/passwd')]), 'has an absolute name');
  assert.match(refused([file('a//b')]), 'empty');
  assert.match(refused([file('a/./b')]), 'empty or "."');
  assert.match(refused([file('')]), 'empty');
});

test('I4: a symlink, then a child of it', () => {
  const message = refused([folder('real'), symlink('a', 'real'), file('a/x')]);
  assert.match(message, 'Entry "a/x" of the built client (client/dist) lies below "a", which is a symlink');
  assert.match(refused([file('a'), file('a/x')]), 'which is a file');
});

test('I5: the same entry as link and as folder', () => {
  assert.match(refused([folder('a'), symlink('a', 'b')]), 'comes twice, first as a folder');
  assert.match(refused([symlink('a', 'b'), folder('a')]), 'comes twice, first as a symlink');
  assert.match(refused([file('a/x'), symlink('a', 'b')]), 'comes twice, first as a folder');
  assert.match(refused([file('a'), file('./a')]), 'comes twice, first as a file');
  assert.is(check([folder('a'), folder('a/'), file('a/x')]).length, 3);
});

test('I6, I43: symlinks that leave the root, alone or as a chain', () => {
  assert.match(refused([symlink('a', '/etc')]), 'an absolute path');
  assert.match(refused([symlink('a', '..')]), 'leads outside');
  assert.match(refused([symlink('a/b', '../../x')]), 'leads outside');
  // `here` is the root itself, so `here/..` is outside although the names alone say otherwise.
  assert.match(refused([symlink('here', '.'), symlink('out', 'here/..')]), 'where ".." follows a name');
  assert.match(refused([symlink('a', '')]), 'which is empty');
  assert.match(refused([symlink('a', 'b\0c')]), 'a NUL');
  assert.equal(check([symlink('a/b/c', '../../x/y')])[0], {
    kind: 'symlink',
    path: 'a/b/c',
    target: '../../x/y',
  });
});

test('I7, I8, I9: hard links to outside, through a symlink, and under a name that is taken', () => {
  assert.match(refused([link('a', '../x')]), '".."');
  assert.match(refused([link('a', '/etc/passwd')]), 'absolute');
  assert.match(refused([link('a', 'later'), file('later')]), 'no file that came before');
  assert.match(refused([folder('d'), symlink('s', 'd'), link('a', 's/x')]), 'no file that came before');
  assert.match(refused([symlink('s', 'x'), link('a', 's')]), 'no file that came before');
  assert.match(refused([folder('d'), link('a', 'd')]), 'no file that came before');
  assert.match(refused([file('x'), link('a', 'x'), file('a')]), 'comes twice, first as a hard link');
  assert.equal(check([file('x', 7), link('a', 'x'), link('b', 'a')])[2], {
    kind: 'hardlink',
    path: 'b',
    target: 'a',
    size: 7,
  });
});

test('I10: a sibling that shares the prefix of the root', () => {
  assert.match(refused([file('dist-other/x')], { root: 'dist' }), 'does not lie in "dist"');
  assert.match(
    refused([file('dist/x'), link('dist/y', 'dist-other/x')], { root: 'dist' }),
    'does not lie in "dist"',
  );
});

test('I18: too many entries', () => {
  const many = Array.from({ length: 11 }, (_, index) => file(String(index)));
  assert.is(refused(many, { maxEntries: 10 }), 'The built client (client/dist) holds more than 10 entries');
});

test('I19: too deep, and names that are too long', () => {
  assert.match(refused([file('d/'.repeat(100) + 'x')]), 'more than 100 folders deep');
  assert.match(refused([file('x'.repeat(256))]), 'a part of more than 255 bytes');
  assert.match(refused([file('é'.repeat(128))]), 'a part of more than 255 bytes');
  assert.match(
    refused([file(Array.from({ length: 12 }, () => 'x'.repeat(200)).join('/'))]),
    'more than 2048 bytes',
  );
});

test('I15, I20, I47: too large, hard links counted as what they stand for', () => {
  assert.is(
    refused([file('a', 600), file('b', 401)]),
    'The built client (client/dist) is larger than its limit of 1000 B',
  );
  assert.match(refused([file('a', 600), link('b', 'a')]), 'larger than its limit');
  assert.match(refused([file('a', 2 ** 60)]), 'no valid size');
  assert.match(refused([file('a', -1)]), 'no valid size');
  assert.match(refused([file('a', Number.NaN)]), 'no valid size');
});

test('I21, I22: devices, pipes and what is unknown', () => {
  const of = (type: string): string => refused([{ name: 'x', type, size: 0, mode: 0, target: '' }]);
  assert.match(of('character-device'), 'is a device');
  assert.match(of('block-device'), 'is a device');
  assert.match(of('fifo'), 'is a named pipe');
  assert.match(of('contiguous-file'), 'is of type "contiguous-file"');
});

test('I25: names that differ by case or normalisation are apart', () => {
  assert.is(check(['A', 'a', 'e\u0301', '\u00e9', 'ß', 'ss'].map((name) => file(name))).length, 6);
});

test('I11, I26, I27, I28: names that no terminal should see are refused, and shown escaped', () => {
  assert.match(refused([file('a\0b')]), 'holds a NUL in its name');
  assert.match(refused([file('a\ufffdb')]), 'bytes that are not UTF-8');
  assert.match(refused([file('a\nb')]), 'Entry "a\\u000ab"');
  assert.match(refused([file('a\u001b[2Jb')]), 'Entry "a\\u001b[2Jb"');
  assert.match(refused([file('a\u009bb')]), 'a control character');
});

test('I29: a dash in front is an ordinary name', () => {
  assert.is(check([file('--help')])[0]?.path, '--help');
});

test('I30: folders of git', () => {
  assert.match(refused([file('.git/config')]), 'lies in a folder of git');
  assert.match(refused([folder('a/.GIT')]), 'lies in a folder of git');
  assert.is(check([file('.gitignore'), file('.github/x')]).length, 2);
});

test('I36, I39: trees whose content a push does not bring', () => {
  const id = '0'.repeat(40);
  checkTree([{ mode: '100644', type: 'blob', id, path: 'client/a' }], 'client');
  assert.throws(
    () => checkTree([{ mode: '160000', type: 'commit', id, path: 'client/lib' }], 'client'),
    '"client/lib" is a submodule',
  );
  assert.throws(
    () => checkTree([{ mode: '120000', type: 'blob', id, path: 'client' }], 'client'),
    'The client\'s folder "client" is a symlink',
  );
});

test('I40: LFS pointers', () => {
  const pointer = Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 3\n');
  assert.throws(() => checkNotLfsPointer('client/a.png', pointer), '"client/a.png" is a Git LFS pointer');
  checkNotLfsPointer('client/a.md', Buffer.from('# version https://git-lfs.github.com/spec/'));
  checkNotLfsPointer('client/empty', Buffer.alloc(0));
});

test.run();
