import { Monorepo } from '../support/monorepo';
import { get, TestHost } from '../support/host';
import { stateOf } from '../support/rejected';
import { assert, suite } from '../support/suite';

const test = suite('deploy');
let host: TestHost;
let repository: Monorepo;
/** Address of the staging app, once it is deployed. */
let staging: string;

const built = /-----> Building the client/;
const installed = /-----> Installing dependencies/;
const unchanged = /Client unchanged/;

test.before(async () => {
  host = await TestHost.start('deploy');
  repository = await Monorepo.create();
  await host.must('flight-launch:setup', 'deploy');
  await host.must('flight-launch:set', 'deploy', 'client-image', 'flight-launch-test/node:20');
});

test.after(async () => {
  repository.remove();
  await host.stop();
});

test('the served page is the one built from the pushed commit (H1, H2)', async () => {
  await repository.commit('Say hello', { 'client/src/message.txt': 'from the first commit\n' });
  const pushed = await repository.mustPush(host, 'deploy-staging');
  staging = host.url(pushed.output);
  assert.match(pushed.output, installed);
  assert.match(pushed.output, built);
  assert.match((await get(staging)).body, 'from the first commit');
  assert.match(pushed.output, /-----> flight-launch: build deploy-staging\.\w+ is live on deploy-staging/);
});

test('files that the server tracks in its public folder go on being served', async () => {
  assert.is((await get(`${staging}/robots.txt`)).body, repository.read('server/public/robots.txt'));
});

test('the built client is in no commit: the tree of the app repository is the pushed one', async () => {
  const listed = await host.mustAdmin(
    'git -c safe.directory="*" -C "$DOKKU_ROOT/deploy-staging" ls-tree -r --name-only master server/public',
  );
  assert.is(listed, 'server/public/robots.txt');
});

test('a commit that changes only the server takes the stored client', async () => {
  await repository.commit('Change the server', { 'server/VERSION': '1.0.1\n' });
  const pushed = await repository.mustPush(host, 'deploy-staging');
  assert.match(pushed.output, unchanged);
  assert.not.match(pushed.output, built);
  assert.is((await get(`${staging}/version`)).body, '{"version":"1.0.1"}');
  assert.match((await get(staging)).body, 'from the first commit');
});

test('a changed source is built, but nothing is installed again', async () => {
  await repository.commit('Change the client', { 'client/src/message.txt': 'from the second build\n' });
  const pushed = await repository.mustPush(host, 'deploy-staging');
  assert.not.match(pushed.output, installed);
  assert.match(pushed.output, built);
  assert.match((await get(staging)).body, 'from the second build');
});

test('the other app of the pipeline takes the client that the first one built', async () => {
  const pushed = await repository.mustPush(host, 'deploy');
  assert.match(pushed.output, unchanged);
  assert.not.match(pushed.output, built);
  assert.match((await get(host.url(pushed.output))).body, 'from the second build');
});

test('going back to an earlier client takes the stored one', async () => {
  await repository.commit('Go back', { 'client/src/message.txt': 'from the first commit\n' });
  const pushed = await repository.mustPush(host, 'deploy-staging');
  assert.match(pushed.output, unchanged);
  assert.match((await get(staging)).body, 'from the first commit');
});

test('ps:rebuild builds the same commit with the same client', async () => {
  const rebuilt = await host.must('ps:rebuild', 'deploy-staging');
  assert.match(rebuilt.output, unchanged);
  assert.match((await get(staging)).body, 'from the first commit');
});

test('a failing client stops the deploy with nothing done: page, image, lock and records as before (H1)', async () => {
  const app = { host, app: 'deploy-staging', pipeline: 'deploy' };
  const before = await stateOf(app);
  await repository.commit('Break the client', {
    'client/build.js': 'console.log("about to fail");\nprocess.exit(3);\n',
  });
  const pushed = await repository.push(host, 'deploy-staging');
  assert.is.not(pushed.status, 0);
  assert.match(pushed.output, 'about to fail');
  assert.match(pushed.output, 'exited with 3');
  assert.match(pushed.output, 'once more');
  assert.match((await get(staging)).body, 'from the first commit');
  assert.is(await stateOf(app), before);
  await repository.git('reset', '--quiet', '--hard', 'HEAD~1');
});

test('the whole log of a failed build is kept', async () => {
  const logs = await host.mustAdmin(
    'grep -l "about to fail" "$DOKKU_LIB_ROOT"/data/flight-launch/pipelines/deploy/builds/*.log',
  );
  assert.match(logs, /\/deploy-staging\.\w+\.log$/);
});

test('the next good push deploys after a failed one', async () => {
  await repository.commit('Mend', { 'client/src/message.txt': 'mended\n' });
  await repository.mustPush(host, 'deploy-staging');
  assert.match((await get(staging)).body, 'mended');
});

test('files of the client replace tracked files of the same name, and the push lists them (I42)', async () => {
  await repository.commit('Track a page', { 'server/public/index.html': 'tracked\n' });
  const pushed = await repository.mustPush(host, 'deploy-staging');
  assert.match(pushed.output, 'instead of the committed index.html');
  assert.match((await get(staging)).body, 'mended');
});

test('variables that flight-launch.json names reach the build, others do not', async () => {
  await host.must(
    'config:set',
    '--no-restart',
    'deploy-staging',
    'VITE_GREETING=Bonjour',
    'SECRET=hidden-canary',
  );
  await repository.commit('Read the environment', {
    'flight-launch.json': '{ "client": { "env": ["VITE_GREETING"] } }\n',
    'client/src/message.txt': 'environment\n',
    'client/build.js': `${repository.read('client/build.js')}\nrequire('node:fs').writeFileSync('dist/env.txt', JSON.stringify(process.env));\n`,
  });
  await repository.mustPush(host, 'deploy-staging');
  assert.match((await get(staging)).body, '<h1>Bonjour</h1>');
  const env = (await get(`${staging}/env.txt`)).body;
  assert.match(env, 'Bonjour');
  assert.not.match(env, 'hidden-canary');
});

test('another value of such a variable is another client', async () => {
  await host.must('config:set', '--no-restart', 'deploy-staging', 'VITE_GREETING=Servus');
  const rebuilt = await host.must('ps:rebuild', 'deploy-staging');
  assert.match(rebuilt.output, built);
  assert.match((await get(staging)).body, '<h1>Servus</h1>');
});

test('a push to an app of no pipeline starts no Node and deploys the whole repository', async () => {
  const log = 'stat -c %s "$DOKKU_LIB_ROOT/data/flight-launch/flight-launch.log"';
  const before = await host.mustAdmin(log);
  await host.must('apps:create', 'deploy-other');
  await host.must('builder:set', 'deploy-other', 'build-dir', 'server');
  const pushed = await repository.mustPush(host, 'deploy-other');
  assert.not.match(pushed.output, 'flight-launch');
  assert.is(await host.mustAdmin(log), before);
});

test.run();
