import { Monorepo } from '../support/monorepo';
import { get, TestHost, type StageStatus } from '../support/host';
import { assert, suite } from '../support/suite';

const test = suite('records');
const app = 'records-staging';
let host: TestHost;
let repository: Monorepo;
/** Address of the staging app, once it is deployed. */
let staging: string;
/** What each deploy that went live has to have left in the history, in order. */
const deployed: { build: string; commit: string }[] = [];

const healthy = `run(lambda do |env|
  case env['PATH_INFO']
  when '/health'`;

test.before(async () => {
  host = await TestHost.start('records');
  repository = await Monorepo.create();
  await host.must('flight-launch:setup', 'records');
  await host.must('flight-launch:set', 'records', 'client-image', 'flight-launch-test/node:20');
  // Runs what an administrator puts there at the very moment before flight-launch notes what is live.
  await host.installFurtherPlugin('records-moment', {
    'core-post-deploy': `#!/bin/sh
script=$DOKKU_LIB_ROOT/data/records-moment
if [ -f "$script" ] && [ "$1" = ${app} ]; then sh -e "$script"; fi
`,
  });
  await host.must('ps:scale', app, 'worker=1');
  await repository.commit('Add a worker', {
    'server/Procfile': `${repository.read('server/Procfile').trim()}\nworker: sleep 100000\n`,
  });
});

test.after(async () => {
  repository.remove();
  await host.mustAdmin('rm -f "$DOKKU_LIB_ROOT/data/records-moment"');
  await host.stop();
});

test('after a push, status, record and history name the pushed commit (H11)', async () => {
  const commit = await repository.commit('First', { 'server/VERSION': '1\n' });
  const before = Date.now();
  const pushed = await repository.mustPush(host, app);
  staging = host.url(pushed.output);
  const status = await live(commit);
  assert.is(pushed.output.includes(`build ${String(status.build)} is live on ${app}`), true);
  assert.equal(
    status.processes.map(({ process, running }) => [process, running]),
    [
      ['web.1', true],
      ['worker.1', true],
    ],
  );
  assert.match(status.by?.fingerprint ?? '', /^SHA256:/);
  // The clocks of the two machines need not agree to the minute.
  assert.ok(Math.abs(Date.parse(status.liveAt ?? '') - before) < 15 * 60_000, status.liveAt ?? 'never');
  assert.is((await host.must('config:get', app, 'GIT_REV')).stdout.trim(), commit);
  const record = await recordOf(status.build);
  assert.is(record.commit, commit);
  assert.is(record.app, app);
  assert.is(new Date(record.live.staging ?? 0).toISOString(), status.liveAt);
  const { production } = await host.status('records');
  assert.is(production.state, 'not-deployed');
  assert.is(production.build, null);
});

test('status is as true for people, with and without the name of the only pipeline', async () => {
  const { commit } = lastDeployed();
  const named = await host.must('flight-launch:status', 'records');
  assert.match(
    named.stdout,
    new RegExp(`build ${lastDeployed().build}: commit ${commit.slice(0, 8)}, version \\S+, by `),
  );
  assert.match(named.stdout, 'nothing is deployed yet');
  assert.match(named.stdout, 'deploys branch master');
  if (!host.isReal) assert.match((await host.must('flight-launch:status')).stdout, lastDeployed().build);
});

test('ps:restart and config:set put the same build into new containers and confirm nothing', async () => {
  const before = await host.status('records');
  const containers = await containerFiles();
  await host.must('ps:restart', app);
  assert.equal(await host.status('records'), before);
  await host.must('config:set', app, 'COLOUR=blue');
  assert.equal(await host.status('records'), before);
  assert.is.not(await containerFiles(), containers);
  assert.match((await get(`${staging}/env/COLOUR`)).body, 'blue');
  await historyIsTrue();
});

