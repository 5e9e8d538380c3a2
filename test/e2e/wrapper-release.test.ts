import { ended, LocalWrapper, loseConnection, shells } from '../support/local-wrapper';
import { ReleaseWorld } from '../support/releases';
import { assert, suite } from '../support/suite';

const test = suite('releases by the local wrapper');
let world: ReleaseWorld;
let wrapper: LocalWrapper;

test.before(async () => {
  world = await ReleaseWorld.start('wrel');
  const { repository, host, upstream, staging, production } = world;
  wrapper = new LocalWrapper(host, repository);
  await repository.git('remote', 'add', 'dokku-staging', host.remote(staging));
  await repository.git('remote', 'add', 'dokku', host.remote(production));
  await repository.git('remote', 'add', 'origin', upstream.folder);
});

test.after(() => world.stop());

for (const shell of shells) {
  const name = shell.join(' ');

  test(`${name}: what upstream does not have just so is not released, and nothing is written`, async () => {
    const { repository, upstream } = world;
    const refs = await world.refs();
    const refused = async (problem: string, remedy: string, ...args: string[]) => {
      const { status, output } = await wrapper.run(shell, 'release', ...args);
      assert.ok(status === 1 || status === 2, output);
      assert.match(output, problem);
      assert.match(output, remedy);
      assert.is(await world.refs(), refs);
    };
    await repository.git('checkout', '--quiet', 'develop');
    repository.write({ 'server/VERSION': 'not committed\n' });
    await refused('changes that are not committed', 'Commit or stash them.', '201704.15');
    await repository.git('checkout', '--quiet', '.');

    await repository.commit('Not pushed', {});
    await refused('origin does not have what is checked out of develop', 'git push origin develop', '--next');
    await refused('origin does not have what is checked out', 'git push', '--from', 'develop', '--dry-run');
    await repository.git('reset', '--quiet', '--hard', 'HEAD~1');

    await repository.git('checkout', '--quiet', '-b', 'behind', 'HEAD~1');
    await upstream.git('branch', 'behind', 'develop');
    const { status, output } = await wrapper.run(shell, 'release', '201704.15');
    assert.is(status, 1);
    assert.match(output, 'origin has commits on behind that are not here\nRun: git pull origin behind');
    await upstream.git('branch', '--delete', '--force', 'behind');
    await refused('origin does not have what is checked out of behind', 'git push origin behind');

    await repository.git('config', 'branch.behind.remote', 'elsewhere');
    await refused('remote elsewhere does not say what it has', 'flight-launch.upstreamRemote');
    await repository.git('config', 'flight-launch.upstreamRemote', 'origin');
    await refused('origin does not have', 'git push origin behind');
    await repository.git('config', '--unset', 'flight-launch.upstreamRemote');
    // Whoever pushed it to staging with --set-upstream.
    await repository.git('config', 'branch.behind.remote', 'dokku-staging');
    await refused('origin does not have', 'git push origin behind');

    await repository.git('branch', '--move', 'staging');
    await refused('a branch named staging cannot be released', 'Rename it.');
    await repository.git('checkout', '--quiet', '--detach');
    await repository.git('branch', '--delete', '--force', 'staging');
    await refused('no branch is checked out', 'release --from BRANCH');
    await repository.git('checkout', '--quiet', 'develop');
  });

  test(`${name}: the branch that is checked out is what --from gets, where none is named`, async () => {
    const { repository } = world;
    await repository.git('checkout', '--quiet', '-B', 'feature', 'develop');
    await repository.git('push', '--quiet', '--force', 'origin', 'feature');
    const refs = await world.refs();
    const planned = await wrapper.run(shell, 'release', '201704.15', '--message', `it's "it"`, '--dry-run');
    assert.is(planned.status, 0, planned.output);
    assert.match(planned.output, `release 201704.15 --from feature --message 'it'"'"'s "it"'`);
    const other = await wrapper.run(shell, 'release', '--from', 'master', '--dry-run');
    assert.match(other.output, /release [0-9]{6}\.1 --from master /);
    const deaf = await wrapper.run(shell, 'release');
    assert.is(deaf.status, 1, deaf.output);
    assert.match(deaf.output, 'to wrel-staging, where it waits, then to wrel');
    assert.match(deaf.output, 'nobody can answer');
    // The host's own words and status.
    const usage = await wrapper.run(shell, 'release', '--next', 'tiny');
    assert.is(usage.status, 2, usage.output);
    assert.match(usage.output, '--next takes patch, minor, major or nothing, not "tiny"');
    assert.is(await world.refs(), refs);
    assert.equal(await world.history(), []);
  });
}

