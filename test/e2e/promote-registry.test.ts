import { get, TestHost } from '../support/host';
import { webContainer } from '../support/images';
import { Monorepo } from '../support/monorepo';
import { Registry } from '../support/registry';
import { assert, suite } from '../support/suite';

const test = suite('promote with a registry');
const staging = 'preg-staging';
const production = 'preg';
const repositoryName = 'shop/preg';
/** A value that only staging has. */
const canary = 'canary-5e1d';
let host: TestHost;
let registry: Registry;
let repository: Monorepo;
let rack = '';
let url = '';

test.before(async () => {
  host = await TestHost.start('preg');
  registry = await Registry.start(host);
  repository = await Monorepo.create({ dockerfile: true });
  rack = repository.read('server/config.ru');
  await host.must('flight-launch:setup', production);
  await host.must('flight-launch:set', production, 'client-image', 'flight-launch-test/node:20');
  await host.must('config:set', '--no-restart', staging, `CANARY=${canary}`, 'WHO=staging');
  await host.must('config:set', '--no-restart', production, 'WHO=production');
  await deploy('one');
});

test.after(async () => {
  repository.remove();
  await registry.remove();
  await host.stop();
});

/** Deploys a page to staging; with `failsOn`, of a server that fails its check on the app whose `WHO` that is. */
async function deploy(page: string, failsOn = 'nobody'): Promise<void> {
  await repository.commit(page, {
    'client/src/message.txt': `${page}\n`,
    'server/config.ru': rack.replace(
      "respond(200, status: 'ok')",
      `respond(ENV['WHO'] == '${failsOn}' ? 500 : 200, status: 'told')`,
    ),
    'server/app.json': `${JSON.stringify({
      healthchecks: {
        web: [{ type: 'startup', name: 'health', path: '/health', attempts: 3, wait: 1, timeout: 5 }],
      },
    })}\n`,
  });
  await repository.mustPush(host, staging);
}

interface Running {
  /** Name and id of the image that serves production. */
  name: string;
  id: string;
}

async function running(): Promise<Running> {
  const container = await webContainer(host, production);
  const [name = '', id = ''] = (
    await host.mustAdmin(`docker inspect --format '{{.Config.Image}} {{.Image}}' ${container}`)
  ).split(' ');
  return { name, id };
}

/** All of production that must be as it was where nothing was put on it; the count of pushes never goes back. */
function snapshot(): Promise<string> {
  return host.mustAdmin(`
    echo "image $(docker image inspect --format '{{.Id}}' dokku/${production}:latest 2>&1)"
    echo "revision $(dokku config:get ${production} GIT_REV)"
    echo "container $(cat "$DOKKU_ROOT/${production}/CONTAINER.web.1" 2>&1)"
    echo "branch $(cat "$DOKKU_ROOT/${production}/refs/heads/master" 2>&1)"
    cd "$DOKKU_LIB_ROOT/data/flight-launch/pipelines/${production}"
    find . -type f -path './jobs/*' | sort`);
}

async function lastResult(): Promise<string> {
  const { stdout } = await host.must('flight-launch:history', production, '--format', 'json');
  const { entries } = JSON.parse(stdout) as { entries: { kind: string; result: string }[] };
  const last = entries.at(-1);
  return `${last?.kind ?? 'nothing'} ${last?.result ?? ''}`;
}

/** What Dokku itself does with production afterwards has to bring up the same page. */
async function keepsServing(page: string): Promise<void> {
  await host.must('ps:restart', production);
  assert.match((await get(url)).body, page);
  assert.is((await get(`${url}/env/WHO`)).body, '{"name":"WHO","value":"production"}');
}

test('a scheduler that cannot take a local image is refused with the reason, before anything', async () => {
  const before = await snapshot();
  const refusal = async (scheduler: string) => {
    await host.must('scheduler:set', production, 'selected', scheduler);
    const { status, output } = await host.dokku('flight-launch:promote');
    assert.is(status, 1, output);
    assert.match(output, 'nothing was changed');
    return output;
  };
  for (const scheduler of ['k3s', 'nomad']) {
    assert.match(
      await refusal(scheduler),
      `${production} is run by the scheduler ${scheduler}, which cannot take an image of this host`,
    );
  }
  await host.must('registry:set', production, 'push-on-release', 'true');
  assert.match(await refusal('k3s'), 'whose containers this host does not see');
  await host.must('scheduler:set', production, 'selected');
  await host.must('registry:set', production, 'push-on-release');
  assert.is(await snapshot(), before);
});

test('a server of a registry that nothing is pushed to is refused: Dokku would start what nobody made', async () => {
  const before = await snapshot();
  await host.must('registry:set', production, 'server', registry.server);
  await host.must('registry:set', production, 'image-repo', repositoryName);
  const refused = await host.dokku('flight-launch:promote');
  assert.is(refused.status, 1);
  assert.match(refused.output, `from ${registry.server}/${repositoryName}:latest, which nothing makes`);
  assert.is(await snapshot(), before);
});

test('the plan tells where Dokku pushes to, a global setting included', async () => {
  await host.must('registry:set', '--global', 'push-on-release', 'true');
  const planned = await host.must('flight-launch:promote', '--dry-run');
  assert.match(planned.output, `Dokku pushes it to ${registry.server}/${repositoryName}`);
  await host.must('registry:set', '--global', 'push-on-release');
  await host.must('registry:set', production, 'push-on-release', 'true');
});

