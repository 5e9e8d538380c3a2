import { get, TestHost } from '../support/host';
import { applicationFiles, layers, placesInImage, placesInProcess, webContainer } from '../support/images';
import { Monorepo } from '../support/monorepo';
import { assert, suite } from '../support/suite';

const test = suite('promote');
const pipelines = ['proh', 'prod'] as const;
/** A value that only the staging apps have. */
const canary = 'canary-a93f';
let host: TestHost;
const repositories = new Map<string, Monorepo>();
let repository: Monorepo;
/** Address of the production app, by pipeline. */
const urls = new Map<string, string>();

interface Entry {
  kind: string;
  job?: string;
  app: string;
  build: string;
  commit: string;
  image: string;
  version?: string;
  by: { name: string; fingerprint?: string };
  result: string;
  durationMs: number;
}

test.before(async () => {
  host = await TestHost.start('promote');
  repository = await Monorepo.create();
  repositories.set('proh', repository);
  repositories.set('prod', await Monorepo.create({ dockerfile: true }));
  for (const name of pipelines) {
    await host.must('flight-launch:setup', name);
    await host.must('flight-launch:set', name, 'client-image', 'flight-launch-test/node:20');
    const staging = [`CANARY=${canary}`, 'WHO=staging', 'RAILS_ENV=test'];
    await host.must('config:set', '--no-restart', `${name}-staging`, ...staging);
    await host.must('config:set', '--no-restart', name, 'WHO=production', 'RAILS_ENV=production');
  }
});

test.after(async () => {
  for (const each of repositories.values()) each.remove();
  await host.stop();
});

test('nothing can be promoted before anything is live', async () => {
  const refused = await host.dokku('flight-launch:promote', '--pipeline', 'proh');
  assert.is(refused.status, 1);
  assert.match(refused.output, 'nothing to promote is live on proh-staging');
  const compared = await host.dokku('flight-launch:diff', 'proh');
  assert.is(compared.status, 1);
  assert.match(compared.output, 'proh-staging has no live build');
  const none = await host.dokku('flight-launch:logs', '--pipeline', 'proh');
  assert.is(none.status, 1);
  assert.match(none.output, 'pipeline proh has no job yet');
});

for (const name of pipelines) {
  test(`${name}: a first promote, into an app that was never deployed; its tasks run there`, async () => {
    const pushed = repositories.get(name) ?? repository;
    const app = JSON.parse(pushed.read('server/app.json')) as object;
    const predeploy = 'echo "prepared for $WHO" > /tmp/predeploy.txt';
    await pushed.commit('One', {
      'client/src/message.txt': 'first\n',
      'server/app.json': JSON.stringify({ ...app, scripts: { dokku: { predeploy } } }),
      'server/Procfile': `${pushed.read('server/Procfile')}release: echo "released for $WHO"\n`,
    });
    await pushed.mustPush(host, `${name}-staging`);
    const promoted = await host.must('flight-launch:promote', '--pipeline', name);
    const url = host.url(promoted.output);
    urls.set(name, url);
    assert.match((await get(url)).body, 'first');
    assert.is((await get(`${url}/env/WHO`)).body, '{"name":"WHO","value":"production"}');
    assert.is((await get(`${url}/env/CANARY`)).status, 404);
    assert.match(promoted.output, /RAILS_ENV differs/);
    assert.match(promoted.output, 'released for production');
    const task = `docker exec ${await webContainer(host, name)} cat /tmp/predeploy.txt`;
    assert.is(await host.mustAdmin(task), 'prepared for production');
  });

  test(`${name}: files and layers of the application are those of staging, and so is the builder (H5)`, async () => {
    const captured = await capturedOf(name);
    const [running, staging] = [await runningImage(name), await runningImage(`${name}-staging`)];
    // Were it released as another builder's, production would start with the configuration of staging.
    const builder = '{{index .Config.Labels "com.dokku.builder-type"}}';
    const builders = await host.mustAdmin(`docker image inspect --format '${builder}' ${running} ${staging}`);
    assert.is(builders, name === 'proh' ? 'herokuish\nherokuish' : 'dockerfile\ndockerfile');
    const files = await applicationFiles(host, captured);
    assert.match(files, /public\/index\.html$/m);
    assert.is(await applicationFiles(host, running), files);
    assert.is(await applicationFiles(host, staging), files);
    const kept = await layers(host, captured);
    assert.equal((await layers(host, running)).slice(0, kept.length), kept);
    // What the copy adds, where it adds a layer, takes the configuration of staging out.
    const built = name === 'proh' ? kept.slice(0, -1) : kept;
    assert.equal((await layers(host, staging)).slice(0, built.length), built);
  });

  test(`${name}: nothing of the configuration of staging is in production (H3, H4)`, async () => {
    assert.equal(await placesInProcess(host, name, canary), []);
    assert.equal(await placesInImage(host, await runningImage(name), canary), []);
  });

  test(`${name}: negative control: an image of staging that is only tagged anew shows it (H3, H4)`, async () => {
    await host.mustAdmin(`docker tag dokku/${name}-staging:latest flight-launch-retag:${name}`);
    const places = await placesInImage(host, `flight-launch-retag:${name}`, canary);
    await host.mustAdmin(`docker rmi flight-launch-retag:${name}`);
    assert.ok(places.length > 0);
    assert.ok((await placesInProcess(host, `${name}-staging`, canary)).includes('environment'));
  });
}

