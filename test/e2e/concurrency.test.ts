import { setTimeout as sleep } from 'node:timers/promises';
import { Monorepo } from '../support/monorepo';
import { get, TestHost } from '../support/host';
import { liveState } from '../support/rejected';
import { assert, suite } from '../support/suite';

const test = suite('concurrency');
const staging = 'concurrency-staging';
const production = 'concurrency';
let host: TestHost;
let repository: Monorepo;
/** Addresses of the apps, once they are deployed. */
let stagingUrl: string;
let productionUrl: string;

const building = /-----> Building the client/;
const data = '$DOKKU_LIB_ROOT/data/flight-launch';

test.before(async () => {
  host = await TestHost.start('concurrency');
  repository = await Monorepo.create();
  await host.must('flight-launch:setup', 'concurrency');
  await host.must('flight-launch:set', 'concurrency', 'client-image', 'flight-launch-test/node:20');
});

test.after(async () => {
  repository.remove();
  await host.stop();
});

test('two pushes of the same client at once: the second waits for the first and takes its result', async () => {
  await commitClient('the same for both', 20);
  const first = repository.startPush(host, staging);
  await first.until(building);
  const second = repository.startPush(host, production);
  await second.until(/-----> Waiting for build concurrency-staging\./);

  // While that goes on, nobody takes the app away below the deploy.
  const status = await host.status('concurrency');
  assert.match(status.staging.underWay ?? '', /^concurrency-staging\./);
  const again = await repository.push(host, staging);
  assert.is.not(again.status, 0);
  assert.match(again.output, 'deploy lock');
  const destroyed = await host.dokku('apps:destroy', staging, '--force');
  assert.is.not(destroyed.status, 0);
  assert.match(destroyed.output, `${staging} is being deployed`);
  const unlinked = await host.dokku('flight-launch:unlink', 'concurrency');
  assert.is(unlinked.status, 4);
  assert.match(unlinked.output, 'is being deployed');

  const [one, other] = await Promise.all([first.ended, second.ended]);
  assert.is(one.status, 0, one.output);
  assert.is(other.status, 0, other.output);
  assert.not.match(other.output, building);
  assert.match(other.output, 'Client unchanged');
  stagingUrl = host.url(one.output);
  productionUrl = host.url(other.output);
  assert.match((await get(stagingUrl)).body, 'the same for both');
  assert.match((await get(productionUrl)).body, 'the same for both');
});

test('two pushes of different clients at once: both are built at the same time, and none is mixed up', async () => {
  const other = await Monorepo.create();
  try {
    await commitClient('for staging', 10);
    await commitClient('for production', 10, other);
    const first = repository.startPush(host, staging);
    const second = other.startPush(host, production, '--force', 'HEAD:master');
    await Promise.all([first.until(building), second.until(building)]);
    const [one, two] = await Promise.all([first.ended, second.ended]);
    assert.is(one.status, 0, one.output);
    assert.is(two.status, 0, two.output);
    assert.match((await get(stagingUrl)).body, 'for staging');
    assert.match((await get(productionUrl)).body, 'for production');
    const status = await host.status('concurrency');
    assert.is(status.staging.commit, await repository.head());
    assert.is(status.production.commit, await other.head());
  } finally {
    other.remove();
  }
});

test('killing Node in the middle of a client build fails the push cleanly, and the next push sweeps up', async () => {
  const deployed = { host, app: staging, pipeline: 'concurrency' };
  const before = await liveState(deployed);
  await commitClient('after a kill', 15);
  const push = repository.startPush(host, staging);
  await push.until(building);
  await host.mustAdmin(`kill -KILL $(pgrep -f '[f]light-launch.cjs hook core-post-extract ${staging} ')`);
  const killed = await push.ended;
  assert.is.not(killed.status, 0);
  assert.equal(await liveState(deployed), before);
  assert.match((await get(stagingUrl)).body, 'for staging');
  assert.is((await host.status('concurrency')).staging.underWay, null);

  const pushed = await repository.mustPush(host, staging);
  assert.match(pushed.output, building);
  assert.match((await get(stagingUrl)).body, 'after a kill');
  const left = await host.mustAdmin(`
    docker ps --all --quiet --filter label=com.flight-launch.pipeline=concurrency --filter label=com.flight-launch.kind
    ls "${data}/deploys"
    find "${data}/pipelines/concurrency" -name '*.partial'`);
  assert.is(left, '');
});

test('killing the git client that pushes does not end the deploy', async () => {
  const commit = await commitClient('nobody waits for this', 5);
  const push = repository.startPush(host, staging);
  await push.until(building);
  push.kill();
  await push.ended;
  const deadline = Date.now() + 600_000;
  while ((await host.status('concurrency')).staging.commit !== commit) {
    assert.ok(Date.now() < deadline, 'the deploy did not end');
    await sleep(2000);
  }
  assert.match((await get(stagingUrl)).body, 'nobody waits for this');
});

test('refs pushed along are all handled, each deploy has its own build, and the deploy branch stays (H18, H23, H26)', async () => {
  const commit = await repository.commit('Several refs', { 'server/VERSION': 'refs\n' });
  const pushed = await repository.mustPush(
    host,
    staging,
    'HEAD:refs/heads/master',
    'HEAD:refs/tags/master',
    'HEAD:refs/heads/other',
  );
  const builds = [...pushed.output.matchAll(/flight-launch: build (\S+) is live on/g)].map(
    ([, build]) => build,
  );
  assert.is(builds.length, 2, pushed.output);
  assert.is(builds[1], `${String(builds[0])}-2`);
  assert.match(pushed.output, 'you must push to master');
  const refs = await host.mustAdmin(
    `git -c safe.directory='*' -C "$DOKKU_ROOT/${staging}" for-each-ref --format='%(refname) %(objectname)' refs/heads refs/tags`,
  );
  assert.equal(refs.split('\n').sort(), [
    `refs/heads/master ${commit}`,
    `refs/heads/other ${commit}`,
    `refs/tags/master ${commit}`,
  ]);
  const status = await host.status('concurrency');
  assert.is(status.staging.build, builds[1]);
  assert.is(status.staging.deployBranch, 'master');
  const branch = await host.must('git:report', staging, '--git-deploy-branch');
  assert.is(branch.stdout.trim(), 'master');
});

/** Commits a client whose build takes some seconds and whose page says the message. */
function commitClient(message: string, seconds: number, into = repository): Promise<string> {
  const script = into.read('client/build.js').replace(/^Atomics.*\n/m, '');
  return into.commit(message, {
    'client/src/message.txt': `${message}\n`,
    'client/build.js': `Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ${String(seconds * 1000)});\n${script}`,
  });
}

test.run();
