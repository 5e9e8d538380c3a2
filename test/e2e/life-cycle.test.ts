import { Monorepo } from '../support/monorepo';
import { buildIn, get, TestHost, type Result } from '../support/host';
import { webContainer } from '../support/images';
import { assert, suite } from '../support/suite';

const test = suite('life-cycle');
let host: TestHost;
let repository: Monorepo;

const data = '$DOKKU_LIB_ROOT/data/flight-launch';

test.before(async () => {
  host = await TestHost.start('life-cycle');
  repository = await Monorepo.create();
});

test.after(async () => {
  repository.remove();
  await host.stop();
});

test('a dry run of setup says what it would do and writes nothing', async () => {
  const before = await written();
  const shown = await host.must('flight-launch:setup', 'life-cycle', '--dry-run');
  assert.match(shown.stdout, 'create app life-cycle-staging');
  assert.match(shown.stdout, 'make life-cycle the production app: build-dir server');
  assert.is(await written(), before);
  assert.is.not((await host.dokku('apps:exists', 'life-cycle')).status, 0);
});

test('setup creates the apps that are missing and prints what to do next', async () => {
  const shown = await host.must('flight-launch:setup', 'life-cycle');
  assert.match(shown.stdout, 'Created app life-cycle-staging');
  assert.match(shown.stdout, 'Created app life-cycle\n');
  assert.match(shown.stdout, /git remote add dokku-staging \S+:life-cycle-staging/);
  assert.match(shown.stdout, /git remote add dokku \S+:life-cycle\n/);
  assert.match(shown.stdout, 'git push dokku-staging YOUR-BRANCH:master');
  assert.not.match(shown.stdout, '--force');
  for (const app of ['life-cycle', 'life-cycle-staging']) {
    const builder = await host.must('builder:report', app, '--builder-build-dir');
    assert.is(builder.stdout.trim(), 'server');
    const branch = await host.must('git:report', app, '--git-deploy-branch');
    assert.is(branch.stdout.trim(), 'master');
  }
});

test('setup again changes nothing', async () => {
  await host.must('flight-launch:set', 'life-cycle', 'keep', '7');
  const before = await written();
  const shown = await host.must('flight-launch:setup', 'life-cycle');
  assert.not.match(shown.stdout, 'Created');
  assert.is(await written(), before);
});

test('setup takes apps that exist, under names and with a folder of their own', async () => {
  await host.must('apps:create', 'life-cycle-old');
  await host.must('git:set', 'life-cycle-old', 'deploy-branch', 'main');
  // The history of a process that pushed the server alone; without a deploy, since the branch is another one.
  const old = await Monorepo.create();
  await old.git('rm', '-r', '--quiet', 'client');
  await old.git('mv', 'server/config.ru', 'server/Procfile', '.');
  await old.git('rm', '-r', '--quiet', 'server');
  const commit = await old.commit('Only the server');
  await old.git('checkout', '--quiet', '--orphan', 'deployed');
  await old.git('commit', '--quiet', '--message', 'Deploy');
  const kept = await old.head();
  assert.is.not(kept, commit);
  await old.mustPush(host, 'life-cycle-old', 'HEAD:refs/heads/old');
  await host.must('git:set', 'life-cycle-old', 'deploy-branch', 'old');
  old.remove();

  const shown = await host.must(
    ...['flight-launch:setup', 'life-cycle-two', '--staging', 'life-cycle-old'],
    ...['--production', 'life-cycle-two-live', '--build-dir', 'server'],
  );
  assert.match(shown.stdout, 'life-cycle-old is the staging app: build-dir server, deploy branch old');
  assert.match(shown.stdout, 'Created app life-cycle-two-live');
  assert.match(shown.stdout, 'git push --force dokku-staging YOUR-BRANCH:old');
  const ref = await host.mustAdmin(
    `git -c safe.directory='*' -C "$DOKKU_ROOT/life-cycle-old" rev-parse refs/flight-launch/before-setup/${kept}`,
  );
  assert.is(ref, kept);
});