test('--yes asks nothing and does not hold', async () => {
  world.upstream.fail('protect', 'refs/heads/release/201704.1');
  const refused = await wrapper.run(['dash'], 'release', '201704.1', '--yes');
  world.upstream.fail('none');
  assert.is(refused.status, 1, refused.output);
  assert.match(refused.output, 'to wrel-staging, then to wrel');
  assert.match(refused.output, 'upstream did not take the branch release/201704.1');
});

let version = '';

test('a no leaves everything as it is', async () => {
  const refs = await world.refs();
  const refused = await wrapper.runTyped(['n'], 'release');
  assert.is(refused.status, 1, refused.output);
  version = /Go on with release (\S+)\? \[y\/N\]/.exec(refused.output)?.[1] ?? '';
  assert.match(version, /^[0-9]{6}\.1$/);
  assert.match(refused.output, 'Nothing was changed.');
  assert.is(await world.refs(), refs);
});

test('a connection that breaks is picked up until the release is held, and a no there tells how to go on (F41)', async () => {
  const releasing = wrapper.startTyped(['y', 'n'], 'release');
  // What was shown is what is done: the version is named.
  await loseConnection(releasing, `release ${version} --from feature --hold --pipeline wrel`);
  const { status, output } = await ended(releasing);
  assert.is(status, 3, output);
  assert.match(output, 'connection lost; asking for');
  assert.match(output, 'Held: look at wrel-staging');
  assert.match(output, 'Go on with wrel? [y/N]');
  assert.match(output, `flight-launch release ${version} --resume`);
  assert.match(output, `flight-launch release ${version} --abort`);
  const { staging, production } = await world.host.status('wrel');
  assert.is(staging.state, 'build');
  assert.is(production.state, 'not-deployed');
});

test('--resume takes a fix from the release branch, asks again, and ends the release', async () => {
  const deaf = await wrapper.run(['dash'], 'release', version, '--resume', '--dry-run');
  assert.is(deaf.status, 2, deaf.output);
  await world.repository.git('fetch', '--quiet', 'origin');
  await world.repository.git('checkout', '--quiet', '-b', 'fix', `origin/release/${version}`);
  const fix = await world.commit('A fix', { 'server/fix.txt': 'fixed\n' }, `release/${version}`);
  const done = await wrapper.runTyped(['y'], 'release', version, '--resume');
  assert.is(done.status, 0, done.output);
  assert.match(done.output, 'Go on with wrel? [y/N]');
  assert.match(done.output, `Release ${version} is done`);
  assert.is(await world.upstream.git('rev-parse', `refs/tags/${version}^{commit}`), fix);
  assert.is((await world.host.status('wrel')).production.commit, fix);
});

for (const shell of shells) {
  test(`${shell.join(' ')}: --resume, --abort and finish of a release that is done are the host's answers`, async () => {
    const refs = await world.refs();
    const resumed = await wrapper.run(shell, 'release', version, '--resume');
    assert.is(resumed.status, 0, resumed.output);
    assert.match(resumed.output, 'nothing to do');
    const aborted = await wrapper.run(shell, 'release', version, '--abort');
    assert.is(aborted.status, 1, aborted.output);
    assert.match(aborted.output, 'is done, so it cannot be given up');
    const finished = await wrapper.run(shell, 'finish', version);
    assert.is(finished.status, 0, finished.output);
    assert.match(finished.output, 'merged and tagged already');
    assert.is(await world.refs(), refs);
  });
}

test.run();
