import { ReleaseWorld } from '../support/releases';
import type { Result } from '../support/host';
import { assert, suite } from '../support/suite';

const test = suite('what stops a release before it begins');
const name = 'relpre';
const version = '201704.15';
let world: ReleaseWorld;

test.before(async () => {
  world = await ReleaseWorld.start(name);
});

test.after(() => world.stop());

/** All that a release could write, on both sides. */
async function everything(): Promise<string> {
  const ours = await world.host.mustAdmin(`
    cd "$DOKKU_LIB_ROOT/data/flight-launch/pipelines/${name}"
    find . -type f ! -path './locks/*' ! -path './repo.git/*' -exec sha256sum {} + | sort
    git -c safe.directory='*' -C repo.git for-each-ref refs/flight-launch
    for app in ${name} ${name}-staging; do git -c safe.directory='*' -C "$DOKKU_ROOT/$app" for-each-ref; done`);
  return `${await world.refs()}\n${ours}`;
}

/** A release that must not begin, with the lines that say why; nothing may be written anywhere. */
async function refused(
  { status, lines }: { status: number; lines: readonly (string | RegExp)[] },
  ...words: string[]
): Promise<Result> {
  const before = await everything();
  const result = await world.release(...words);
  assert.is(result.status, status, result.output);
  const details = result.stderr.split('\n').filter((line) => line.startsWith(' !       '));
  assert.is(details.length, lines.length, result.output);
  for (const line of lines) {
    const found = details.some((detail) =>
      typeof line === 'string' ? detail.includes(line) : line.test(detail),
    );
    assert.ok(found, `no ${String(line)} in:\n${result.output}`);
  }
  assert.is(await everything(), before);
  return result;
}

const alone = (...lines: (string | RegExp)[]) => ({ status: 1, lines });
const fromDevelop = [version, '--from', 'develop'];

test('nothing is wrong: the plan is shown, and nothing is written', async () => {
  const before = await everything();
  const { output } = await world.mustRelease(...fromDevelop, '--dry-run');
  assert.match(output, `branch release/${version} from develop, commit`);
  assert.match(output, `dokku flight-launch:release ${version} --from develop --pipeline ${name}`);
  assert.is(await everything(), before);
});

const badVersions: [hazard: string, version: string][] = [
  ['I66', '01.2.3'],
  ['I67', '1.2.3-'],
  ['I68', '201704.9007199254740993'],
  ['I69', '٢٠١٧٠٤.١'],
  ['I70', '-d'],
  ['I71', '--output=x'],
  ['I72', '201704..1'],
  ['I73', '201704.1.lock'],
  ['I74', 'HEAD'],
  ['a month that is none', '201713.1'],
  ['a path', '../201704.1'],
];

test('I66-I74 a version that is none is told as wrong usage (exit 2)', async () => {
  const before = await everything();
  for (const [hazard, bad] of badVersions) {
    const result = await world.release(bad, '--from', 'develop');
    assert.is(result.status, 2, `${hazard}: ${result.output}`);
    assert.match(result.output, 'flight-launch: ');
    assert.not.match(result.output, 'this is a bug');
  }
  assert.is(await everything(), before);
});

test('I70-I74 a branch that is none is told as wrong usage (exit 2)', async () => {
  for (const bad of ['-d', '--output=x', 'a..b', 'x.lock', 'HEAD', 'a b', 'refs/heads/@{-1}']) {
    const result = await world.release(version, `--from='${bad}'`);
    assert.is(result.status, 2, `${bad}: ${result.output}`);
    assert.not.match(result.output, 'this is a bug');
  }
});

