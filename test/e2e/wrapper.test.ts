import { execa } from 'execa';
import { resolve } from 'node:path';
import { get, TestHost, type Result } from '../support/host';
import { Monorepo } from '../support/monorepo';
import { assert, suite } from '../support/suite';

const test = suite('local wrapper');
const shells = [['dash'], ['bash', '--posix'], ['busybox', 'sh']] as const;
const wrapper = resolve('bin/flight-launch');
let host: TestHost;
let repository: Monorepo;

test.before(async () => {
  host = await TestHost.start('wrapper');
  repository = await Monorepo.create();
  await host.must('flight-launch:setup', 'wrapped');
  await host.must('flight-launch:setup', 'wrapped-other');
  await host.must('flight-launch:set', 'wrapped', 'client-image', 'flight-launch-test/node:20');
  await repository.git('remote', 'add', 'dokku-staging', host.remote('wrapped-staging'));
  await repository.git('remote', 'add', 'dokku', host.remote('wrapped'));
});

test.after(async () => {
  repository.remove();
  await host.stop();
});

/** The wrapper as it is started in the checkout. */
function start(shell: readonly string[], args: readonly string[], cwd = repository.folder) {
  const [program = 'sh', ...options] = shell;
  return execa(program, [...options, wrapper, ...args], {
    cwd,
    env: { GIT_SSH_COMMAND: host.gitSsh, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' },
    reject: false,
    all: true,
    stdin: 'ignore',
    timeout: 300_000,
  });
}

async function run(shell: readonly string[], ...args: string[]): Promise<Result> {
  const { exitCode, all, stdout, stderr } = await start(shell, args);
  return { status: exitCode ?? -1, output: all, stdout, stderr };
}

/** As `run`, in a terminal in which somebody types. */
async function typed(answer: string, ...args: string[]): Promise<Result> {
  const { exitCode, all, stdout, stderr } = await execa(
    'script',
    ['--quiet', '--return', '--command', ['dash', wrapper, ...args].join(' '), '/dev/null'],
    {
      cwd: repository.folder,
      env: { GIT_SSH_COMMAND: host.gitSsh },
      reject: false,
      all: true,
      input: `${answer}\n`,
      timeout: 300_000,
    },
  );
  return { status: exitCode ?? -1, output: all, stdout, stderr };
}

test('push deploys the branch that is checked out, to the deploy branch of staging', async () => {
  await host.must('git:set', 'wrapped-staging', 'deploy-branch', 'live');
  await repository.git('checkout', '--quiet', '-b', 'feature');
  await repository.commit('One', { 'client/src/message.txt': 'by the wrapper\n' });
  const pushed = await run(['dash'], 'push');
  assert.is(pushed.status, 0, pushed.output);
  const url = host.url(pushed.output.replace(/^remote: ?/gm, ''));
  assert.match((await get(url)).body, 'by the wrapper');
  const again = await run(['bash', '--posix'], 'push', 'feature', '--dry-run');
  assert.match(again.output, 'Everything up-to-date');
});

test('promote shows what it would do, and does nothing without a yes', async () => {
  const deaf = await run(['dash'], 'promote');
  assert.is(deaf.status, 1);
  assert.match(deaf.output, 'wrapped gets build');
  assert.match(deaf.output, 'nobody can answer');
  const refused = await typed('n', 'promote');
  assert.is(refused.status, 1, refused.output);
  assert.match(refused.output, 'Go on with wrapped? [y/N]');
  assert.match(refused.output, 'Nothing was changed.');
  assert.is((await host.status('wrapped')).production.state, 'not-deployed');
});

test('a connection that breaks during a promote is picked up again (F41)', async () => {
  const promoting = start(['dash'], ['promote', '--yes']);
  let soFar = '';
  promoting.all.on('data', (chunk: Buffer) => (soFar += chunk.toString()));
  while (!soFar.includes('it goes on if this connection breaks')) {
    assert.is(promoting.exitCode, null, soFar);
    await new Promise((next) => setTimeout(next, 50));
  }
  const { stdout } = await execa('pgrep', ['-x', '-f', `ssh .*flight-launch:promote --pipeline wrapped`]);
  // What a lost connection is to ssh: it ends with 255.
  process.kill(Number(stdout.trim()), 'SIGTERM');
  const { exitCode, all } = await promoting;
  assert.is(exitCode, 0, all);
  assert.match(all, 'connection lost; asking for');
  assert.match(all, 'is live on wrapped');
  assert.is((await host.status('wrapped')).production.state, 'build');
});

test('a promote that is confirmed but has nothing to do does not ask, and tells so', async () => {
  const nothing = await run(['dash'], 'promote');
  assert.is(nothing.status, 0, nothing.output);
  assert.match(nothing.output, 'nothing to do');
});

test('the status of the host is the status of the wrapper', async () => {
  const gone = await run(['dash'], 'rollback', 'wrapped.none', '--yes');
  assert.is(gone.status, 1);
  assert.match(gone.output, 'is no build that wrapped can go back to');
  const usage = await run(['dash'], 'set', 'wrapped', 'colour', 'red');
  assert.is(usage.status, 2);
});

for (const shell of shells) {
  const name = shell.join(' ');

  test(`${name}: commands reach the pipeline of the checkout, and arguments arrive as they are`, async () => {
    const shown = await run(shell, 'status');
    assert.is(shown.status, 0, shown.output);
    assert.match(shown.output, 'Pipeline wrapped\n');
    const json = await run(shell, 'history', '--format', 'json');
    assert.is((JSON.parse(json.stdout) as { entries: unknown[] }).entries.length > 0, true);
    const other = await run(shell, 'status', 'wrapped-other');
    assert.match(other.output, 'Pipeline wrapped-other\n');
    const logs = await run(shell, 'logs');
    assert.match(logs.output, 'is live on wrapped');
    const quoted = await run(shell, 'set', 'wrapped', 'memory', `it's "1 g" $HOME \\ * ;`);
    assert.is(quoted.status, 2);
    assert.match(quoted.output, `it's \\"1 g\\" $HOME`);
    const planned = await run(shell, 'promote', '--dry-run');
    assert.match(planned.output, 'nothing to do');
  });

  test(`${name}: help and completion need neither host nor checkout`, async () => {
    for (const option of ['-h', '--help']) {
      const { exitCode, stdout } = await start(shell, [option], '/');
      assert.is(exitCode, 0);
      assert.match(stdout, /^Usage: flight-launch COMMAND/);
    }
    const { stdout } = await start(shell, ['completion', 'bash'], '/');
    const completed = await execa(
      'bash',
      [
        '-c',
        `${stdout}\nCOMP_WORDS=(flight-launch pro) COMP_CWORD=1\n_flight_launch\necho "\${COMPREPLY[@]}"`,
      ],
      { cwd: '/' },
    );
    assert.is(completed.stdout, 'promote');
    const zsh = await start(shell, ['completion', 'zsh'], '/');
    assert.match(zsh.stdout, /^#compdef flight-launch\n/);
    assert.is((await start(shell, ['completion', 'fish'], '/')).exitCode, 2);
  });

  test(`${name}: bad input gets one clear line, and nothing is pushed`, async () => {
    const refused = async (problem: string, ...args: string[]) => {
      const { status, output } = await run(shell, ...args);
      assert.ok(status === 1 || status === 2, output);
      assert.match(output, problem);
    };
    await refused('there is no branch nothing', 'push', 'nothing');
    await refused('an argument has more than one line', 'status', 'a\nb');
    await refused('there is no option --frob', '--frob');
    await repository.git('checkout', '--quiet', '--detach');
    await refused('no branch is checked out', 'push');
    await repository.git('checkout', '--quiet', 'feature');
    repository.write({ 'client/src/message.txt': 'not committed\n' });
    await refused('changes that are not committed', 'push');
    await repository.git('checkout', '--quiet', '.');
    await repository.git('remote', 'set-url', 'dokku', 'https://example.invalid/wrapped');
    await refused('is not reached by ssh', 'status');
    await repository.git('remote', 'set-url', 'dokku', host.remote('wrapped-other'));
    await refused('are in no pipeline', 'status');
    await repository.git('remote', 'remove', 'dokku');
    await refused('there is no remote dokku', 'promote');
    await repository.git('remote', 'add', 'production', host.remote('wrapped'));
    await repository.git('config', 'flight-launch.productionRemote', 'production');
    assert.match((await run(shell, 'status')).output, 'Pipeline wrapped\n');
    await repository.git('config', '--unset', 'flight-launch.productionRemote');
    await repository.git('remote', 'rename', 'production', 'dokku');
    const { exitCode, all } = await start(shell, ['status'], '/');
    assert.is(exitCode, 2);
    assert.match(all, 'this is no git checkout');
  });
}

test.run();
