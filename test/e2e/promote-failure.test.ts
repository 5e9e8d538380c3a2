import { buildIn, get, TestHost } from '../support/host';
import { Monorepo } from '../support/monorepo';
import { assert, suite } from '../support/suite';
import { Visitor } from '../support/visitor';

const test = suite('promote that fails');
const staging = 'pfail-staging';
const production = 'pfail';
let host: TestHost;
let repository: Monorepo;
let url = '';
/** Builds by the name that the page of theirs has. */
const builds = new Map<string, string>();

const checks = (extra: object = {}) =>
  `${JSON.stringify({
    ...extra,
    healthchecks: {
      web: [{ type: 'startup', name: 'health', path: '/health', attempts: 3, wait: 1, timeout: 5 }],
    },
  })}\n`;
const web = 'web: puma --environment production --bind tcp://0.0.0.0:$PORT\n';
let rack = '';

/** A server that is in order unless `WHO` is that of the app that it must fail on. */
function server(page: string, { failsOn = 'nobody', worker = false } = {}): Record<string, string> {
  return {
    'client/src/message.txt': `${page}\n`,
    'server/config.ru': rack.replace(
      "respond(200, status: 'ok')",
      `respond(ENV['WHO'] == '${failsOn}' ? 500 : 200, status: 'told')`,
    ),
    'server/app.json': checks({
      scripts: { dokku: { predeploy: 'echo "$WHO" > /app/public/predeploy.txt' } },
    }),
    'server/Procfile': worker
      ? `${web}worker: bash -c 'if [ "$WHO" = production ]; then exit 1; fi; sleep 10000'\n`
      : `${web}release: echo "released as $WHO"\n`,
  };
}

test.before(async () => {
  host = await TestHost.start('pfail');
  repository = await Monorepo.create();
  rack = repository.read('server/config.ru');
  await host.must('flight-launch:setup', production);
  await host.must('flight-launch:set', production, 'client-image', 'flight-launch-test/node:20');
  await host.must('config:set', '--no-restart', staging, 'WHO=staging', 'CANARY=staging-only');
  await host.must('config:set', '--no-restart', production, 'WHO=production');
});

test.after(async () => {
  repository.remove();
  await host.stop();
});

async function deploy(page: string, options?: Parameters<typeof server>[1], force = false): Promise<void> {
  await repository.commit(page, server(page, options));
  const pushed = await repository.mustPush(host, staging, ...(force ? ['--force', 'HEAD:master'] : []));
  builds.set(page, buildIn(pushed));
}

function buildOf(page: string): string {
  const build = builds.get(page);
  if (build === undefined) throw new Error(`${page} was not deployed`);
  return build;
}

interface Entry {
  kind: string;
  app: string;
  build: string;
  result: string;
}

async function lastEntry(): Promise<Entry> {
  const { stdout } = await host.must('flight-launch:history', production, '--format', 'json');
  const { entries } = JSON.parse(stdout) as { entries: Entry[] };
  const last = entries.at(-1);
  if (last === undefined) throw new Error('the history is empty');
  return last;
}

/** All of production that a failed promote must leave as it was, a line each. */
function snapshot(): Promise<string> {
  return host.mustAdmin(`
    cd "$DOKKU_LIB_ROOT"
    echo "image $(docker image inspect --format '{{.Id}}' dokku/${production}:latest 2>&1)"
    echo "revision $(dokku config:get ${production} GIT_REV)"
    for property in builder/${production}/detected ports/${production}/map-detected git/${production}/source-image; do
      echo "$property $(if [ -e config/$property ]; then cat config/$property; else echo unset; fi)"
    done
    echo "leftovers $(find data -path '*/${production}/*' -o -path '*/app-${production}/*' | grep -E '\\.[0-9]+(\\.|$)' | grep -v '/CHECKS\\.' | sort)"
    echo "lock $(ls -A data/apps/${production} | grep lock)"
    echo "branch $(cat "$DOKKU_ROOT/${production}/refs/heads/master" 2>&1)"`);
}

/** The build of each process that production counts as its own. */
function processes(): Promise<string> {
  return host.mustAdmin(`
    for file in "$DOKKU_ROOT/${production}"/CONTAINER.*; do
      test -s "$file" || continue
      echo "\${file##*/CONTAINER.} $(docker inspect --format '{{.State.Running}} {{index .Config.Labels "com.flight-launch.build"}}' "$(cat "$file")")"
    done`);
}