test('the forced push that setup printed replaces the old history and deploys the client', async () => {
  await host.must('flight-launch:set', 'life-cycle-two', 'client-image', 'flight-launch-test/node:20');
  await repository.commit('Say hello', { 'client/src/message.txt': 'no longer by hand\n' });
  const refused = await repository.push(host, 'life-cycle-old', 'HEAD:old');
  assert.is.not(refused.status, 0);
  const pushed = await repository.mustPush(host, 'life-cycle-old', '--force', 'HEAD:old');
  assert.match((await get(host.url(pushed.output))).body, 'no longer by hand');
});

test('setup refuses an app of another pipeline, and an app that would play both parts', async () => {
  const before = await written();
  const taken = await host.dokku('flight-launch:setup', 'life-cycle-three', '--staging', 'life-cycle-old');
  assert.is(taken.status, 1);
  assert.match(taken.output, 'life-cycle-old is in pipeline life-cycle-two already');
  const both = await host.dokku(
    'flight-launch:setup',
    'x',
    '--staging',
    'life-cycle-a',
    '--production',
    'life-cycle-a',
  );
  assert.is(both.status, 2);
  const other = await host.dokku('flight-launch:setup', 'life-cycle', '--staging', 'life-cycle-other');
  assert.is(other.status, 1);
  assert.match(
    other.output,
    'the staging app of pipeline life-cycle is life-cycle-staging, not life-cycle-other',
  );
  assert.is(await written(), before);
  assert.is.not((await host.dokku('apps:exists', 'life-cycle-three')).status, 0);
});

test('an app of an older Dokku may have an underscore in its name, a new one may not', async () => {
  const before = await written();
  const refused = await host.dokku('flight-launch:setup', 'life-cycle-three', '--staging', 'life-cycle_old');
  assert.is(refused.status, 2);
  assert.match(refused.output, '"life-cycle_old" cannot be the name of a new app');
  assert.is(await written(), before);
  // No command of today makes one.
  await host.must('apps:create', 'life-cycle-legacy');
  await host.mustAdmin(
    `for apps in "$DOKKU_ROOT" "$DOKKU_LIB_ROOT/data/apps"; do
      mkdir "$apps/life-cycle_old" && chown --reference="$apps/life-cycle-legacy" "$apps/life-cycle_old" || exit 1
    done`,
  );
  try {
    const apps = ['--staging', 'life-cycle_old', '--production', 'life-cycle-legacy'];
    const shown = await host.must('flight-launch:setup', 'life-cycle-three', ...apps);
    assert.match(shown.stdout, 'life-cycle_old is the staging app: build-dir server');
    await host.must('flight-launch:set', 'life-cycle-three', 'client-image', 'flight-launch-test/node:20');
    await host.must('ps:scale', 'life-cycle_old', 'web=1');
    const build = buildIn(await repository.mustPush(host, 'life-cycle_old'));
    assert.match(build, /^life-cycle_old\./);
    const { staging } = await host.status('life-cycle-three');
    assert.is(staging.app, 'life-cycle_old');
    assert.is(staging.build, build);
    assert.is(staging.commit, await repository.head());
    assert.equal(staging.processes, [{ process: 'web.1', running: true, build }]);
    // A proxy may not answer for a host's name with an underscore, so the container itself is asked.
    const page = await host.mustAdmin(`
      container=${await webContainer(host, 'life-cycle_old')}
      docker inspect --format '{{index .Config.Labels "com.flight-launch.build"}}' "$container"
      address=$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$container")
      curl --silent --show-error --fail --noproxy '*' "http://$address:5000/"`);
    assert.is(page.split('\n')[0], build);
    assert.match(page, 'no longer by hand');
    await host.must('flight-launch:unlink', 'life-cycle-three');
  } finally {
    // Whatever went wrong is told by the test; what follows must find none of it.
    await host.dokku('flight-launch:unlink', 'life-cycle-three');
    await host.dokku('apps:destroy', '--force', 'life-cycle_old');
    await host.mustAdmin(`rm -rf "$DOKKU_ROOT/life-cycle_old" "$DOKKU_LIB_ROOT/data/apps/life-cycle_old"`);
  }
});

