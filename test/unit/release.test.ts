import {
  branchedVersions,
  bumpMessage,
  describeProgress,
  hasEnded,
  mergeMessage,
  releaseEntry,
  tagMessage,
  type ReleaseEntry,
} from '../../src/domain/release';
import { parseJournal } from '../../src/domain/journal';
import { assert, suite } from '../support/suite';

const test = suite('release');

const commit = 'a'.repeat(40);
const process = { pid: 7, startedAt: '1' };
const common = { format: 1 as const, at: 5 };

const entries: ReleaseEntry[] = [
  { ...common, step: 'branching', commit },
  { ...common, step: 'branched', commit },
  { ...common, step: 'deploying', commit, process },
  { ...common, step: 'deployed', commit, build: 'app-staging.1' },
  { ...common, step: 'held', build: 'app-staging.1' },
  { ...common, step: 'promoting', build: 'app-staging.1', job: '20170415-093012' },
  { ...common, step: 'promoted', commit, build: 'app-staging.1' },
  {
    ...common,
    step: 'merging',
    commit,
    tag: commit,
    moves: [{ branch: 'develop', from: commit, to: commit }],
  },
  { ...common, step: 'finished', commit },
];

test('F27 a journal that is cut at any byte holds the entries before the cut', () => {
  const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`);
  const text = lines.join('');
  for (let length = 0; length <= text.length; length++) {
    const cut = text.slice(0, length);
    const parsed = parseJournal(releaseEntry, cut);
    // A line that lacks its newline alone is whole.
    const whole = cut.split('\n').length - 1 + (lines.includes(`${cut.split('\n').at(-1) ?? ''}\n`) ? 1 : 0);
    assert.equal(parsed, entries.slice(0, whole), `cut at ${length}`);
  }
});

test('how far it got is told for every entry, and it has ended with its last alone', () => {
  const told = entries.map((_, index) => describeProgress(entries.slice(0, index + 1)));
  assert.is(new Set(told).size, entries.length);
  assert.is(describeProgress([]), 'nothing is upstream yet');
  assert.equal(
    entries.map((_, index) => hasEnded(entries.slice(0, index + 1))),
    entries.map(({ step }) => step === 'finished'),
  );
  assert.ok(
    hasEnded([
      { ...common, step: 'aborting' },
      { ...common, step: 'aborted' },
    ]),
  );
  assert.not.ok(hasEnded([{ ...common, step: 'aborting' }]));
});

test('messages end in a trailer that says who released', () => {
  const release = { version: '201704.15', by: { name: 'ada' } };
  assert.is(bumpMessage(release), 'Set the version to 201704.15\n\nReleased-by: ada');
  assert.is(
    mergeMessage({ ...release, message: 'Spring' }, 'develop'),
    "Merge branch 'release/201704.15' into develop\n\nSpring\n\nReleased-by: ada",
  );
  assert.is(tagMessage(release), 'Release 201704.15\n\nReleased-by: ada');
  // A key's name is anything; a trailer is one line.
  assert.match(tagMessage({ ...release, by: { name: 'a\nb  c' } }), /\nReleased-by: a b c$/);
});

test('versions of release branches', () => {
  assert.equal(branchedVersions(['develop', 'release/1.0.0', 'release', 'x/release/2', 'release/2']), [
    '1.0.0',
    '2',
  ]);
});

test.run();