test('a first promote that fails leaves the app as undeployed as it was', async () => {
  await deploy('zero', { failsOn: 'production' });
  const before = await snapshot();
  const failed = await host.dokku('flight-launch:promote');
  assert.is(failed.status, 1, failed.output);
  assert.match(failed.output, 'the promote failed');
  assert.is(await snapshot(), before);
  assert.is(await processes(), '');
  const entry = await lastEntry();
  assert.is(
    `${entry.kind} ${entry.app} ${entry.build} ${entry.result}`,
    `promote ${production} ${buildOf('zero')} put-back`,
  );
  assert.match((await host.must('flight-launch:status')).output, 'nothing is deployed yet');
});

test('H24 where there is no former version, it says what runs where and exits with 3', async () => {
  await host.must('ps:scale', production, 'worker=1');
  await deploy('half', { worker: true });
  const failed = await host.dokku('flight-launch:promote');
  assert.is(failed.status, 3, failed.output);
  assert.match(failed.output, `web.1: ${buildOf('half')}, worker.1: nothing`);
  assert.is((await lastEntry()).result, 'mixed');
  // All that Dokku counts runs that build, and still it is not there: the same promote is no promote to nothing.
  const shown = await host.must('flight-launch:promote', '--dry-run');
  assert.not.match(shown.output, 'nothing to do');
  assert.match(shown.output, `${production} gets build ${buildOf('half')}`);
  const back = await host.dokku('flight-launch:rollback', '--previous');
  assert.is(back.status, 1);
  assert.match(back.output, `${production} has no earlier build`);
});

test("a later promote works, and its tasks run with production's values", async () => {
  await deploy('one');
  const promoted = await host.must('flight-launch:promote');
  url = host.url(promoted.output);
  assert.match((await get(url)).body, 'one');
  assert.is((await get(`${url}/predeploy.txt`)).body.trim(), 'production');
  assert.match(promoted.output, 'released as production');
  assert.is((await get(`${url}/env/CANARY`)).status, 404);
  assert.is(await processes(), `web.1 true ${buildOf('one')}`);
});

test('what happens to staging between deploy and promote changes nothing, and no request fails', async () => {
  await deploy('two');
  const two = await repository.head();
  await host.must('config:set', staging, 'LATER=staging-only');
  await repository.git('reset', '--quiet', '--hard', 'HEAD~1');
  await deploy('three', { failsOn: 'production' }, true);
  const visitor = await Visitor.start(url, ['one', 'two']);
  await host.must('flight-launch:promote', '--build', buildOf('two'));
  assert.match((await get(url)).body, 'two');
  await visitor.stopped();
  assert.is((await get(`${url}/env/LATER`)).status, 404);
  assert.match(await snapshot(), `revision ${two}\n`);
  assert.match(await snapshot(), `branch ${two}`);
});

test('a dry run changes nothing', async () => {
  const before = `${await snapshot()}\n${await data()}`;
  const shown = await host.must('flight-launch:promote', '--dry-run');
  assert.match(shown.output, buildOf('three'));
  assert.is(`${await snapshot()}\n${await data()}`, before);
});

/** What the pipeline has stored, locks aside. */
function data(): Promise<string> {
  return host.mustAdmin(
    `cd "$DOKKU_LIB_ROOT/data/flight-launch/pipelines/${production}" && find . -type f -not -path './locks/*' -exec sha256sum {} + | sort`,
  );
}

test('a failing check leaves all as it was, without one failed request', async () => {
  const before = await snapshot();
  const visitor = await Visitor.start(url, ['two']);
  const failed = await host.dokku('flight-launch:promote');
  assert.is(failed.status, 1, failed.output);
  await visitor.stopped();
  assert.is(await snapshot(), before);
  assert.is(await processes(), `web.1 true ${buildOf('two')}`);
  const entry = await lastEntry();
  assert.is(`${entry.kind} ${entry.build} ${entry.result}`, `promote ${buildOf('three')} put-back`);
});

test('H20 what Dokku does afterwards brings up the old version', async () => {
  await host.must('ps:restart', production);
  assert.match((await get(url)).body, 'two');
  await host.must('config:set', production, 'AFTER=failure');
  assert.match((await get(`${url}/env/AFTER`)).body, 'failure');
  assert.match((await get(url)).body, 'two');
  await host.must('ps:rebuild', production);
  assert.match((await get(url)).body, 'two');
});

