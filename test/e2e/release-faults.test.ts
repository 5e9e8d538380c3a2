import { buildIn, type Result } from '../support/host';
import { ReleaseWorld } from '../support/releases';
import { assert, suite } from '../support/suite';

const test = suite('releases with trouble on the way');
const name = 'relfault';
let world: ReleaseWorld;
let other: ReleaseWorld;
let count = 0;

test.before(async () => {
  world = await ReleaseWorld.start(name);
});

test.after(async () => {
  await world.stop();
});

/** Something new on develop, and a version that is free. */
async function feature(files: Readonly<Record<string, string>> = {}): Promise<string> {
  count += 1;
  await world.checkout('develop');
  await world.commit(`Feature ${count}`, { 'server/feature.txt': `${count}\n`, ...files });
  return `201704.${count}`;
}

/** Content of `app.json`: a deploy counts once this path answers. */
function checks(path: string): string {
  const check = { type: 'startup', name: 'web', path, attempts: 5, wait: 2, timeout: 5, initialDelay: 1 };
  return `${JSON.stringify({ healthchecks: { web: [check] } })}\n`;
}

/** The release has come to its end, and everything agrees on it. */
async function isDone(version: string): Promise<void> {
  const tagged = await world.upstream.git('rev-parse', `refs/tags/${version}^{commit}`);
  const { staging, production } = await world.host.status(name);
  assert.is(production.commit, tagged);
  assert.is(production.build, staging.build);
  for (const branch of ['develop', 'master']) {
    assert.is(await world.upstream.git('rev-parse', `${branch}^2`), tagged);
  }
  assert.not.match(await world.refs(), 'release/');
  assert.is((await world.steps(version)).at(-1), 'finished');
}

function stopped(result: Result, problem: string | RegExp, version: string): void {
  assert.is(result.status, 3, result.output);
  assert.match(result.output, problem);
  assert.match(result.output, `dokku flight-launch:release ${version} --resume --pipeline ${name}`);
}

const promotes = async () => (await world.history()).filter((line) => line === `promote ${name} live`).length;

test('the server does not build: a fix on the release branch and --resume; the client is not built again', async () => {
  const version = await feature({ 'server/app.json': checks('/nowhere') });
  const failed = await world.release(version, '--from', 'develop');
  stopped(failed, `to ${world.staging} failed`, version);
  assert.match(failed.output, `Commit a fix to release/${version} upstream and resume`);
  assert.is((await world.host.status(name)).production.state, 'not-deployed');
  await world.checkout(`release/${version}`);
  const mended = { 'server/app.json': checks('/health') };
  const fix = await world.commit('Mend the server', mended, `release/${version}`);
  const resumed = await world.mustRelease(version, '--resume');
  assert.match(resumed.output, 'Client unchanged: taking the one built');
  assert.is(await world.upstream.git('rev-parse', `refs/tags/${version}^{commit}`), fix);
  await isDone(version);
  assert.is((await world.served(resumed.output)).server, version);
});

test('F47 a protected branch: production runs it, and --resume merges once it may', async () => {
  const version = await feature();
  world.upstream.fail('protect', 'refs/heads/master');
  const before = await world.refs();
  const failed = await world.release(version, '--from', 'develop');
  world.upstream.fail('none');
  stopped(failed, 'refs/heads/master', version);
  assert.match(failed.output, 'Protected branch');
  // Atomic: not one of the refs was taken.
  const added = (await world.refs()).split('\n').filter((line) => !before.includes(line));
  assert.equal(
    added.map((line) => line.split(' ')[1]),
    [`refs/heads/release/${version}`],
  );
  const promoted = await promotes();
  const aborted = await world.release(version, '--abort');
  assert.is(aborted.status, 1);
  assert.match(aborted.output, `${name} runs release ${version}, so it cannot be given up`);
  await world.mustRelease(version, '--resume');
  await isDone(version);
  assert.is(await promotes(), promoted);
  // However often it is tried, upstream is offered the same commits and the same tag.
  const offered = await world.host.mustAdmin(`
    cd "$DOKKU_LIB_ROOT/data/flight-launch/pipelines/${name}/releases"
    jq -c 'select(.step == "merging") | [.commit, .tag, .moves]' ${version}/journal.ndjson`);
  const [first, ...again] = offered.split('\n');
  assert.ok(again.length > 0, offered);
  for (const offer of again) assert.is(offer, first);
});

test('a protected release branch: nothing begins, and the version is free again (exit 1)', async () => {
  const version = await feature();
  world.upstream.fail('protect', `refs/heads/release/${version}`);
  const before = await world.refs();
  const failed = await world.release(version, '--from', 'develop');
  world.upstream.fail('none');
  assert.is(failed.status, 1, failed.output);
  assert.match(failed.output, 'was given up; nothing was changed');
  assert.is(await world.refs(), before);
  count -= 1;
});

