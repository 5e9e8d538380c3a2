import { execFileSync } from 'node:child_process';
import { checkBranchName, isBranchName } from '../../src/domain/branch-name';
import { UsageError } from '../../src/domain/errors';
import { assert, suite } from '../support/suite';
import { thrown } from '../support/thrown';

const test = suite('branch names');

const good = [
  'develop',
  'feature/#12-fix',
  'renovate/@types+node-1.x',
  'a.b',
  'a-',
  'v=1',
  '_x',
  'HEAD1',
  'x/HEAD',
  'a@b',
  'x.locks',
  'refs',
  'x'.repeat(200),
];

const bad: Record<string, string[]> = {
  'I70 an option': ['-d', '-', '--force'],
  'I71 an option with a value': ['--output=x', '--upload-pack=x'],
  'I72 a range': ['a..b', '..', 'a...b', '..a'],
  'I73 the name of a lock': ['x.lock', 'a.lock/b'],
  'I74 HEAD': ['HEAD'],
  'a full name': ['refs/heads/develop'],
  'a name with an empty part': ['', '/a', 'a/', 'a//b', '/'],
  'a part that begins with a dot': ['.a', 'a/.b', '.', 'a/./b'],
  'a dot at the end': ['a.', 'a/b.'],
  'a revision': ['develop~1', 'develop^', 'a:b', '@', '@{-1}', 'a@{1}', 'develop?', 'a*', 'a[b'],
  'what a shell reads': [
    'a b',
    'a$b',
    '$(id)',
    'a;b',
    'a`b',
    "a'b",
    'a"b',
    'a\\b',
    'a&b',
    'a|b',
    'a<b',
    'a(b',
  ],
  'control characters': ['a\nb', 'develop\n', '\ndevelop', 'a\0', 'a\u007f', 'a\tb', '\u001b[2J'],
  'I69 letters of another script': ['d\u0435velop', '\u0663', 'é'],
  'a name that is too long': ['x'.repeat(201)],
};

for (const [what, names] of Object.entries(bad)) {
  test(`${what} is no branch`, () => {
    for (const name of names) {
      assert.is(isBranchName(name), false, JSON.stringify(name));
      const { message, remedy } = thrown(() => checkBranchName(name, '--from'), UsageError);
      assert.match(message, /^--from cannot be the branch "[^\u0000-\u001f\u007f-\u009f]*("|…)$/);
      assert.match(remedy ?? '', /^Name a branch such as `develop`: at most 200 ASCII letters/);
    }
  });
}

test('git takes every name that is taken', () => {
  for (const name of good) {
    checkBranchName(name, '--from');
    const [shown] = execFileSync('git', ['check-ref-format', '--branch', name], { encoding: 'utf8' }).split(
      '\n',
    );
    assert.is(shown, name);
  }
});

test('of short names of few characters none is taken that git refuses', () => {
  const letters = ['a', '.', '/', '-', '@', '.lock'];
  const names = letters.flatMap((a) => letters.flatMap((b) => letters.map((c) => a + b + c)));
  const taken = names.filter(isBranchName);
  assert.ok(taken.length > 5);
  for (const name of taken) execFileSync('git', ['check-ref-format', '--branch', name]);
});

test.run();