test('what is there already is not promoted again: it says so, and neither history nor jobs grow', async () => {
  const before = await historyOf('proh');
  const jobs = await jobsOf('proh');
  const again = await host.must('flight-launch:promote', '--pipeline', 'proh');
  assert.match(again.output, 'nothing to do');
  assert.equal(await historyOf('proh'), before);
  assert.is(await jobsOf('proh'), jobs);
  assert.match((await host.must('flight-launch:status', 'proh')).output, 'both run the same commit');
});

test('the history tells who did what with which commit, build and image, and how it ended', async () => {
  const [deploy, promote, ...more] = await historyOf('proh');
  assert.equal(more, []);
  assert.ok(deploy !== undefined && promote !== undefined);
  assert.equal([deploy.kind, deploy.app, deploy.result], ['deploy', 'proh-staging', 'live']);
  assert.equal([promote.kind, promote.app, promote.result], ['promote', 'proh', 'live']);
  const version = repository.read('server/VERSION').trim();
  assert.equal([deploy.version, promote.version], [version, version]);
  const commit = await repository.head();
  for (const { build, commit: of, image, durationMs, by } of [deploy, promote]) {
    assert.is(of, commit);
    assert.match(build, /^proh-staging\.\w+$/);
    assert.is(
      image,
      await host.mustAdmin(`docker image inspect --format '{{.Id}}' ${await capturedOf('proh')}`),
    );
    assert.ok(durationMs > 0);
    assert.equal(by, deploy.by);
  }
  const fingerprint = promote.by.fingerprint ?? '';
  assert.match(fingerprint, /^SHA256:/);
  assert.match(
    (await host.mustAdmin('dokku ssh-keys:list')).split('\n').find((line) => line.includes(fingerprint)) ??
      '',
    promote.by.name,
  );
  const { output } = await host.must('flight-launch:history', 'proh');
  const line = output.split('\n').find((candidate) => candidate.includes('promote live on proh:')) ?? '';
  assert.match(line, `${promote.build}, commit ${commit.slice(0, 8)}, version ${version}`);
  assert.match(line, `image ${promote.image.slice(7, 19)}`);
  assert.match(line, `by ${promote.by.name} (${fingerprint})`);
  assert.match(line, /took [\d.]+ (s|min)/);
});

test('diff and status tell what a promote would bring; a dry run changes nothing', async () => {
  // Half an hour beyond the full hour: how long the deploy takes must not show.
  const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000);
  await repository.commit('Two', { 'client/src/message.txt': 'second\n' }, hoursAgo(3.5));
  const second = await repository.commit('Three', { 'server/VERSION': '3\n' }, hoursAgo(2.5));
  await repository.mustPush(host, 'proh-staging');
  const { output } = await host.must('flight-launch:diff', 'proh');
  assert.match(output, '2 commits would come');
  assert.match(output, new RegExp(`${second.slice(0, 8)} Ada: Three \\(2 hours ago\\)`));
  assert.match(output, /Client: 1 file\n +M client\/src\/message\.txt/);
  assert.match(output, /Server and others: 1 file\n +M server\/VERSION/);
  const json = JSON.parse((await host.must('flight-launch:diff', 'proh', '--format', 'json')).stdout) as {
    added: { id: string; author: string; subject: string }[];
  };
  assert.equal(
    json.added.map(({ subject, author }) => [subject, author]),
    [
      ['Three', 'Ada'],
      ['Two', 'Ada'],
    ],
  );
  assert.match(
    (await host.must('flight-launch:status', 'proh')).output,
    'a promote would bring 2 commits, the oldest from 3 hours ago',
  );
  const before = await historyOf('proh');
  const planned = await host.must('flight-launch:promote', '--pipeline', 'proh', '--dry-run');
  assert.match(planned.output, 'proh gets build proh-staging.');
  assert.equal(await historyOf('proh'), before);
  assert.match((await get(url('proh'))).body, 'first');
});