test('a failed health check leaves the old build live, and the failed one is recorded as never live', async () => {
  const before = await host.status('records');
  const commit = await repository.commit('Be ill without a cure', {
    'server/app.json': JSON.stringify({
      healthchecks: { web: [{ type: 'startup', name: 'health', path: '/health', attempts: 2, wait: 1 }] },
    }),
    'server/config.ru': repository
      .read('server/config.ru')
      .replace(healthy, `${healthy}\n    next respond(503, status: 'ill') unless ENV.key?('CURE')`),
  });
  const pushed = await repository.push(host, app);
  assert.is.not(pushed.status, 0);
  assert.equal(await host.status('records'), before);
  assert.is((await get(`${staging}/version`)).body, '{"version":"1"}');
  // Dokku sets it before the build: it does not tell what is live.
  assert.is((await host.must('config:get', app, 'GIT_REV')).stdout.trim(), commit);
  const failed = await recordsOf(commit);
  assert.is(failed.length, 1);
  assert.equal(failed[0]?.live, {});
  await historyIsTrue();
});

test('config:set after a failed check deploys the failed image: status tells from the labels that it runs', async () => {
  const commit = await repository.head();
  const [failed] = await recordsOf(commit);
  await host.must('config:set', app, 'CURE=found');
  const status = await live(commit);
  assert.is(status.build, failed?.name);
  assert.ok((await recordOf(status.build)).live.staging !== undefined);
});

test('web passes, then the worker fails: status shows a mixture, process by process (H24)', async () => {
  const before = lastDeployed();
  const commit = await repository.commit('Break the worker', {
    'server/VERSION': '2\n',
    'server/Procfile': repository.read('server/Procfile').replace('sleep 100000', 'false'),
  });
  const pushed = await repository.push(host, app);
  assert.is.not(pushed.status, 0);
  const [half] = await recordsOf(commit);
  const { staging: status } = await host.status('records');
  assert.is(status.state, 'mixed');
  assert.is(status.build, null);
  assert.is(status.commit, null);
  assert.equal(
    status.processes.map(({ process, build }) => [process, build]),
    [
      ['web.1', half?.name],
      ['worker.1', before.build],
    ],
  );
  const text = (await host.must('flight-launch:status', 'records')).stdout;
  assert.match(text, 'runs a mixture');
  assert.match(text, `worker.1: ${before.build}`);
  assert.match(text, `ps:rebuild ${app}`);
  await historyIsTrue();
});

test('the next push mends a mixture, after a torn line of the history too (F27)', async () => {
  await host.mustAdmin(`printf '{"format":1,"kind":"dep' >>"${pipelineFolder}/history.ndjson"`);
  const commit = await repository.commit('Mend the worker', {
    'server/VERSION': '3\n',
    'server/Procfile': repository.read('server/Procfile').replace('worker: false', 'worker: sleep 100000'),
    // Another install image and another client than those before.
    'client/package.json': repository.read('client/package.json').replace('1.0.0', '1.0.1'),
    'client/package-lock.json': repository.read('client/package-lock.json').replaceAll('1.0.0', '1.0.1'),
  });
  await repository.mustPush(host, app);
  await live(commit);
  assert.is((await history()).filter((line) => line === 'torn').length, 1);
  await historyIsTrue();
});

