/** The miniature host itself, where no recording says how it has to be. */
import { execa } from 'execa';
import { get, TestHost } from '../support/host';
import { Monorepo } from '../support/monorepo';
import { assert, suite } from '../support/suite';

const test = suite('miniature host');
const name = 'leftover';
const script = 'test/host/host';
let host: TestHost;
let repository: Monorepo;

test.before(async () => {
  repository = await Monorepo.create();
  host = await TestHost.miniature(name);
  await host.installPlugin();
});

test.after(() => {
  repository.remove();
});

const run = (...words: string[]) => execa(script, words, { reject: false, all: true });

/** What the engine has of the host and its pipeline, one line each. */
async function inTheEngine(): Promise<string[]> {
  const lists = [
    ['container', 'ls', '--all', '--format', 'container {{.Names}}'],
    ['image', 'ls', '--all', '--format', 'image {{.Repository}}:{{.Tag}}'],
    ['volume', 'ls', '--format', 'volume {{.Name}}'],
  ];
  const labels = [`com.flight-launch.host=${name}`, `com.flight-launch.pipeline=${name}`];
  const found = await Promise.all(
    lists.flatMap((list) =>
      labels.map((label) => execa('docker', [...list, '--filter', `label=${label}`], { lines: true })),
    ),
  );
  return found.flatMap(({ stdout }) => stdout);
}

test('a host that runs is not started over', async () => {
  await host.must('flight-launch:setup', name);
  await host.must('flight-launch:set', name, 'client-image', 'flight-launch-test/node:20');
  const pushed = await repository.mustPush(host, `${name}-staging`);
  const { exitCode, all } = await run('start', name);
  assert.is(exitCode, 1);
  assert.match(all, `host ${name} runs: stop it first (`);
  assert.is((await get(host.url(pushed.output))).status, 200);
});

test('what is left where the machine went down is removed by the next start', async () => {
  const before = await inTheEngine();
  for (const kind of [
    'container leftover-staging.web.1',
    'image flight-launch/install/',
    'volume flight-launch-',
  ])
    assert.ok(
      before.some((line) => line.startsWith(kind)),
      before.join('\n'),
    );
  await execa('pkill', ['-KILL', '--uid', `fl-${name}`]);
  await execa('pkill', ['-KILL', '--full', `/${name}/ssh/sshd_config`]);

  const { exitCode, all } = await run('start', name);
  assert.is(exitCode, 0, all);
  assert.match(all, `removing what is left of a host ${name} that was not stopped`);
  assert.equal(await inTheEngine(), []);
  assert.is((await host.dokku('apps:list')).stdout.includes('staging'), false);
});

test('where it was stopped, nothing is left to stop', async () => {
  await host.stop();
  const { exitCode, all } = await run('stop', name);
  assert.is(exitCode, 1);
  assert.match(all, `there is no host ${name}`);
});

test.run();