test('options that do not go together, or say too little, are wrong usage (exit 2)', async () => {
  const wrong: [problem: string, words: string[]][] = [
    ['VERSION is missing', []],
    ['--resume needs the version', ['--resume']],
    ['--abort needs the version', ['--abort']],
    ['exclude each other', [version, '--resume', '--abort']],
    ['--resume does not go with --from', [version, '--resume', '--from', 'develop']],
    ['--resume does not go with --hold', [version, '--resume', '--hold']],
    ['--next takes patch, minor, major or nothing', ['--next', '201704.16']],
    ['have no increment "minor"', ['--next', 'minor']],
    ['one argument too many', [version, '201704.16']],
    ['the message cannot be', [version, '--message', "''"]],
  ];
  for (const [problem, words] of wrong) {
    const result = await world.release(...words);
    assert.is(result.status, 2, result.output);
    assert.match(result.output, problem);
  }
  for (const flag of ['--resume', '--abort']) {
    const result = await world.release('201704.1', flag);
    assert.is(result.status, 1);
    assert.match(result.output, `there is no release 201704.1 in pipeline ${name}`);
  }
});

test('I75 a version that upstream has as tag or branch', async () => {
  await world.upstream.git('tag', version, 'master');
  await refused(alone(`version ${version} is used: upstream has a tag`), ...fromDevelop);
  const planned = await world.mustRelease('--next', '--from', 'develop', '--dry-run');
  assert.not.match(planned.output, version);
  await world.upstream.git('tag', '--delete', version);
  await world.upstream.git('branch', `release/${version}`, 'master~1');
  await refused(alone(`upstream has a branch release/${version}`), ...fromDevelop);
  await world.upstream.git('branch', '--delete', '--force', `release/${version}`);
});

test('a branch that upstream does not have', async () => {
  await refused(
    alone('there is no branch feature upstream; push it there first'),
    version,
    '--from',
    'feature',
  );
  await world.host.must('flight-launch:set', name, 'master-branch', 'main');
  await refused(alone('there is no branch main upstream'), ...fromDevelop);
  await world.host.must('flight-launch:set', name, 'master-branch', '--unset');
});

test('it is not clear what to release', async () => {
  const unclear =
    /no build of flight-launch is live on relpre-staging, and develop is at [0-9a-f]{8} upstream/;
  await refused(alone(unclear), version);
  world.upstream.fail('read-only');
  await refused(alone(unclear, /read only|write/i), version);
  world.upstream.fail('none');
  await refused(alone('no build of flight-launch is live on relpre-staging'), version, '--from', 'staging');
  await world.host.must('flight-launch:set', name, 'release-from', 'develop');
  await world.mustRelease(version, '--dry-run');
  await world.host.must('flight-launch:set', name, 'release-from', '--unset');
});

test('F49 a merge that conflicts names the file and the commits of both sides', async () => {
  const { repository } = world;
  await world.checkout('master');
  await world.commit('Master changes the page', { 'client/src/message.txt': 'master\n' }, 'master');
  await world.checkout('develop');
  await repository.git('checkout', '--quiet', '-b', 'side');
  await world.commit('Side changes the page', { 'client/src/message.txt': 'side\n' }, 'side');
  await refused(
    alone(
      /conflicts with master in client\/src\/message\.txt: master has [0-9a-f]{8} "Master changes the page"; the release has [0-9a-f]{8} "Side changes the page"/,
    ),
    version,
    '--from',
    'side',
  );
});

test('I78 version files that cannot be written, each with its reason', async () => {
  await world.checkout('develop');
  await world.repository.git('checkout', '--quiet', '-b', 'files');
  await world.commit(
    'Bad version files',
    {
      'flight-launch.json': JSON.stringify({
        versionFiles: [
          'server/VERSION',
          'gone/VERSION',
          { file: 'client/package.json', pointer: '/versions' },
          { file: 'server/config.ru', pattern: 'VERSION = (.*)' },
        ],
      }),
      'server/VERSION': '<<<<<<< ours\n1.0.0\n=======\n1.0.1\n>>>>>>> theirs\n',
    },
    'files',
  );
  await refused(
    alone(/server\/VERSION.*conflict/, 'gone/VERSION', 'client/package.json', 'server/config.ru'),
    version,
    '--from',
    'files',
  );
  await world.commit('Bad settings', { 'flight-launch.json': '{"client": {"folder": 7}, "x": 1}' }, 'files');
  await refused(
    alone(/flight-launch\.json has 2 mistakes.*client\.folder.*x: unknown key/),
    version,
    '--from',
    'files',
  );
});

