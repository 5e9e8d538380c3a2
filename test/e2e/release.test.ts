import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { ReleaseWorld } from '../support/releases';
import { assert, suite } from '../support/suite';

const test = suite('release');
const version = '201704.15';
let world: ReleaseWorld;

test.before(async () => {
  world = await ReleaseWorld.start('rel');
});

test.after(() => world.stop());

let base = '';

test('a branch becomes a release: both apps run it, both branches have it, it is tagged', async () => {
  base = await world.commit('A feature', { 'client/src/message.txt': 'the feature\n' });
  const master = await world.upstream.git('rev-parse', 'master');
  await world.host.must('flight-launch:set', 'rel', 'signing', 'deploy-key');
  const released = await world.mustRelease(version, '--from', 'develop', '--message', "'The spring release'");
  assert.match(released.output, `Release ${version} is done`);
  assert.match(released.output, /Started release \S+; it goes on if this connection breaks/);

  const tagged = await world.upstream.git('rev-parse', `refs/tags/${version}^{commit}`);
  assert.is(await world.upstream.git('rev-parse', `${tagged}^`), base);
  const { staging, production } = await world.host.status('rel');
  assert.is(staging.commit, tagged);
  assert.is(production.commit, tagged);
  assert.is(production.build, staging.build);

  const served = await world.served(released.output);
  assert.match(served.page, 'the feature');
  assert.is(served.server, version);
  assert.is(served.client, `${version}.0`);

  assert.equal((await world.upstream.git('log', '-1', '--format=%P', 'develop')).split(' '), [base, tagged]);
  assert.equal((await world.upstream.git('log', '-1', '--format=%P', 'master')).split(' '), [master, tagged]);
  assert.not.match(await world.refs(), 'release/');
  const tag = await world.upstream.git('cat-file', 'tag', version);
  assert.match(tag, new RegExp(`^Release ${version}\n\nThe spring release\n\nReleased-by: \\S+`, 'm'));
  assert.match(
    await world.upstream.git('log', '-1', '--format=%cn <%ce>%n%b', 'develop'),
    /^flight-launch <\S+@\S+>\nThe spring release\n\nReleased-by: /,
  );
  assert.equal(await world.history(), ['deploy rel-staging live', 'promote rel live', 'release rel live']);
});

test('with signing, commits and tag verify by the deploy key of the pipeline', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'flight-launch-signers-'));
  try {
    const signers = join(folder, 'allowed');
    writeFileSync(signers, `flight-launch ${world.deployKey}\n`);
    const verify = (...args: string[]) =>
      world.upstream.git('-c', `gpg.ssh.allowedSignersFile=${signers}`, '-c', 'gpg.format=ssh', ...args);
    await verify('verify-tag', version);
    for (const commit of ['develop', 'master', `${version}^{commit}`]) {
      await verify('verify-commit', await world.upstream.git('rev-parse', commit));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  await world.host.must('flight-launch:set', 'rel', 'signing', '--unset');
});

test('a second --resume does nothing', async () => {
  const [refs, history, steps] = [await world.refs(), await world.history(), await world.steps(version)];
  const again = await world.mustRelease(version, '--resume');
  assert.match(again.output, 'nothing to do');
  assert.is(await world.refs(), refs);
  assert.equal(await world.history(), history);
  assert.equal(await world.steps(version), steps);
  const refused = await world.release(version, '--abort');
  assert.is(refused.status, 1);
  assert.match(refused.output, 'is done, so it cannot be given up');
});