test('F48 upstream moves on between fetch and push: merged again', async () => {
  const version = await feature();
  // The last push is the one that finds the release branch there.
  world.upstream.onPush(`
    git show-ref --verify --quiet refs/heads/release/${version}
    tree=$(git rev-parse 'develop^{tree}')
    git update-ref refs/heads/develop "$(git commit-tree "$tree" -p develop -m 'Meanwhile')"`);
  const released = await world.mustRelease(version, '--from', 'develop');
  assert.ok(world.upstream.pushSeen);
  assert.match(released.output, 'trying once more');
  await isDone(version);
  assert.is(await world.upstream.git('log', '-1', '--format=%s', 'develop^1'), 'Meanwhile');
});

test('F46 the answer to the last push is lost: it is seen that it went through', async () => {
  const version = await feature();
  world.upstream.fail('lose-answer', `refs/tags/${version}`);
  const released = await world.release(version, '--from', 'develop');
  world.upstream.fail('none');
  assert.is(released.status, 0, released.output);
  assert.match(released.output, 'merged and tagged already');
  await isDone(version);
});

test('F45, F46 the connection breaks while the release branch is pushed', async () => {
  const version = await feature();
  world.upstream.fail('lose-answer', `refs/heads/release/${version}`);
  // Through all the same; the removal of the branch at the end loses its answer as well.
  const released = await world.release(version, '--from', 'develop');
  world.upstream.fail('none');
  assert.is(released.status, 0, released.output);
  await isDone(version);

  const next = await feature();
  world.upstream.fail('reset', `refs/heads/release/${next}`);
  const failed = await world.release(next, '--from', 'develop');
  world.upstream.fail('none');
  stopped(failed, 'flight-launch: ', next);
  assert.equal(await world.steps(next), ['branching']);
  await world.mustRelease(next, '--resume');
  await isDone(next);
});

test('a push that hangs is given up after the time limit, and resumed', async () => {
  const version = await feature();
  await world.host.must('flight-launch:set', name, 'upstream-timeout', '6s');
  world.upstream.fail('hang-push', `refs/tags/${version}`);
  const failed = await world.release(version, '--from', 'develop');
  world.upstream.fail('none');
  stopped(failed, 'did not answer within 6', version);
  await world.host.must('flight-launch:set', name, 'upstream-timeout', '--unset');
  const promoted = await promotes();
  await world.mustRelease(version, '--resume');
  await isDone(version);
  assert.is(await promotes(), promoted);
});

test('production does not take it: the old version serves, and --resume goes on once that is mended', async () => {
  const before = await world.host.status(name);
  const version = await feature({ 'server/app.json': checks('/env/READY') });
  await world.host.must('config:set', '--no-restart', world.staging, 'READY=yes');
  const failed = await world.release(version, '--from', 'develop');
  stopped(failed, `${name} did not take build`, version);
  assert.is((await world.host.status(name)).production.build, before.production.build);
  await world.host.must('config:set', '--no-restart', name, 'READY=yes');
  await world.mustRelease(version, '--resume');
  await isDone(version);
});

test('two pipelines release at the same time; each is refused a second one meanwhile', async () => {
  const second = 'relfaultb';
  other = await ReleaseWorld.join(world, second);
  try {
    const version = await feature();
    await other.checkout('develop');
    await other.commit('Other feature', { 'server/other.txt': 'other\n' });
    const both = Promise.all([
      world.release(version, '--from', 'develop'),
      other.release('201801.1', '--from', 'develop'),
    ]);
    await world.host.mustAdmin(`
      end=$(($(date +%s) + 120))
      until [ -e "$DOKKU_LIB_ROOT/data/flight-launch/pipelines/${name}/releases/${version}/journal.ndjson" ]; do
        test "$(date +%s)" -lt "$end" || exit 1
        sleep 0.2
      done`);
    const refused = await world.release('201709.1', '--from', 'develop');
    assert.is(refused.status, 4, refused.output);
    assert.match(refused.output, new RegExp(`release ${version} is under way, started by \\S+ .*: \\S+`));
    const [one, two] = await both;
    assert.is(one.status, 0, one.output);
    assert.is(two.status, 0, two.output);
    await isDone(version);
    assert.is((await other.host.status(second)).production.state, 'build');
    assert.is((await other.served(two.output)).server, '201801.1');
    assert.match(buildIn(two), second);
  } finally {
    other.leave();
  }
});

test.run();