test('H24 web passes and the worker fails: the former build is started again for all', async () => {
  const former = await processes();
  await deploy('four', { worker: true });
  const before = (await snapshot()).split('\n').filter((line) => !line.startsWith('lock'));
  const visitor = await Visitor.start(url, ['two', 'four']);
  const failed = await host.dokku('flight-launch:promote');
  assert.is(failed.status, 1, failed.output);
  assert.match(failed.output, 'starting the former version again');
  assert.match((await get(url)).body, 'two');
  await visitor.stopped();
  assert.is(await processes(), former);
  assert.equal(
    (await snapshot()).split('\n').filter((line) => !line.startsWith('lock')),
    before,
  );
  assert.is((await lastEntry()).result, 'put-back');
});

test('a build that never went live cannot be promoted', async () => {
  await repository.commit('never', server('never', { failsOn: 'staging' }));
  const pushed = await repository.push(host, staging);
  assert.is.not(pushed.status, 0);
  builds.set('never', buildIn(pushed));
  const refused = await host.dokku('flight-launch:promote', '--build', buildOf('never'));
  assert.is(refused.status, 1);
  assert.match(refused.output, `build ${buildOf('never')} never went live`);
});

test('all that stands in the way is told at once', async () => {
  await host.must('builder:set', production, 'build-dir');
  await host.must('scheduler:set', production, 'selected', 'nomad');
  const before = `${await snapshot()}\n${await data()}`;
  const refused = await host.dokku('flight-launch:promote', '--build', buildOf('never'));
  assert.is(refused.status, 1);
  assert.match(refused.output, 'never went live');
  assert.match(refused.output, `run \`dokku builder:set ${production} build-dir server\``);
  assert.match(
    refused.output,
    `${production} is run by the scheduler nomad, which cannot take an image of this host`,
  );
  assert.is(`${await snapshot()}\n${await data()}`, before);
  await host.must('scheduler:set', production, 'selected');
  await host.must('builder:set', production, 'build-dir', 'server');
});

test("a value of the client's that differs is named, never shown, and one of the build is warned of", async () => {
  await host.must('config:set', '--no-restart', staging, 'API_URL=https://secret-of-staging');
  await host.must(
    'config:set',
    '--no-restart',
    production,
    'API_URL=https://secret-of-production',
    'RAILS_ENV=production',
  );
  await repository.commit('five', {
    ...server('five'),
    'flight-launch.json': '{"client": {"env": ["API_URL"]}}\n',
  });
  builds.set('five', buildIn(await repository.mustPush(host, staging)));
  const refused = await host.dokku('flight-launch:promote');
  assert.is(refused.status, 1);
  assert.match(refused.output, `other values than ${production} has: API_URL`);
  assert.not.match(refused.output, 'secret-of');
  await host.must('config:set', '--no-restart', production, 'API_URL=https://secret-of-staging');
  const shown = await host.must('flight-launch:promote', '--dry-run');
  assert.match(shown.output, `RAILS_ENV differs between ${staging} and ${production}`);
});

test('F50 an image that was removed meanwhile is refused before anything, and rollback names those left', async () => {
  const before = await snapshot();
  for (const page of ['two', 'five'])
    await host.mustAdmin(`docker rmi flight-launch/${production}:${buildOf(page)}`);
  const refused = await host.dokku('flight-launch:promote');
  assert.is(refused.status, 1);
  assert.match(refused.output, `the image of build ${buildOf('five')} is gone`);
  const back = await host.dokku('flight-launch:rollback', buildOf('two'));
  assert.is(back.status, 1);
  assert.match(back.output, `${buildOf('one')}: commit`);
  assert.not.match(back.output, `${buildOf('two')}: commit`);
  assert.is(await snapshot(), before);
});

test('where all processes are scaled to 0, a promote that Dokku could release is none that failed', async () => {
  await host.must('ps:scale', production, 'web=0', 'worker=0');
  assert.is(await processes(), '');
  await deploy('six');
  const promoted = await host.must('flight-launch:promote');
  assert.match(promoted.output, `${buildOf('six')} is on ${production}`);
  assert.match(promoted.output, 'nothing runs');
  assert.not.match(promoted.output, 'is live on');
  assert.is(await processes(), '');
  assert.is((await lastEntry()).result, 'live');
  assert.match(await snapshot(), `branch ${await repository.head()}`);
  const shown = await host.must('flight-launch:status');
  assert.match(
    shown.output,
    `no process runs; \`dokku ps:scale ${production}\` starts build ${buildOf('six')}`,
  );
  assert.match((await host.must('flight-launch:promote')).output, 'nothing to do');
  await host.must('ps:scale', production, 'web=1');
  assert.match((await get(url)).body, 'six');
  assert.is(await processes(), `web.1 true ${buildOf('six')}`);
});

test.run();