test('list, report and set show and change settings, for people and as JSON', async () => {
  const listed = await host.must('flight-launch:list');
  assert.match(listed.stdout, 'life-cycle: life-cycle-staging -> life-cycle\n');
  const json = JSON.parse((await host.must('flight-launch:list', '--format', 'json')).stdout) as object[];
  assert.equal(
    json.find((one) => 'name' in one && one.name === 'life-cycle-two'),
    { name: 'life-cycle-two', staging: 'life-cycle-old', production: 'life-cycle-two-live' },
  );
  assert.is((await settings('life-cycle')).keep, '7');
  assert.match((await host.must('flight-launch:report', 'life-cycle')).stdout, /Keep: +7\n/);
  const dry = await host.must('flight-launch:set', 'life-cycle', 'keep', '9', '--dry-run');
  assert.match(dry.stdout, 'Setting keep to 9');
  assert.is((await settings('life-cycle')).keep, '7');
  const unset = await host.must('flight-launch:set', 'life-cycle', 'keep', '--unset');
  assert.match(unset.stdout, 'Unsetting keep');
  assert.is((await settings('life-cycle')).keep, '5');
  assert.is((await settings('life-cycle'))['staging-deploy-branch'], 'master');
});

test('doctor finds nothing after setup, and names what was changed since, with what mends it (H23)', async () => {
  const well = await host.must('flight-launch:doctor');
  assert.match(well.stdout, 'looked at pipeline life-cycle');
  assert.match(well.stdout, 'nothing is wrong');

  await host.must('git:set', 'life-cycle-staging', 'deploy-branch');
  await host.must('builder:set', 'life-cycle', 'build-dir');
  const before = await written();
  const ill = await host.dokku('flight-launch:doctor');
  assert.is(ill.status, 1);
  assert.match(ill.output, 'life-cycle-staging: it deploys whichever branch is pushed first');
  assert.match(ill.output, 'life-cycle: its apps have different build-dirs: server and none.');
  const { stdout } = await host.dokku('flight-launch:doctor', '--format', 'json');
  const told = JSON.parse(stdout) as { host: { docker: string }; findings: { remedy: string }[] };
  assert.match(told.host.docker, /^\d+\./);
  assert.is(told.findings.length, 2);
  assert.is(await written(), before);

  assert.match(told.findings[0]?.remedy ?? '', 'dokku flight-launch:setup life-cycle');
  await host.must('flight-launch:setup', 'life-cycle');
  await host.must('flight-launch:doctor');
});

test('help: the overview, one command, and the lines that Dokku collects', async () => {
  for (const words of [['flight-launch'], ['flight-launch:help']]) {
    const shown = await host.must(...words);
    assert.match(shown.stdout, 'Usage: dokku flight-launch[:COMMAND]');
    assert.match(shown.stdout, /flight-launch:setup NAME/);
  }
  assert.match((await host.must('flight-launch:help', 'set')).stdout, 'build-timeout');
  assert.match((await host.must('help')).stdout, /^ +flight-launch/m);
});

