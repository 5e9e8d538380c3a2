import { parseConfiguration } from '../../src/domain/configuration';
import type { BuildRecord } from '../../src/domain/build';
import type { Live } from '../../src/domain/live';
import { checkRelease, chooseOrigin, conflictLines, type ReleaseFacts } from '../../src/domain/release-plan';
import { effectiveSettings } from '../../src/domain/settings';
import { UserError } from '../../src/domain/errors';
import { assert, suite } from '../support/suite';
import { thrown } from '../support/thrown';

const test = suite('release plan');

const one = '1'.repeat(40);
const two = '2'.repeat(40);
const pipeline = { name: 'app', staging: 'app-staging', production: 'app', settings: {} };
const settings = effectiveSettings({});
const branches = new Map([
  ['develop', one],
  ['master', two],
]);

const build = (commit: string): Live => ({
  state: 'build',
  build: 'app-staging.1',
  record: { commit } as BuildRecord,
});

test('what is released: what is named, else the setting, else staging where it is the head of develop', () => {
  const choose = (named: string | undefined, live: Live, releaseFrom?: string) =>
    chooseOrigin(pipeline, { ...settings, releaseFrom }, named, live, branches);
  assert.equal(choose('master', build(one)), { from: 'master', commit: two });
  assert.equal(choose('staging', build(two)), { from: 'staging', commit: two });
  assert.equal(choose(undefined, build(one), 'master'), { from: 'master', commit: two });
  assert.equal(choose('develop', build(two), 'master'), { from: 'develop', commit: one });
  assert.equal(choose(undefined, build(one)), { from: 'develop', commit: one });
});

test('where that is not clear both are shown', () => {
  const problemOf = (named: string | undefined, live: Live) => {
    const origin = chooseOrigin(pipeline, settings, named, live, branches);
    assert.ok('problems' in origin);
    return origin.problems.join('\n');
  };
  assert.match(
    problemOf(undefined, build(two)),
    '22222222 is live on app-staging, and develop is at 11111111 upstream; say --from develop or --from staging',
  );
  assert.match(problemOf(undefined, { state: 'not-deployed' }), 'no build of flight-launch is live');
  assert.match(
    problemOf('staging', { state: 'foreign' }),
    'no build of flight-launch is live on app-staging',
  );
  assert.match(problemOf('feature', build(one)), 'there is no branch feature upstream; push it there first');
});

const good: ReleaseFacts = {
  pipeline,
  settings,
  version: '201704.15',
  stagingExists: true,
  productionExists: true,
  buildDir: 'server',
  scheduler: 'docker-local',
  startedImage: { server: '', repository: 'dokku/app', pushedTag: undefined },
  upstreamProblems: [],
  branches,
  tags: new Set(['201704.14']),
  origin: { from: 'develop', commit: one },
  configuration: parseConfiguration('{"client": {"env": ["API"]}}'),
  sourceProblems: [],
  merges: new Map([
    ['develop', { tree: one }],
    ['master', { tree: two }],
  ]),
  push: { accepted: true },
  stagingConfig: { API: 'x' },
  productionConfig: { API: 'x' },
  underWay: [],
  freeDisk: 10 ** 12,
};

const conflict = {
  path: 'server/a.rb',
  ours: [{ id: two, author: 'Ada', subject: 'Change a', at: 1 }],
  theirs: [{ id: one, author: 'Bob', subject: 'Other a', at: 2 }],
};

/** Each alone makes a release impossible, by the line that says so. */
const wrong: [line: string, facts: Partial<ReleaseFacts>][] = [
  ['the app app-staging does not exist', { stagingExists: false }],
  ['the app app does not exist', { productionExists: false, startedImage: undefined }],
  ['the build-dir of app is web', { buildDir: 'web' }],
  ['app is run by the scheduler nomad', { scheduler: 'nomad' }],
  ['upstream cannot be reached', { upstreamProblems: ['upstream cannot be reached'] }],
  ['there is no branch master upstream', { branches: new Map([['develop', one]]) }],
  ['version 201704.15 is used: upstream has a tag 201704.15', { tags: new Set(['201704.15']) }],
  // The same in a version file of npm.
  ['version 201704.15 is used: upstream has a tag 201704.015', { tags: new Set(['201704.015']) }],
  [
    'upstream has a branch release/201704.15',
    { branches: new Map([...branches, ['release/201704.15', one]]) },
  ],
  ['upstream has a branch release,', { branches: new Map([...branches, ['release', one]]) }],
  ['nothing to release', { origin: { problems: ['nothing to release'] } }],
  ['VERSION has conflict markers', { sourceProblems: ['VERSION has conflict markers'] }],
  [
    'it conflicts with master in server/a.rb: master has 22222222 "Change a"; the release has 11111111 "Other a"',
    { merges: new Map([['master', { conflicts: [conflict] }]]) },
  ],
  [
    'upstream would not take refs/heads/release/201704.15: protected',
    { push: { accepted: false, refused: [{ ref: 'refs/heads/release/201704.15', reason: 'protected' }] } },
  ],
  ['other values than app has: API', { productionConfig: { API: 'y' } }],
  ['other values than app has: API', { productionConfig: {} }],
  ['app-staging is being deployed', { underWay: ['app-staging is being deployed'] }],
  ['the disk is nearly full', { freeDisk: 10 ** 6 }],
];

test('nothing wrong, nothing said', () => {
  checkRelease(good);
});

for (const [line, facts] of wrong) {
  test(`alone: ${line}`, () => {
    const { details, message } = thrown(() => checkRelease({ ...good, ...facts }), UserError);
    assert.is(message, 'release 201704.15 cannot begin');
    assert.is(details.length, 1, details.join('\n'));
    assert.match(details[0] ?? '', line);
  });
}

test('all at once, and values of variables never', () => {
  const all = Object.assign({}, good, ...wrong.map(([, facts]) => facts), {
    productionExists: true,
    startedImage: good.startedImage,
    productionConfig: { API: 'secret-value' },
  }) as ReleaseFacts;
  const { details, exit } = thrown(() => checkRelease(all), UserError);
  assert.ok(details.length >= 12, details.join('\n'));
  assert.not.match(details.join('\n'), 'secret-value');
  assert.is(exit, 20);
});

test('a conflict shows no control characters of a commit', () => {
  const subject = 'a\u001b[31mb';
  const [line = ''] = conflictLines(
    new Map([['develop', { conflicts: [{ ...conflict, ours: [{ id: one, author: '', subject, at: 0 }] }] }]]),
  );
  assert.not.match(line, '\u001b');
  assert.match(line, '\\u001b');
});

test.run();
