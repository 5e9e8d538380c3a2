import { execa } from 'execa';
import { get, TestHost } from '../support/host';
import { ended, LocalWrapper, loseConnection, shells } from '../support/local-wrapper';
import { Monorepo } from '../support/monorepo';
import { assert, suite } from '../support/suite';

const test = suite('local wrapper');
let host: TestHost;
let repository: Monorepo;
let wrapper: LocalWrapper;

test.before(async () => {
  host = await TestHost.start('wrapper');
  repository = await Monorepo.create();
  wrapper = new LocalWrapper(host, repository);
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

test('push deploys the branch that is checked out, to the deploy branch of staging', async () => {
  await host.must('git:set', 'wrapped-staging', 'deploy-branch', 'live');
  await repository.git('checkout', '--quiet', '-b', 'feature');
  await repository.commit('One', { 'client/src/message.txt': 'by the wrapper\n' });
  const pushed = await wrapper.run(['dash'], 'push');
  assert.is(pushed.status, 0, pushed.output);
  const url = host.url(pushed.output.replace(/^remote: ?/gm, ''));
  assert.match((await get(url)).body, 'by the wrapper');
  const again = await wrapper.run(['bash', '--posix'], 'push', 'feature', '--dry-run');
  assert.match(again.output, 'Everything up-to-date');
});

test('promote shows what it would do, and does nothing without a yes', async () => {
  const deaf = await wrapper.run(['dash'], 'promote');
  assert.is(deaf.status, 1);
  assert.match(deaf.output, 'wrapped gets build');
  assert.match(deaf.output, 'nobody can answer');
  const refused = await wrapper.runTyped(['n'], 'promote');
  assert.is(refused.status, 1, refused.output);
  assert.match(refused.output, 'Go on with wrapped? [y/N]');
  assert.match(refused.output, 'Nothing was changed.');
  assert.is((await host.status('wrapped')).production.state, 'not-deployed');
});

test('a connection that breaks during a promote is picked up again (F41)', async () => {
  const promoting = wrapper.start(['dash'], ['promote', '--yes']);
  await loseConnection(promoting, 'promote --pipeline wrapped');
  const { status, output } = await ended(promoting);
  assert.is(status, 0, output);
  assert.match(output, 'connection lost; asking for');
  assert.match(output, 'is live on wrapped');
  assert.is((await host.status('wrapped')).production.state, 'build');
});

test('a promote that is confirmed but has nothing to do does not ask, and tells so', async () => {
  const nothing = await wrapper.run(['dash'], 'promote');
  assert.is(nothing.status, 0, nothing.output);
  assert.match(nothing.output, 'nothing to do');
});

test('the status of the host is the status of the wrapper', async () => {
  const gone = await wrapper.run(['dash'], 'rollback', 'wrapped.none', '--yes');
  assert.is(gone.status, 1);
  assert.match(gone.output, 'is no build that wrapped can go back to');
  const usage = await wrapper.run(['dash'], 'set', 'wrapped', 'colour', 'red');
  assert.is(usage.status, 2);
});

/** What is typed before a tab, and what it becomes. */
const completions = [
  ['pro', 'promote'],
  ['rele', 'release'],
  ['release --res', 'release --resume'],
  ['release --next min', 'release --next minor'],
  ['finish 201704.15 --mes', 'finish 201704.15 --message'],
  ['logs --f', 'logs --follow'],
  ['completion z', 'completion zsh'],
] as const;

async function completedByBash(completion: string, typed: readonly string[]): Promise<string[]> {
  const script = `
    eval "$1"
    shift
    for line; do
      COMP_WORDS=(flight-launch $line)
      COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
      _flight_launch
      COMP_WORDS[COMP_CWORD]=\${COMPREPLY[*]}
      echo "\${COMP_WORDS[@]:1}"
    done`;
  const { stdout } = await execa('bash', ['-euc', script, 'bash', completion, ...typed], { cwd: '/' });
  return stdout.split('\n');
}

/** zsh completes on a terminal only. */
async function completedByZsh(completion: string, typed: readonly string[]): Promise<string[]> {
  // The inner shell shows what became of a line in place of running it. What is waited for is not written as it is
  // shown, since the terminal shows what is typed, too.
  const script = `
    zmodload zsh/zpty
    zpty inner zsh -f -i
    zpty -w inner 'autoload -Uz compinit && compinit -D -u && eval "$COMPLETION" && flight-launch() { print "<$*"">" } && PS1="rea""dy"'
    for line; do
      zpty -r inner seen '*ready*'
      zpty -w inner "flight-launch $line"$'\\t'
      zpty -r inner seen '*<*>*'
      seen=\${seen#*<}
      print -r -- \${seen%%>*}
    done`;
  const env = { COMPLETION: completion, TERM: 'dumb' };
  const { stdout } = await execa('zsh', ['-f', '-c', script, 'zsh', ...typed], {
    cwd: '/',
    env,
    timeout: 60_000,
  });
  return stdout.split('\n').map((line) => line.trimEnd());
}

for (const shell of shells) {
  const name = shell.join(' ');

  test(`${name}: commands reach the pipeline of the checkout, and arguments arrive as they are`, async () => {
    const shown = await wrapper.run(shell, 'status');
    assert.is(shown.status, 0, shown.output);
    assert.match(shown.output, 'Pipeline wrapped\n');
    const json = await wrapper.run(shell, 'history', '--format', 'json');
    assert.is((JSON.parse(json.stdout) as { entries: unknown[] }).entries.length > 0, true);
    const other = await wrapper.run(shell, 'status', 'wrapped-other');
    assert.match(other.output, 'Pipeline wrapped-other\n');
    const logs = await wrapper.run(shell, 'logs');
    assert.match(logs.output, 'is live on wrapped');
    const quoted = await wrapper.run(shell, 'set', 'wrapped', 'memory', `it's "1 g" $HOME \\ * ;`);
    assert.is(quoted.status, 2);
    assert.match(quoted.output, `it's \\"1 g\\" $HOME`);
    const planned = await wrapper.run(shell, 'promote', '--dry-run');
    assert.match(planned.output, 'nothing to do');
  });

  test(`${name}: help and completion need neither host nor checkout`, async () => {
    for (const option of ['-h', '--help']) {
      const { exitCode, stdout } = await wrapper.start(shell, [option], '/');
      assert.is(exitCode, 0);
      assert.match(stdout, /^Usage: flight-launch COMMAND/);
    }
    const typed = completions.map(([words]) => words);
    const completed = completions.map(([, words]) => words);
    const bash = await wrapper.start(shell, ['completion', 'bash'], '/');
    assert.equal(await completedByBash(bash.stdout, typed), completed);
    const zsh = await wrapper.start(shell, ['completion', 'zsh'], '/');
    assert.match(zsh.stdout, /^#compdef flight-launch\n/);
    assert.equal(await completedByZsh(zsh.stdout, typed), completed);
    assert.is((await wrapper.start(shell, ['completion', 'fish'], '/')).exitCode, 2);
  });

  test(`${name}: bad input gets one clear line, and nothing is pushed`, async () => {
    const refused = async (problem: string, ...args: string[]) => {
      const { status, output } = await wrapper.run(shell, ...args);
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
    assert.match((await wrapper.run(shell, 'status')).output, 'Pipeline wrapped\n');
    await repository.git('config', '--unset', 'flight-launch.productionRemote');
    await repository.git('remote', 'rename', 'production', 'dokku');
    const { exitCode, all } = await wrapper.start(shell, ['status'], '/');
    assert.is(exitCode, 2);
    assert.match(all, 'this is no git checkout');
  });
}

test.run();
