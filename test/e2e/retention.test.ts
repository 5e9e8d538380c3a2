import { buildIn, get, TestHost } from '../support/host';
import { Monorepo } from '../support/monorepo';
import { assert, suite } from '../support/suite';

const test = suite('retention');
const production = 'retained';
const staging = `${production}-staging`;
const repository = `flight-launch/${production}`;
/** While it is there, deploys of production stop before their check. */
const hold = `"$DOKKU_LIB_ROOT/data/retention-hold"`;
const folder = `"$DOKKU_LIB_ROOT/data/flight-launch/pipelines/${production}"`;
let host: TestHost;
let monorepo: Monorepo;
/** Names of the builds, by the text of the page that they serve. */
const builds = new Map<string, string>();

test.before(async () => {
  host = await TestHost.start('retention');
  monorepo = await Monorepo.create();
  await host.must('flight-launch:setup', production);
  await host.must('flight-launch:set', production, 'client-image', 'flight-launch-test/node:20');
  await host.must('flight-launch:set', production, 'keep', '2');
  await host.installFurtherPlugin('retention-hold', {
    'check-deploy': `#!/bin/sh
end=$(($(date +%s) + 240))
while [ "$1" = ${production} ] && [ -e ${hold} ] && [ "$(date +%s)" -lt "$end" ]; do
  : >${hold}/reached
  sleep 0.2
done
`,
  });
});

test.after(async () => {
  monorepo.remove();
  await host.mustAdmin(`rm -rf ${hold}`);
  await host.stop();
});

async function deploy(app: string, page: string): Promise<void> {
  await monorepo.commit(page, { 'client/src/message.txt': `${page}\n` });
  builds.set(page, buildIn(await monorepo.mustPush(host, app)));
}

/** What is stored, each kind sorted: images and records by the page of their build, artifacts and trees by number. */
async function stored(): Promise<{ images: string[]; records: string[]; trees: number; artifacts: number }> {
  const pages = new Map([...builds].map(([page, build]) => [build, page]));
  const named = async (script: string): Promise<string[]> =>
    (await host.mustAdmin(script))
      .split('\n')
      .filter((line) => line !== '')
      .map((build) => pages.get(build) ?? build)
      .sort();
  const count = async (pattern: string): Promise<number> =>
    Number(await host.mustAdmin(`find ${folder} -name '${pattern}' | wc -l`));
  return {
    images: await named(`docker image ls --format '{{.Tag}}' ${repository}`),
    records: await named(`cd ${folder}/builds; find . -name '*.json' | sed 's|^./||; s|.json$||'`),
    trees: await count('*.server.tar'),
    artifacts: (await count('*.tar')) - (await count('*.server.tar')),
  };
}

test('the last live builds of each app stay, whatever the other app runs', async () => {
  await deploy(staging, 'one');
  await host.must('flight-launch:promote');
  await deploy(staging, 'two');
  await deploy(staging, 'three');
  // `one` is the oldest on staging, but production runs it.
  assert.equal(await stored(), {
    images: ['one', 'three', 'two'],
    records: ['one', 'three', 'two'],
    trees: 3,
    artifacts: 3,
  });
});

test("Dokku's own cleanup removes none of them (H6)", async () => {
  await host.must('flight-launch:promote');
  await host.must('cleanup', staging);
  await host.must('cleanup', production);
  assert.equal((await stored()).images, ['one', 'three', 'two']);
  const back = await host.must('flight-launch:rollback', '--previous');
  assert.match((await get(host.url(back.output))).body, 'one');
});

test('report tells the number of images and what their removal would free', async () => {
  const { stdout } = await host.must('flight-launch:report', production, '--format', 'json');
  const report = JSON.parse(stdout) as Record<string, string>;
  // Three builds and the dependencies that they share.
  assert.is(report.images, '4');
  assert.match(report['images-disk-use'] ?? '', /^\d+(\.\d)? (B|kB|MB)$/);
  assert.match(report['disk-use'] ?? '', /^\d+\.\d (kB|MB)$/);
});

test('prune says first what it would remove, and removes no more', async () => {
  const live = builds.get('three') ?? '';
  await host.mustAdmin(`docker image tag ${repository}:${live} ${repository}:${production}.lost`);
  await host.must('flight-launch:set', production, 'keep', '1');
  const before = await stored();
  const told = await host.must('flight-launch:prune', production, '--dry-run');
  assert.match(told.output, `build ${builds.get('two') ?? ''}`);
  assert.match(told.output, `image of build ${production}.lost, of which nothing else is left`);
  assert.not.match(told.output, live);
  assert.equal(await stored(), before);

  const done = await host.must('flight-launch:prune', production);
  assert.match(done.output, `build ${builds.get('two') ?? ''}`);
  assert.equal(await stored(), {
    images: ['one', 'three'],
    records: ['one', 'three'],
    trees: 2,
    artifacts: 2,
  });
});

test('a build whose image is gone cannot be gone back to, and what is left is named', async () => {
  const gone = await host.dokku('flight-launch:rollback', builds.get('two') ?? '');
  assert.is(gone.status, 1);
  assert.match(gone.output, `is no build that ${production} can go back to`);
  assert.match(gone.output, builds.get('three') ?? '');

  await host.mustAdmin(`docker image rm ${repository}:${builds.get('three') ?? ''}`);
  const none = await host.dokku('flight-launch:rollback', '--previous');
  assert.is(none.status, 1);
  assert.match(none.output, `${production} has no earlier build`);
  const promoted = await host.dokku('flight-launch:promote');
  assert.is(promoted.status, 1);
  assert.match(promoted.output, 'image');
});

test('a push to production and one to staging, then a promote: what is live stays', async () => {
  await deploy(production, 'direct');
  await deploy(staging, 'four');
  await host.must('flight-launch:promote');
  const after = await stored();
  assert.equal(after.images, ['four']);
  assert.equal(after.records, ['four']);
  const status = await host.must('flight-launch:status', production, '--format', 'json');
  const { apps } = JSON.parse(status.stdout) as { apps: { build: string }[] };
  assert.equal(new Set(apps.map(({ build }) => build)), new Set([builds.get('four')]));
});

test('what is being promoted stays, whatever is pushed to staging meanwhile', async () => {
  await deploy(staging, 'five');
  await host.mustAdmin(`mkdir -m 777 ${hold}`);
  const promoting = host.dokku('flight-launch:promote');
  await host.mustAdmin(`
    end=$(($(date +%s) + 120))
    until [ -e ${hold}/reached ]; do [ "$(date +%s)" -lt "$end" ] || exit 1; sleep 0.2; done`);
  await deploy(staging, 'six');
  assert.equal((await stored()).records, ['five', 'four', 'six']);
  await host.mustAdmin(`rm -r ${hold}`);
  const promoted = await promoting;
  assert.is(promoted.status, 0, promoted.output);
  assert.match((await get(host.url(promoted.output))).body, 'five');
  assert.equal((await stored()).records, ['five', 'six']);
  // Git would keep the commits of all that ever was on production.
  const kept = await host.mustAdmin(
    `git -c safe.directory='*' -C "$DOKKU_ROOT/${production}" for-each-ref --format='%(refname)' refs/flight-launch`,
  );
  assert.is(kept, `refs/flight-launch/builds/${builds.get('five') ?? ''}`);
});

test('unlink removes every image of the pipeline', async () => {
  await host.must('flight-launch:unlink', production);
  assert.is(
    await host.mustAdmin(
      `docker image ls --quiet ${repository}; docker image ls --quiet flight-launch/install/${production}`,
    ),
    '',
  );
});

test.run();