for (const [hazard, words, says] of [
  ['an unknown command', ['flight-launch:fly'], 'fly'],
  ['an unknown flag', ['flight-launch:list', '--fast'], '--fast'],
  ['an unknown format', ['flight-launch:list', '--format', 'xml'], 'there is no format "xml"'],
  [
    'an unmatched quote drops what follows (I55)',
    ['flight-launch:set', 'life-cycle', "it's", '3'],
    'KEY is missing',
  ],
  [
    'an unmatched quote drops a value, which is no wish for the default (I55, H13)',
    ['flight-launch:set', 'life-cycle', 'keep', "'6"],
    /VALUE of keep is missing[^]* --unset puts keep back to its default/,
  ],
  [
    'a value and --unset',
    ['flight-launch:set', 'life-cycle', 'keep', '6', '--unset'],
    'keep gets either a value or --unset',
  ],
  ['a line break splits a name (I56)', ['flight-launch:status', 'life\ncycle'], 'one argument too many'],
  ['-n vanishes on the way (I57)', ['flight-launch:unlink', '-n'], 'NAME is missing'],
  ['--app is no way to name a pipeline (I59)', ['flight-launch:unlink', '--app', 'life-cycle'], '--app'],
  ['$(id) is text (I61)', ['flight-launch:setup', "'$(id)'"], 'cannot be the name of a pipeline'],
  ['* is text (I62)', ['flight-launch:setup', "'*'"], 'cannot be the name of a pipeline'],
  ['../x is no name (I63)', ['flight-launch:setup', '../x'], 'cannot be the name of a pipeline'],
  ['../x is no app (I63)', ['flight-launch:setup', 'x', '--staging', '../x'], 'cannot be the name of an app'],
  ['--global is no app (I64)', ['flight-launch:setup', '--global'], '--global'],
] as const) {
  test(`${hazard}: refused with the reason, and nothing is written`, async () => {
    const before = await written();
    const refused = await host.dokku(...words);
    assert.match(refused.output, says);
    // A command that the plugin does not have is Dokku's to refuse.
    assert.is(refused.status, hazard === 'an unknown command' ? 1 : 2, refused.output);
    assert.is(await written(), before);
  });
}

test("Dokku's own --trace and --force change nothing (I58, I60)", async () => {
  const before = await written();
  const shown = await host.must('flight-launch:list', '--trace', '--force');
  assert.match(shown.stdout, 'life-cycle: life-cycle-staging -> life-cycle\n');
  assert.is((await host.dokku('flight-launch:unlink', '--force')).status, 2);
  assert.is(await written(), before);
});

test('an app that the caller may not use: refused by name, nothing else shown, and not listed (I65, H14)', async () => {
  await host.installFurtherPlugin('life-cycle-acl', {
    'user-auth': `#!/bin/sh
# SSH_USER SSH_NAME COMMAND ARG...; an administrator on the host may do all.
case "$3 $4" in flight-launch:*' life-cycle-staging') exit 1 ;; esac
`,
  });
  const before = await written();
  for (const words of [
    ['flight-launch:status', 'life-cycle'],
    ['flight-launch:set', 'life-cycle', 'keep', '3'],
    ['flight-launch:unlink', 'life-cycle'],
    ['flight-launch:setup', 'life-cycle'],
  ]) {
    const refused = await host.dokku(...words);
    assert.is(refused.status, 1, refused.output);
    assert.match(refused.output, `you may not run ${String(words[0])} on life-cycle-staging`);
    assert.is(refused.stdout, '');
  }
  const listed = await host.must('flight-launch:list');
  assert.not.match(listed.stdout, 'life-cycle:');
  assert.match(listed.stdout, 'life-cycle-two:');
  assert.is(await written(), before);
  await host.uninstallPlugin('life-cycle-acl');
  await host.must('flight-launch:status', 'life-cycle');
});

test('a clone is in no pipeline, and says so', async () => {
  const cloned = await host.must('apps:clone', '--skip-deploy', 'life-cycle-old', 'life-cycle-clone');
  assert.match(cloned.output, 'life-cycle-clone is in no pipeline');
  assert.not.match((await host.must('flight-launch:list')).stdout, 'life-cycle-clone');
});

test('a renamed app keeps its part in the pipeline, and its pushes build the client', async () => {
  const renamed = await host.must('apps:rename', 'life-cycle-old', 'life-cycle-new');
  assert.match(renamed.output, 'life-cycle-new is now the staging app of pipeline life-cycle-two');
  assert.match(renamed.output, 'Client unchanged');
  assert.match((await host.must('flight-launch:list')).stdout, 'life-cycle-two: life-cycle-new ->');
  const commit = await repository.commit('After the rename', { 'client/src/message.txt': 'renamed\n' });
  const pushed = await repository.mustPush(host, 'life-cycle-new', 'HEAD:old');
  assert.match((await get(host.url(pushed.output))).body, 'renamed');
  const { staging } = await host.status('life-cycle-two');
  assert.is(staging.app, 'life-cycle-new');
  assert.is(staging.commit, commit);
});