test('a record damaged during the deploy does not reject it, and status still tells what is live (H19)', async () => {
  const commit = await repository.commit('Fourth', { 'server/VERSION': '4\n' });
  await atPostDeploy(`cd "${pipelineFolder}/builds"
newest=$(ls -t *.json | head -n 1)
cp "$newest" "../$newest"
printf '{"format":1,"na' >"$newest"`);
  const pushed = await repository.mustPush(host, app);
  await atPostDeploy('');
  assert.match(pushed.output, 'is damaged');
  assert.is((await get(`${staging}/version`)).body, '{"version":"4"}');

  const build = await labelOf('web.1');
  const { staging: status } = await host.status('records');
  assert.is(status.state, 'build');
  assert.is(status.build, build);
  assert.is(status.commit, commit);
  const shown = await host.must('flight-launch:status', 'records');
  assert.match(shown.stdout, `build ${build}: commit ${commit.slice(0, 8)}; there is no record of it`);
  assert.is(shown.stderr.match(/is damaged/g)?.length, 1, shown.stderr);
  assert.match(shown.stderr, `${build}.json is damaged`);
  // Nor does it stop anything else, nor is it removed along.
  const pruned = await host.must('flight-launch:prune', 'records');
  assert.is(pruned.stderr.match(/is damaged/g)?.length, 1, pruned.stderr);
  assert.ok((await stored()).includes(`${build}.json`));
  assert.ok((await stored()).includes(`flight-launch/records:${build}`));
  await historyIsTrue();
  await host.mustAdmin(
    `cd "${pipelineFolder}" && cat ${build}.json >builds/${build}.json && rm ${build}.json`,
  );
  await live(commit);
  await historyIsTrue();
});

test('a data folder that cannot be written to at post-deploy rejects no deploy: the next status notes it (H19)', async () => {
  const commit = await repository.head();
  await atPostDeploy(`chmod 0500 "${pipelineFolder}/builds"`);
  const rebuilt = await host.must('ps:rebuild', app);
  await atPostDeploy('');
  await host.mustAdmin(`chmod 0700 "${pipelineFolder}/builds"`);
  assert.match(rebuilt.output, 'EACCES');
  assert.equal((await recordOf(await labelOf('web.1'))).live, {});
  const status = await live(commit);
  assert.ok((await recordOf(status.build)).live.staging !== undefined);
  await historyIsTrue();
});

test('without Node at post-deploy the push is accepted and says what is missing: the next status notes it (H19)', async () => {
  const commit = await repository.commit('Fifth', { 'server/VERSION': '5\n' });
  await atPostDeploy(
    'mv "$DOKKU_LIB_ROOT/data/flight-launch/node" "$DOKKU_LIB_ROOT/data/flight-launch/node.away"',
  );
  const pushed = await repository.mustPush(host, app);
  await atPostDeploy('');
  assert.match(pushed.output, 'Node.js is missing');
  assert.match(pushed.output, 'this deploy was not recorded');
  assert.is((await get(`${staging}/version`)).body, '{"version":"5"}');
  const without = await host.dokku('flight-launch:status', 'records');
  assert.is(without.status, 1);
  assert.match(without.stderr, 'plugin:install');
  await host.mustAdmin('cd "$DOKKU_LIB_ROOT/data/flight-launch" && mv node.away node');
  await live(commit);
  await historyIsTrue();
});

test('ps:scale web=2 shows two processes of the same build', async () => {
  const before = await host.status('records');
  await host.must('ps:scale', app, 'web=2');
  const { staging: status } = await host.status('records');
  assert.is(status.state, 'build');
  assert.is(status.build, before.staging.build);
  assert.equal(
    status.processes.map(({ process, running, build }) => [process, running, build]),
    ['web.1', 'web.2', 'worker.1'].map((process) => [process, true, status.build]),
  );
  await historyIsTrue();
});

test('a dry run of prune says what would go and removes nothing', async () => {
  await host.must('flight-launch:set', 'records', 'keep', '1');
  const before = await stored();
  const { build } = lastDeployed();
  const shown = await host.must('flight-launch:prune', 'records', '--dry-run');
  assert.match(shown.stdout, 'Would remove');
  for (const old of deployed.filter((one) => one.build !== build && !one.build.includes('gone'))) {
    if (before.some((name) => name === `${old.build}.json`))
      assert.match(shown.stdout, `build ${old.build} `);
  }
  assert.not.match(shown.stdout, build);
  assert.match(shown.stdout, /client [0-9a-f]{12}/);
  assert.match(shown.stdout, /dependencies [0-9a-f]{12}/);
  assert.equal(await stored(), before);
});