test('what was deployed is promoted, whatever is pushed to other branches or configured since', async () => {
  const commit = await repository.head();
  await host.must('config:set', '--no-restart', 'proh-staging', 'WHO=changed');
  await host.mustAdmin('docker tag dokku/prod-staging:latest dokku/proh-staging:latest');
  await host.must('flight-launch:promote', '--pipeline', 'proh');
  assert.match((await get(url('proh'))).body, 'second');
  assert.is((await get(`${url('proh')}/version`)).body, '{"version":"3"}');
  assert.is(await branchOf('proh'), commit);
});

test('a rollback to a build that is not there lists those that are', async () => {
  const refused = await host.dokku('flight-launch:rollback', 'proh.nothing', '--pipeline', 'proh');
  assert.is(refused.status, 1);
  assert.match(refused.output, '"proh.nothing" is no build that proh can go back to');
  const [first] = await historyOf('proh');
  assert.match(
    refused.output,
    `${first?.build ?? 'missing'}: commit ${first?.commit.slice(0, 8) ?? 'missing'}`,
  );
});

test('rollback --previous, then to a named build; the branch follows (H25)', async () => {
  const [first] = await historyOf('proh');
  const latest = (await historyOf('proh')).at(-1);
  const back = await host.must('flight-launch:rollback', '--previous', '--pipeline', 'proh');
  assert.match(back.output, 'Release tasks of that build run again');
  assert.match(back.output, 'released for production');
  assert.match((await get(url('proh'))).body, 'first');
  assert.is(await branchOf('proh'), first?.commit);
  const entry = (await historyOf('proh')).at(-1);
  assert.equal([entry?.kind, entry?.build, entry?.result], ['rollback', first?.build, 'live']);
  const forth = latest?.build ?? '';
  await host.must('flight-launch:rollback', forth, '--pipeline', 'proh');
  assert.match((await get(url('proh'))).body, 'second');
  const there = await host.must('flight-launch:rollback', forth, '--pipeline', 'proh');
  assert.match(there.output, 'nothing to do');
});

test('ps:rebuild and apps:rename of production go on serving what was promoted (H25)', async () => {
  await host.must('ps:rebuild', 'proh');
  assert.match((await get(url('proh'))).body, 'second');
  const renamed = await host.must('apps:rename', 'prod', 'prod-renamed');
  const page = host.url(renamed.output);
  assert.match((await get(page)).body, 'first');
  assert.match((await host.must('flight-launch:status', 'prod')).output, 'production: prod-renamed');
});

test('a commit that a forced push took away is told by diff, and can be promoted over', async () => {
  await repository.git('reset', '--quiet', '--hard', 'HEAD~1');
  const commit = await repository.commit('Another three', { 'client/src/message.txt': 'third\n' });
  await repository.mustPush(host, 'proh-staging', '+HEAD:master');
  const { output } = await host.must('flight-launch:diff', 'proh');
  assert.match(output, /1 commit of production would go\n +\w{8} Ada: Three/);
  assert.match((await host.must('flight-launch:status', 'proh')).output, 'and take 1 away');
  await host.must('flight-launch:promote', '--pipeline', 'proh');
  assert.match((await get(url('proh'))).body, 'third');
  assert.is(await branchOf('proh'), commit);
});

function url(pipeline: string): string {
  return urls.get(pipeline) ?? '';
}

async function historyOf(pipeline: string): Promise<Entry[]> {
  const { stdout } = await host.must('flight-launch:history', pipeline, '--format', 'json');
  return (JSON.parse(stdout) as { entries: Entry[] }).entries;
}

function jobsOf(pipeline: string): Promise<string> {
  return host.mustAdmin(`ls "$DOKKU_LIB_ROOT/data/flight-launch/pipelines/${pipeline}/jobs"`);
}

function branchOf(app: string): Promise<string> {
  return host.mustAdmin(`git -c safe.directory='*' -C "$DOKKU_ROOT/${app}" rev-parse master`);
}

async function runningImage(app: string): Promise<string> {
  return host.mustAdmin(`docker inspect --format '{{.Image}}' ${await webContainer(host, app)}`);
}

/** Reference of the kept image of the build that is live on production. */
async function capturedOf(pipeline: string): Promise<string> {
  const build = (await historyOf(pipeline)).at(-1)?.build ?? '';
  return `flight-launch/${pipeline}:${build}`;
}

test.run();