test('a first promote that cannot be pushed leaves the app as undeployed as it was', async () => {
  const before = (await snapshot()).split('\n').filter((line) => !line.startsWith('./jobs'));
  await registry.stop();
  const failed = await host.dokku('flight-launch:promote');
  await registry.startAgain();
  assert.is(failed.status, 1, failed.output);
  assert.match(failed.output, 'the promote failed');
  assert.equal(
    (await snapshot()).split('\n').filter((line) => !line.startsWith('./jobs')),
    before,
  );
  assert.is(await lastResult(), 'promote put-back');
  const left = `docker image ls --format '{{.Repository}}:{{.Tag}}' --filter label=com.dokku.app-name=${production}`;
  assert.equal(
    (await host.mustAdmin(left)).split('\n').filter((name) => name.includes(repositoryName)),
    [],
  );
});

test('the promoted image is pushed, and production runs the pushed one', async () => {
  const promoted = await host.must('flight-launch:promote');
  url = host.url(promoted.output);
  assert.match((await get(url)).body, 'one');
  assert.is((await get(`${url}/env/WHO`)).body, '{"name":"WHO","value":"production"}');
  assert.is((await get(`${url}/env/CANARY`)).status, 404);
  // The tag counted up for the push that failed.
  assert.equal(await registry.tags(repositoryName), ['2']);
  assert.equal(await running(), {
    name: `${registry.server}/${repositoryName}:2`,
    id: await registry.imageId(repositoryName, '2'),
  });
});

test('status tells the truth of it, and a second promote has nothing to do', async () => {
  const { staging: tested, production: live } = await host.status(production);
  assert.is(live.state, 'build');
  assert.is(live.build, tested.build);
  assert.is(live.commit, await repository.head());
  assert.equal(live.processes, [{ process: 'web.1', running: true, build: live.build }]);
  assert.match((await host.must('flight-launch:promote')).output, 'nothing to do');
  assert.equal(await registry.tags(repositoryName), ['2']);
});

test('nothing that was pushed shows the configuration of staging, in no layer (H3, H4)', async () => {
  assert.equal(await registry.placesOf(canary, repositoryName, '2'), []);
  // The same search finds what is there.
  assert.is(
    (await registry.placesOf('com.flight-launch.build', repositoryName, '2')).includes('configuration'),
    true,
  );
  assert.ok(
    (await registry.placesOf('respond', repositoryName, '2')).some((place) => place.startsWith('layer')),
  );
});

test('H20 a failing check: the old page stays, though Dokku pushed the new one and counted on', async () => {
  await deploy('two', 'production');
  const before = await running();
  const failed = await host.dokku('flight-launch:promote');
  assert.is(failed.status, 1, failed.output);
  assert.equal(await registry.tags(repositoryName), ['2', '3']);
  assert.equal(await running(), before);
  assert.is(await lastResult(), 'promote put-back');
  await keepsServing('one');
  assert.equal(await running(), { name: `${registry.server}/${repositoryName}:3`, id: before.id });
  await host.must('ps:stop', production);
  await host.must('ps:start', production);
  assert.match((await get(url)).body, 'one');
});

test('a registry that cannot be reached fails the promote; the old page stays and all is put back', async () => {
  await deploy('three');
  const before = await snapshot();
  await registry.stop();
  const failed = await host.dokku('flight-launch:promote');
  assert.is(failed.status, 1, failed.output);
  assert.match(failed.output, `${production} goes on with the version that it had`);
  assert.match((await get(url)).body, 'one');
  const lines = (text: string) => text.split('\n').filter((line) => !line.startsWith('./jobs'));
  assert.equal(lines(await snapshot()), lines(before));
  assert.is(await lastResult(), 'promote put-back');
  assert.is((await host.status(production)).production.processes[0]?.running, true);
  await keepsServing('one');
  await registry.startAgain();
});

test('once it can be reached, the promote works, and a rollback pushes and runs the former build anew', async () => {
  await host.must('flight-launch:promote');
  assert.match((await get(url)).body, 'three');
  const pushed = await registry.tags(repositoryName);
  const rolled = await host.must('flight-launch:rollback', '--previous');
  assert.match(rolled.output, `Dokku pushes it to ${registry.server}/${repositoryName}`);
  assert.match((await get(url)).body, 'one');
  const tag = (await registry.tags(repositoryName)).at(-1) ?? '';
  assert.not(pushed.includes(tag));
  assert.equal(await running(), {
    name: `${registry.server}/${repositoryName}:${tag}`,
    id: await registry.imageId(repositoryName, tag),
  });
  // Of several names, Dokku would never remove an image.
  for (const name of [`${registry.server}/${repositoryName}`, repositoryName])
    assert.is(await host.mustAdmin(`docker image ls --format '{{.Tag}}' ${name} | grep '^[0-9]'`), tag);
  const { production: live } = await host.status(production);
  assert.is(live.processes[0]?.build, live.build);
  assert.is(await lastResult(), 'rollback live');
  await keepsServing('one');
});

test.run();