test('prune keeps one live build, and removes the records, clients, logs and images of all others', async () => {
  const { build, commit } = lastDeployed();
  await host.must('flight-launch:prune', 'records');
  const { client } = await recordOf(build);
  const kept = [
    `${build}.json`,
    `${build}.server.tar`,
    `${client.key}.json`,
    `${client.key}.tar`,
    `flight-launch/install/records:${client.installHash.slice(0, 32)}`,
    `flight-launch/records:${build}`,
  ];
  assert.equal(await stored(), kept.sort());
  await live(commit);
  assert.match((await host.must('flight-launch:prune', 'records')).stdout, 'nothing');
  await historyIsTrue();
});

const pipelineFolder = '$DOKKU_LIB_ROOT/data/flight-launch/pipelines/records';

/** Asserts that the commit is what status shows, and counts its build to those that went live. */
async function live(commit: string): Promise<StageStatus> {
  const { staging: status } = await host.status('records');
  assert.is(status.state, 'build');
  assert.is(status.commit, commit);
  assert.is(status.build, await labelOf('web.1'));
  if (deployed.at(-1)?.build !== status.build) deployed.push({ build: String(status.build), commit });
  return status;
}

function lastDeployed(): { build: string; commit: string } {
  const last = deployed.at(-1);
  if (last === undefined) throw new Error('nothing was deployed');
  return last;
}

/** Has the script run on the host just before each `post-deploy`; none where it is empty. */
async function atPostDeploy(script: string): Promise<void> {
  const file = '"$DOKKU_LIB_ROOT/data/records-moment"';
  await host.mustAdmin(script === '' ? `rm ${file}` : `cat >${file}`, script);
}

/** The build that a running process carries. */
function labelOf(process: string): Promise<string> {
  return host.mustAdmin(
    `docker inspect --format '{{index .Config.Labels "com.flight-launch.build"}}' "$(cat "$DOKKU_ROOT/${app}/CONTAINER.${process}")"`,
  );
}

function containerFiles(): Promise<string> {
  return host.mustAdmin(`cat "$DOKKU_ROOT/${app}"/CONTAINER.*`);
}

interface BuildRecord {
  name: string;
  app: string;
  commit: string;
  live: { staging?: number };
  client: { key: string; installHash: string };
}

async function recordOf(build: string | null): Promise<BuildRecord> {
  return JSON.parse(
    await host.mustAdmin(`cat "${pipelineFolder}/builds/${String(build)}.json"`),
  ) as BuildRecord;
}

async function recordsOf(commit: string): Promise<BuildRecord[]> {
  const files = await host.mustAdmin(
    `cd "${pipelineFolder}/builds" && grep -l '"commit": "${commit}"' *.json`,
  );
  return Promise.all(files.split('\n').map((file) => recordOf(file.replace(/\.json$/, ''))));
}

/** `<build> <commit>` of each line, or `torn`. */
async function history(): Promise<string[]> {
  const text = await host.mustAdmin(`cat "${pipelineFolder}/history.ndjson"`);
  return text.split('\n').map((line) => {
    try {
      const { build, commit, kind, result } = JSON.parse(line) as Record<string, string>;
      assert.is(kind, 'deploy');
      assert.is(result, 'live');
      return `${String(build)} ${String(commit)}`;
    } catch (error) {
      if (error instanceof SyntaxError) return 'torn';
      throw error;
    }
  });
}

/** One line a deploy that went live, in order, and no other. */
async function historyIsTrue(): Promise<void> {
  const lines = (await history()).filter((line) => line !== 'torn');
  assert.equal(
    lines,
    deployed.map(({ build, commit }) => `${build} ${commit}`),
  );
}

/** Names of everything that the pipeline keeps, images included. */
async function stored(): Promise<string[]> {
  const names = await host.mustAdmin(`
    ls "${pipelineFolder}/builds" "${pipelineFolder}/artifacts" | grep -v : | grep .
    docker images --format '{{.Repository}}:{{.Tag}}' flight-launch/records
    docker images --format '{{.Repository}}:{{.Tag}}' flight-launch/install/records`);
  return names.split('\n').sort();
}

test.run();