test('uninstalling says what stays, and installing again, even twice, finds everything', async () => {
  const before = await written();
  const listed = await host.must('flight-launch:list');
  const status = await host.status('life-cycle-two');
  const gone = await host.uninstallPlugin('flight-launch');
  assert.match(gone.output, 'settings, records and stored clients stay in');
  assert.is.not((await host.dokku('flight-launch:list')).status, 0);
  await host.installPlugin();
  await host.mustAdmin('dokku plugin:install');
  assert.is(await written(), before);
  assert.is((await host.must('flight-launch:list')).stdout, listed.stdout);
  assert.equal(await host.status('life-cycle-two'), status);
});

test('destroying the app flight-launch leaves the settings of another pipeline and its own history whole (H16)', async () => {
  await host.must(
    ...['flight-launch:setup', 'life-cycle-three', '--staging', 'life-cycle-three'],
    ...['--production', 'flight-launch'],
  );
  await host.must('flight-launch:set', 'life-cycle-three', 'keep', '4');
  await host.must('flight-launch:set', 'life-cycle', 'keep', '8');
  const history = await historyOf('life-cycle-two');
  assert.is.not(history, '');
  const destroyed = await host.must('apps:destroy', 'flight-launch', '--force');
  assert.match(destroyed.output, 'flight-launch left pipeline life-cycle-three');
  assert.is((await settings('life-cycle')).keep, '8');
  assert.is((await settings('life-cycle-three')).keep, '4');
  assert.is(await historyOf('life-cycle-two'), history);
  const { production } = await host.status('life-cycle-three');
  assert.is(production.exists, false);
});

test('destroying an app that was deployed keeps the history of its pipeline, and unlink keeps it aside', async () => {
  const history = await historyOf('life-cycle-two');
  await host.must('apps:destroy', 'life-cycle-new', '--force');
  assert.is(await historyOf('life-cycle-two'), history);
  const dry = await host.must('flight-launch:unlink', 'life-cycle-two', '--dry-run');
  assert.match(dry.stdout, 'life-cycle-two');
  assert.is(await historyOf('life-cycle-two'), history);
  // That records are damaged is no reason to keep a pipeline, nor to forget the images that they are about.
  await host.mustAdmin(
    `for file in "${data}/pipelines/life-cycle-two/builds/"*.json; do printf '{' >"$file"; done`,
  );
  assert.is.not(await host.mustAdmin('docker images --quiet flight-launch/life-cycle-two'), '');
  const unlinked = await host.must('flight-launch:unlink', 'life-cycle-two');
  assert.match(unlinked.stdout, 'the history is kept in');
  assert.match(unlinked.stdout, 'builder:set life-cycle-two-live build-dir');
  assert.not.match((await host.must('flight-launch:list')).stdout, 'life-cycle-two');
  assert.ok((await host.mustAdmin(`cat "${data}/unlinked/life-cycle-two.history.ndjson"`)).endsWith(history));
  assert.is(await host.mustAdmin('docker images --quiet flight-launch/life-cycle-two'), '');
});

/** The files of the plugin, with their content; locks and logs come and go with every command. */
function written(): Promise<string> {
  return host.mustAdmin(`cd "${data}" &&
    find apps pipelines deploys -type f ! -path '*/locks/*' ! -name '*.log' -exec sha256sum {} + | sort -k 2
    ls "$DOKKU_ROOT"`);
}

async function settings(pipeline: string): Promise<Record<string, string>> {
  const { stdout }: Result = await host.must('flight-launch:report', pipeline, '--format', 'json');
  return JSON.parse(stdout) as Record<string, string>;
}

function historyOf(pipeline: string): Promise<string> {
  return host.mustAdmin(`cat "${data}/pipelines/${pipeline}/history.ndjson"`);
}

test.run();
