import { execa } from 'execa';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { assert, suite } from '../support/suite';
import { TestUpstream } from '../support/upstream';

const test = suite('upstream of the tests');

const scratch = mkdtempSync(join(tmpdir(), 'flight-launch-unit-'));
const key = join(scratch, 'key');
const ssh = `ssh -F /dev/null -i ${key} -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR`;
let upstream: TestUpstream;

async function git(...args: string[]): Promise<{ status: number; output: string }> {
  const ran = await execa('git', ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.invalid', ...args], {
    cwd: scratch,
    env: { GIT_SSH_COMMAND: ssh },
    reject: false,
    all: true,
    timeout: 15_000,
  });
  return { status: ran.timedOut ? -1 : (ran.exitCode ?? -2), output: ran.all };
}

/** Whether git ends by itself within a while. Its ssh is killed with it, which would wait on. */
async function answered(...args: string[]): Promise<boolean> {
  const env = { ...process.env, GIT_SSH_COMMAND: ssh };
  const child = spawn('git', args, { cwd: scratch, env, stdio: 'ignore', detached: true });
  const ended = once(child, 'exit').then(() => true);
  const answer = await Promise.race([ended, sleep(1500, false)]);
  if (!answer && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  return answer;
}

/** Status and output of a push of a new commit. */
async function pushed(...refs: string[]): Promise<{ status: number; output: string; commit: string }> {
  await git('commit', '--quiet', '--allow-empty', '--message', 'change');
  const { output: commit } = await git('rev-parse', 'HEAD');
  return { ...(await git('push', upstream.url, ...refs.map((ref) => `HEAD:refs/heads/${ref}`))), commit };
}

const head = (branch = 'master') =>
  upstream.git('for-each-ref', '--format=%(objectname)', `refs/heads/${branch}`);

test.before(async () => {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
  upstream = await TestUpstream.start('unit');
  await git('init', '--quiet', '.');
});

test.before.each(() => {
  upstream.fail('none');
  upstream.authorizeNone();
  upstream.authorize(readFileSync(`${key}.pub`, 'utf8'));
});

test.after(() => {
  upstream.stop();
  rmSync(scratch, { recursive: true });
});

test('takes a push and a fetch by a key that it knows, and by no other', async () => {
  const { status, output, commit } = await pushed('master');
  assert.is(status, 0, output);
  assert.is(await head(), commit);
  const listed = await git('ls-remote', upstream.url);
  assert.is(listed.output, `${commit}\tHEAD\n${commit}\trefs/heads/master`);
  upstream.authorizeNone();
  assert.match((await git('ls-remote', upstream.url)).output, /Permission denied \(publickey\)/);
});

test('protects the refs that are named', async () => {
  upstream.fail('protect', 'refs/heads/master');
  const before = await head();
  const { status, output, commit } = await pushed('master', 'release');
  assert.is(status, 1);
  assert.match(output, /GH006: Protected branch update failed for refs\/heads\/master/);
  assert.match(output, /\[remote rejected\] HEAD -> master \(hook declined\)/);
  assert.equal([await head(), await head('release')], [before, commit]);
});

test('lets an answer be lost after all was accepted, and only where the ref is touched', async () => {
  upstream.fail('lose-answer', 'refs/heads/master');
  assert.is((await pushed('other')).status, 0);
  assert.is((await git('push', '--dry-run', upstream.url, 'HEAD:master')).status, 0);
  const { status, output, commit } = await pushed('master');
  assert.is(status, 128, output);
  assert.match(output, /hung up unexpectedly|closed by remote host/);
  assert.is(await head(), commit);
});

test('lets a connection die during a push, with nothing accepted', async () => {
  const before = await head();
  upstream.fail('reset');
  const { status, output } = await pushed('master');
  assert.ok(status !== 0, output);
  assert.is(await head(), before);
  upstream.fail('none');
  assert.is((await pushed('master')).status, 0);
});

test('hangs, at once or only when pushed to', async () => {
  const before = await head();
  upstream.fail('hang-push');
  assert.is((await git('ls-remote', upstream.url)).status, 0);
  assert.is(await answered('push', upstream.url, 'HEAD:refs/heads/hung'), false);
  upstream.fail('hang');
  assert.is(await answered('ls-remote', upstream.url), false);
  assert.equal([await head(), await head('hung')], [before, '']);
});

test('may be read only', async () => {
  upstream.fail('read-only');
  assert.is((await git('ls-remote', upstream.url)).status, 0);
  const { status, output } = await git('push', '--dry-run', upstream.url, 'HEAD:master');
  assert.is(status, 128);
  assert.match(output, /marked as read only/);
});

test('moves on between fetch and push, when its time has come', async () => {
  upstream.onPush(`[ -e ${scratch}/now ]
    git update-ref refs/heads/master "$(git commit-tree -p master -m moved 'master^{tree}')"`);
  assert.is((await pushed('master')).status, 0);
  assert.is(upstream.pushSeen, false);
  await git('config', 'core.hooksPath', '/dev/null');
  execFileSync('touch', [join(scratch, 'now')]);
  const { status, output } = await pushed('master');
  assert.is(status, 1);
  assert.match(output, /rejected.*fetch first/);
  assert.is(upstream.pushSeen, true);
  assert.is(await upstream.git('log', '-1', '--format=%s', 'master'), 'moved');
});

test('shows another host key after a change', async () => {
  const before = upstream.hostFingerprint;
  upstream.changeHostKey();
  assert.ok(upstream.hostFingerprint !== before);
  assert.is((await git('ls-remote', upstream.url)).status, 0);
});

test.run();