test('the same as the old process by hand: trees, parents, branches and tag', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'flight-launch-by-hand-'));
  const git = async (...args: string[]) =>
    (await execa('git', args, { cwd: folder, env: { GIT_CONFIG_GLOBAL: '/dev/null', ...person } })).stdout;
  try {
    await git('clone', '--quiet', '--no-local', world.upstream.folder, '.');
    // As it was before the release.
    await git('checkout', '--quiet', '-B', 'develop', base);
    await git('checkout', '--quiet', '-B', 'master', `${base}^`);
    await git('tag', '--delete', version);
    await git('checkout', '--quiet', '-b', `release/${version}`, 'develop');
    const bump = `
      echo ${version} >server/VERSION
      sed -i 's/"version": "1.0.0"/"version": "${version}.0"/' client/package.json client/package-lock.json`;
    await execa('sh', ['-c', bump], { cwd: folder });
    await git('commit', '--quiet', '--all', '--message', 'Bump');
    for (const branch of ['develop', 'master']) {
      await git('checkout', '--quiet', branch);
      await git('merge', '--quiet', '--no-ff', '--no-edit', `release/${version}`);
    }
    await git('tag', '--annotate', version, '--message', version, `release/${version}`);
    await git('branch', '--quiet', '-D', `release/${version}`);

    const show = async (of: (...args: string[]) => Promise<string>) => {
      const lines = [];
      for (const name of ['develop', 'master', `${version}^{commit}`]) {
        const commit = await of('rev-parse', name);
        for (const each of [commit, `${commit}^1`]) lines.push(await of('log', '-1', '--format=%T', each));
        // Merges have the release as their second parent, the tag a single one.
        lines.push(await of('rev-list', '--count', `${commit}^@`, '--not', base));
        lines.push(String((await of('log', '-1', '--format=%P', commit)).split(' ').length));
      }
      return lines;
    };
    assert.equal(await show((...args) => world.upstream.git(...args)), await show(git));
    const heads = ['for-each-ref', '--format=%(refname) %(objecttype)', 'refs/heads', 'refs/tags'];
    assert.is(await world.upstream.git(...heads), await git(...heads));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

const person = {
  GIT_AUTHOR_NAME: 'Hand',
  GIT_AUTHOR_EMAIL: 'hand@example.invalid',
  GIT_COMMITTER_NAME: 'Hand',
  GIT_COMMITTER_EMAIL: 'hand@example.invalid',
};

test('--hold waits on staging; a fix on the release branch is deployed without building the client again', async () => {
  await world.checkout();
  await world.commit('Another feature', { 'client/src/message.txt': 'another\n' });
  const before = await world.host.status('rel');
  // Found by --next, after the one of the past.
  const planned = await world.mustRelease('--next', '--from', 'develop', '--hold', '--dry-run');
  const next = /dokku flight-launch:release (\S+) --from develop --hold --pipeline rel/.exec(
    planned.output,
  )?.[1];
  assert.match(next ?? '', /^\d{6}\.1$/);
  const held = await world.release('--next', '--from', 'develop', '--hold');
  assert.is(held.status, 3, held.output);
  assert.match(held.output, 'Held: look at rel-staging', held.output);
  assert.is((await world.host.status('rel')).production.build, before.production.build);

  const other = await world.release('201701.1', '--from', 'develop');
  assert.is(other.status, 4);
  assert.match(other.output, new RegExp(`release ${next}, begun by \\S+ .*has not ended: held`));

  // Staging gets something else meanwhile: what was recorded is what counts.
  await world.checkout(`release/${next}`);
  await world.commit('A fix', { 'server/fix.txt': 'fixed\n' }, `release/${next}`);
  const again = await world.release(next ?? '', '--resume');
  assert.is(again.status, 3, again.output);
  assert.match(again.output, 'Client unchanged: taking the one built');
  assert.match(again.output, 'Held:');
  const tested = (await world.host.status('rel')).staging.build;
  // What the release goes on with stays, however little is kept.
  await world.host.must('flight-launch:set', 'rel', 'keep', '1');
  await world.repository.commit('A colleague', { 'client/src/message.txt': 'a colleague\n' });
  await world.repository.mustPush(world.host, world.staging);
  await world.repository.git('reset', '--quiet', '--hard', 'HEAD~1');

  const done = await world.mustRelease(next ?? '', '--resume');
  const served = await world.served(done.output);
  assert.match(served.page, 'another');
  assert.is(served.server, next);
  const fixed = await world.upstream.git('rev-parse', `refs/tags/${next}^{commit}`);
  assert.is(await world.repository.head(), fixed);
  const { production } = await world.host.status('rel');
  assert.is(production.commit, fixed);
  assert.is(production.build, tested);
  await world.host.must('flight-launch:set', 'rel', 'keep', '--unset');
});

test('finish merges and tags what was promoted by hand, and nothing else', async () => {
  await world.checkout();
  const early = await world.host.dokku('flight-launch:finish', '201705.1', '--pipeline', 'rel');
  assert.is(early.status, 1);
  assert.match(early.output, 'there is no branch release/201705.1 upstream');
  await world.repository.git('checkout', '--quiet', '-b', 'by-hand');
  const commit = await world.commit('By hand', { 'server/VERSION': '201705.1\n' }, 'release/201705.1');
  const wrong = await world.host.dokku('flight-launch:finish', '201705.1', '--pipeline', 'rel');
  assert.is(wrong.status, 1);
  assert.match(wrong.output, 'which is not of release/201705.1');
  await world.repository.mustPush(world.host, world.staging, '+HEAD:master');
  await world.host.must('flight-launch:promote', '--pipeline', 'rel');
  const refs = await world.refs();
  await world.host.must('flight-launch:finish', '201705.1', '--pipeline', 'rel', '--dry-run');
  assert.is(await world.refs(), refs);
  await world.commit('Too late', { 'server/late.txt': 'late\n' }, 'release/201705.1');
  const finished = await world.host.must('flight-launch:finish', '201705.1', '--pipeline', 'rel');
  assert.match(finished.output, /release\/201705\.1 stays upstream.*"Too late"/);
  assert.is(await world.upstream.git('rev-parse', 'refs/tags/201705.1^{commit}'), commit);
  for (const branch of ['develop', 'master']) {
    assert.is(await world.upstream.git('rev-parse', `${branch}^2`), commit);
  }
  // What came too late is nowhere but there.
  await world.upstream.git('branch', '--quiet', '-D', 'release/201705.1');
  const again = await world.host.must('flight-launch:finish', '201705.1', '--pipeline', 'rel');
  assert.match(again.output, 'merged and tagged already');
});

test('--abort takes the branch away upstream, and production was never touched', async () => {
  await world.checkout();
  await world.commit('Not to be', { 'server/not.txt': 'to be\n' });
  const [refs, before] = [await world.refs(), await world.host.status('rel')];
  const held = await world.release('201706.1', '--from', 'develop', '--hold');
  assert.is(held.status, 3, held.output);
  assert.match(await world.refs(), 'refs/heads/release/201706.1');
  const planned = await world.mustRelease('201706.1', '--abort', '--dry-run');
  assert.match(planned.output, 'Removing the branch release/201706.1 upstream');
  assert.is.not(await world.refs(), refs);
  const aborted = await world.mustRelease('201706.1', '--abort');
  assert.match(aborted.output, 'rel-staging may still run build');
  assert.is(await world.refs(), refs);
  assert.is((await world.host.status('rel')).production.build, before.production.build);
  assert.match((await world.mustRelease('201706.1', '--abort')).output, 'given up already');
  const resumed = await world.release('201706.1', '--resume');
  assert.is(resumed.status, 1);
  assert.match(resumed.output, 'was given up');
});

test.run();
