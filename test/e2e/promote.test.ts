import { Monorepo } from '../support/monorepo';
import { get, TestHost } from '../support/host';
import { assert, suite } from '../support/suite';

const test = suite('promote');
let host: TestHost;
let repository: Monorepo;
let production: string;

test.before(async () => {
  host = await TestHost.start('promote');
  repository = await Monorepo.create();
  await host.must('flight-launch:setup', 'pro');
  await host.must('flight-launch:set', 'pro', 'client-image', 'flight-launch-test/node:20');
  await host.must('config:set', '--no-restart', 'pro-staging', 'CANARY=staging-only', 'WHO=staging');
  await host.must('config:set', '--no-restart', 'pro', 'WHO=production');
});

test.after(async () => {
  repository.remove();
  await host.stop();
});

test('nothing can be promoted before anything is live', async () => {
  const refused = await host.dokku('flight-launch:promote');
  assert.is(refused.status, 1);
  assert.match(refused.output, 'nothing to promote is live on pro-staging');
});

test('a first promote into an app that was never deployed', async () => {
  await repository.commit('One', { 'client/src/message.txt': 'first\n' });
  await repository.mustPush(host, 'pro-staging');
  const promoted = await host.must('flight-launch:promote');
  console.log(promoted.output);
  production = host.url(promoted.output);
  assert.match((await get(production)).body, 'first');
  assert.is((await get(`${production}/env/WHO`)).body, '{"name":"WHO","value":"production"}');
  assert.is((await get(`${production}/env/CANARY`)).status, 404);
});

test('promoting the same again does nothing', async () => {
  const again = await host.must('flight-launch:promote');
  assert.match(again.output, 'nothing to do');
});

test('status, history, diff and logs', async () => {
  await repository.commit('Two', { 'client/src/message.txt': 'second\n', 'server/VERSION': '2\n' });
  await repository.mustPush(host, 'pro-staging');
  for (const verb of ['status', 'history', 'diff', 'logs']) {
    console.log((await host.must(`flight-launch:${verb}`)).output);
  }
});

test('rollback', async () => {
  await host.must('flight-launch:promote');
  assert.match((await get(production)).body, 'second');
  const back = await host.must('flight-launch:rollback', '--previous');
  console.log(back.output);
  assert.match((await get(production)).body, 'first');
});

test.run();