test('an upstream that does not let us in, or only read, or does not answer', async () => {
  const { upstream, host } = world;
  upstream.fail('read-only');
  await refused(alone(/read only|write/i), ...fromDevelop);
  await host.must('flight-launch:set', name, 'upstream-timeout', '5s');
  upstream.fail('hang');
  await refused(alone(/did not answer within 5/), ...fromDevelop);
  upstream.fail('none');
  await host.must('flight-launch:set', name, 'upstream-timeout', '--unset');
});

test('production that is not set up, and client variables that differ: names, never values', async () => {
  const { host } = world;
  await host.must('builder:set', name, 'build-dir', 'web');
  await refused(alone(`the build-dir of ${name} is web`), ...fromDevelop);
  await host.must('builder:set', name, 'build-dir', 'server');

  await world.checkout('develop');
  await world.repository.git('checkout', '--quiet', '-b', 'variables');
  await world.commit(
    'Variables',
    { 'flight-launch.json': '{"client": {"env": ["VITE_GREETING"]}}' },
    'variables',
  );
  await host.must('config:set', '--no-restart', world.staging, 'VITE_GREETING=of-staging');
  const result = await refused(
    alone(`other values than ${name} has: VITE_GREETING`),
    version,
    '--from',
    'variables',
  );
  assert.not.match(result.output, 'of-staging');
  await host.must('config:set', '--no-restart', name, 'VITE_GREETING=of-staging');
  await world.mustRelease(version, '--from', 'variables', '--dry-run');
  await host.must('config:unset', '--no-restart', name, 'VITE_GREETING');
});

test('six at once are six lines', async () => {
  const { host, upstream } = world;
  await upstream.git('tag', version, 'master');
  await world.repository.git('checkout', '--quiet', 'side');
  await world.commit(
    'Everything',
    { 'server/VERSION': '<<<<<<< ours\n', 'flight-launch.json': '{"client": {"env": ["VITE_GREETING"]}}' },
    'side',
  );
  await host.must('builder:set', name, 'build-dir', 'web');
  upstream.fail('read-only');
  await refused(
    alone(
      `the build-dir of ${name} is web`,
      `version ${version} is used`,
      /server\/VERSION/,
      'conflicts with master',
      'VITE_GREETING',
      /read only|write/i,
    ),
    version,
    '--from',
    'side',
  );
  upstream.fail('none');
  await upstream.git('tag', '--delete', version);
  await host.must('builder:set', name, 'build-dir', 'server');
});

test('other schemes of versions', async () => {
  const { host, upstream } = world;
  await host.must('flight-launch:set', name, 'version-scheme', 'semantic');
  await upstream.git('tag', '1.9.0', 'master');
  const minor = await world.mustRelease('--next', 'minor', '--from', 'develop', '--dry-run');
  assert.match(minor.output, 'dokku flight-launch:release 1.10.0 --from develop');
  const wrong = await world.release(version, '--from', 'develop');
  assert.is(wrong.status, 2);
  await host.must('flight-launch:set', name, 'version-scheme', 'day');
  const day = await world.mustRelease('--next', '--from', 'develop', '--dry-run');
  assert.match(day.output, /dokku flight-launch:release \d{6}\.\d{2} --from develop/);
  await host.must('flight-launch:set', name, 'version-scheme', '--unset');
});

test('signing wants a deploy key, which there is none of over https', async () => {
  const { host } = world;
  const https = `${name}-https`;
  await host.must('flight-launch:setup', https, '--upstream', 'https://127.0.0.1:1/none.git');
  await host.must('flight-launch:set', https, 'signing', 'deploy-key');
  const { status, output } = await host.dokku('flight-launch:release', version, '--pipeline', https);
  assert.is(status, 1, output);
  assert.match(output, 'the setting signing asks for a deploy key, and there is none');
  assert.match(output, 'https://127.0.0.1:1/none.git');
});

test('an upstream that nobody is let in to any more', async () => {
  world.upstream.authorizeNone();
  await refused(alone(/deploy key/), ...fromDevelop);
  await world.host.must('flight-launch:set', name, 'upstream', '--unset');
  await refused(alone(/has no upstream.*flight-launch:setup/), ...fromDevelop);
});

test.run();
