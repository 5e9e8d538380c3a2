import { get, TestHost } from '../support/host';
import { applicationFiles, placesInImage, webContainer } from '../support/images';
import { Monorepo } from '../support/monorepo';
import { Registry } from '../support/registry';
import { assert, suite } from '../support/suite';

const test = suite('layers that a promote pushes');
const staging = 'pregh-staging';
const production = 'pregh';
/** A value that only staging has. */
const canary = 'canary-77c0';
let host: TestHost;
let registry: Registry;
let repository: Monorepo;
let captured = '';

test.before(async () => {
  host = await TestHost.start('pregh');
  registry = await Registry.start(host);
  repository = await Monorepo.create();
  await host.must('flight-launch:setup', production);
  await host.must('flight-launch:set', production, 'client-image', 'flight-launch-test/node:20');
  await host.must('config:set', '--no-restart', staging, `CANARY=${canary}`, 'WHO=staging');
  await host.must('config:set', '--no-restart', production, 'WHO=production');
  await host.must('registry:set', production, 'server', registry.server);
  await host.must('registry:set', production, 'push-on-release', 'true');
  await repository.commit('One', {
    'client/src/message.txt': 'one\n',
    'server/.env': 'FROM_REPOSITORY=kept\n',
  });
  await repository.mustPush(host, staging);
  captured = `flight-launch/${production}:${(await host.status(production)).staging.build ?? ''}`;
});

test.after(async () => {
  repository.remove();
  await registry.remove();
  await host.stop();
});

test('negative control: a herokuish image as it is kept shows the configuration of staging in a lower layer (H4)', async () => {
  const name = `${registry.server}/control/${production}:1`;
  await host.mustAdmin(`docker tag ${captured} ${name} && docker push --quiet ${name} && docker rmi ${name}`);
  const places = await registry.placesOf(canary, `control/${production}`, '1');
  assert.ok(places.length > 0);
  assert.equal(await placesInImage(host, captured, canary), []);
});

test('production gets the same files, and no pushed layer has anything of the configuration of staging', async () => {
  const promoted = await host.must('flight-launch:promote');
  assert.match(promoted.output, `Taking the configuration of ${staging} out of all layers`);
  const url = host.url(promoted.output);
  assert.match((await get(url)).body, 'one');
  assert.is((await get(`${url}/env/WHO`)).body, '{"name":"WHO","value":"production"}');
  assert.is((await get(`${url}/env/CANARY`)).status, 404);
  const pushed = `dokku/${production}`;
  assert.equal(await registry.tags(pushed), ['1']);
  assert.equal(await registry.placesOf(canary, pushed, '1'), []);
  const container = await webContainer(host, production);
  const running = await host.mustAdmin(`docker inspect --format '{{.Image}}' ${container}`);
  assert.is(running, await registry.imageId(pushed, '1'));
  assert.is(await applicationFiles(host, running), await applicationFiles(host, captured));
  assert.is(
    await host.mustAdmin(`docker exec ${container} cat /app/.env`),
    await host.mustAdmin(`docker run --rm --entrypoint cat ${captured} /app/.env`),
  );
  assert.is((await host.status(production)).production.processes[0]?.build, captured.split(':')[1]);
});

test('layers that hold none of it stay as they are: the registry and the engine have them already', async () => {
  const [control, pushed] = await Promise.all([
    registry.layers(`control/${production}`, '1'),
    registry.layers(`dokku/${production}`, '1'),
  ]);
  assert.is(pushed[0], control[0]);
});

test.run();
