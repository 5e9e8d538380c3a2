import { setTimeout as sleep } from 'node:timers/promises';
import { buildIn, get, TestHost, type Result } from '../support/host';
import { Monorepo, type RunningPush } from '../support/monorepo';
import { assert, suite } from '../support/suite';

const test = suite('promote as a job');
const staging = 'pjobs-staging';
const production = 'pjobs';
/** What production is called after an `apps:rename`. */
const renamed = 'pjobs-renamed';
const pipeline = '$DOKKU_LIB_ROOT/data/flight-launch/pipelines/pjobs';
/** What an administrator puts there rules the deploys of this file. */
const rules = '$DOKKU_LIB_ROOT/data/pjobs-rules';
let host: TestHost;
let repository: Monorepo;
let url = '';
const builds = new Map<string, string>();
/** Lines that a deploy prints where it is told to: more than ssh takes in for a reader that does not read. */
const lines = 500_000;

test.before(async () => {
  host = await TestHost.start('pjobs');
  repository = await Monorepo.create();
  await host.must('flight-launch:setup', production);
  await host.must('flight-launch:set', production, 'client-image', 'flight-launch-test/node:20');
  await host.installFurtherPlugin('pjobs-rules', {
    'check-deploy': `#!/bin/sh
rules=$DOKKU_LIB_ROOT/data/pjobs-rules
if [ -e "$rules/chatter.$1" ]; then seq 1 ${lines}; fi
end=$(($(date +%s) + 240))
while [ -e "$rules/hold.$1" ] && [ "$(date +%s)" -lt "$end" ]; do
  : >"$rules/held.$1"
  sleep 0.2
done
if [ -e "$rules/fail.$1" ]; then exit 1; fi
`,
    // Between the two layers that a release of a herokuish app adds.
    'pre-release-builder': `#!/bin/sh
rules=$DOKKU_LIB_ROOT/data/pjobs-rules
end=$(($(date +%s) + 240))
while [ -e "$rules/hold.release-$2" ] && [ "$(date +%s)" -lt "$end" ]; do
  : >"$rules/held.release-$2"
  sleep 0.2
done
`,
    // Behind that of flight-launch, whose name comes first.
    'post-deploy': `#!/bin/sh
rules=$DOKKU_LIB_ROOT/data/pjobs-rules
end=$(($(date +%s) + 240))
while [ -e "$rules/hold.live-$1" ] && [ "$(date +%s)" -lt "$end" ]; do
  : >"$rules/held.live-$1"
  sleep 0.2
done
`,
  });
  await host.mustAdmin(`mkdir -m 777 "${rules}"`);
  await deploy('one');
  url = host.url((await host.must('flight-launch:promote')).output);
  await deploy('two');
});

test.after(async () => {
  repository.remove();
  await host.mustAdmin(`rm -rf "${rules}"`);
  await host.stop();
});

async function deploy(page: string): Promise<void> {
  await repository.commit(page, { 'client/src/message.txt': `${page}\n` });
  builds.set(page, buildIn(await repository.mustPush(host, staging)));
}

function buildOf(page: string): string {
  const build = builds.get(page);
  if (build === undefined) throw new Error(`${page} was not deployed`);
  return build;
}

const promote = (page: string, ...more: string[]) => [
  ...['flight-launch:promote', '--pipeline', production, '--build', buildOf(page)],
  ...more,
];

/** Deploys of the app stop before their check until they are let go. */
async function hold(app: string): Promise<void> {
  await host.mustAdmin(`rm -f "${rules}/held.${app}"; touch "${rules}/hold.${app}"`);
}

async function letGo(app: string): Promise<void> {
  await host.mustAdmin(`rm -f "${rules}/hold.${app}"`);
}

/** Waits on the host until a condition in shell is met. */
async function until(condition: string): Promise<void> {
  await host.mustAdmin(`
    end=$(($(date +%s) + 180))
    until ${condition}; do
      if [ "$(date +%s)" -gt "$end" ]; then echo 'this never came: ${condition.replaceAll("'", '"')}' >&2; exit 1; fi
      sleep 0.2
    done`);
}

const held = (app: string) => until(`[ -e "${rules}/held.${app}" ]`);
const waitsForAnother = (job: string) =>
  until(`grep -q 'Waiting for another release of ${production} to end' "${pipeline}/jobs/${job}/log"`);
const ended = (job: string) => until(`grep -q '"step":"ended"' "${pipeline}/jobs/${job}/journal.ndjson"`);

interface Entry {
  kind: string;
  job?: string;
  app: string;
  build: string;
  result: string;
}

async function history(): Promise<{ entries: Entry[]; underWay: { id: string; build: string } | null }> {
  const { stdout } = await host.must('flight-launch:history', production, '--format', 'json');
  return JSON.parse(stdout) as Awaited<ReturnType<typeof history>>;
}

/** What came into the history meanwhile, in a line each. */
async function added(since: readonly Entry[]): Promise<string[]> {
  const { entries } = await history();
  assert.equal(entries.slice(0, since.length), since);
  return entries
    .slice(since.length)
    .map(({ kind, app, build, result }) => `${kind} ${app} ${build} ${result}`);
}

async function lastJob(): Promise<string> {
  return host.mustAdmin(`ls "${pipeline}/jobs" | sort | tail -n 1`);
}

/** The process of a job, as its journal has it. */
function processOf(job: string): Promise<string> {
  return host.mustAdmin(
    `sed -n 's/.*"step":"started","process":{"pid":\\([0-9]*\\).*/\\1/p' "${pipeline}/jobs/${job}/journal.ndjson"`,
  );
}

let following: Promise<Result>;
let job = '';
let before: Entry[];

test('F43 a job has its own session and Dokku process id, and nothing of the command that started it', async () => {
  before = (await history()).entries;
  await hold(production);
  const client = host.spawnDokku(...promote('two'));
  client.stdout.resume();
  client.stderr.resume();
  await held(production);
  job = await lastJob();
  const pid = await processOf(job);
  const seen = await host.mustAdmin(`
    job=${pid}
    release=$(pgrep -P $job | head -n 1)
    command=$(pgrep -f '[f]light-launch.cjs command flight-launch:promote --pipeline ${production} ')
    session() { ps -o sess= -p "$1" | tr -d ' '; }
    opened() { for each in /proc/$1/fd/*; do echo "\${each##*/} $(readlink "$each")"; done; }
    streams() { opened "$1" | grep -E -o '(pipe|socket):.*' | sort -u; }
    callers() {
      each=$command
      while [ "$each" -gt 1 ]; do
        streams "$each"
        each=$(ps -o ppid= -p "$each" | tr -d ' ')
      done | sort -u
    }
    echo "sessions $(session $job) $(session $release) $release"
    test "$(session $command)" != "$(session $job)" && echo 'not the session of the command'
    streams $job >"${rules}/ours" && callers >"${rules}/theirs" && test -s "${rules}/theirs"
    echo "shared: $(comm -12 "${rules}/ours" "${rules}/theirs")"
    opened $job | sed "s|$DOKKU_LIB_ROOT|LIB|; s/^/job: /"
    opened $release | sed "s|$DOKKU_LIB_ROOT|LIB|; s/^/release: /"
    tr '\\0' '\\n' </proc/$release/environ | grep -E '^(DOKKU_PID|DOKKU_APP_NAME|FLIGHT_LAUNCH_JOB|SSH_ORIGINAL_COMMAND)='`);
  const release = /^sessions \d+ \d+ (\d+)$/m.exec(seen)?.[1] ?? '';
  assert.match(seen, `sessions ${pid} ${release} ${release}\n`);
  assert.match(seen, 'not the session of the command\nshared: \n');
  const log = `LIB/data/flight-launch/pipelines/${production}/jobs/${job}/log`;
  assert.match(seen, `job: 0 /dev/null\n`);
  for (const who of ['job', 'release']) {
    for (const descriptor of [1, 2]) assert.match(seen, `${who}: ${descriptor} ${log}\n`);
  }
  const files = seen.split('\n').flatMap((line) => /^job: \d+ (LIB\/.*)$/.exec(line)?.[1] ?? []);
  assert.equal(
    [...new Set(files)].sort(),
    [
      `LIB/data/apps/${production}/.deploy.lock`,
      'LIB/data/flight-launch/flight-launch.log',
      log,
      `LIB/data/flight-launch/pipelines/${production}/locks/lock`,
    ].sort(),
  );
  assert.match(seen, `release: 0 /dev/null\n`);
  assert.not.match(seen, /^release: .*lock$/m);
  assert.match(seen, new RegExp(`^DOKKU_PID=${pid}$`, 'm'));
  assert.match(seen, new RegExp(`^FLIGHT_LAUNCH_JOB=${job}$`, 'm'));
  assert.not.match(seen, /^(DOKKU_APP_NAME|SSH_ORIGINAL_COMMAND)=/m);

  client.kill('SIGKILL');
  await client;
});

test('F52 while it runs, others are told whose it is, and nothing comes between (exit 4)', async () => {
  for (const words of [promote('two'), ['flight-launch:set', production, 'keep', '4']]) {
    const refused = await host.dokku(...words);
    assert.is(refused.status, 4, refused.output);
    assert.match(refused.output, /pipeline pjobs is locked by \S+ \(promote \S+, .*process \d+\)/);
    assert.match(refused.output, job);
  }
  await repository.commit('into the promote', { 'client/src/message.txt': 'into the promote\n' });
  const pushed = await repository.push(host, production);
  assert.is.not(pushed.status, 0);
  assert.match(pushed.output, 'deploy lock');
  await repository.git('reset', '--quiet', '--hard', 'HEAD~1');
  const destroyed = await host.dokku('apps:destroy', production, '--force');
  assert.is.not(destroyed.status, 0);
  assert.match(destroyed.output, new RegExp(`promote ${job} of build ${buildOf('two')}, .*has not ended`));
  assert.equal((await history()).underWay?.id, job);
  assert.match((await host.must('flight-launch:history', production)).output, `under way: promote ${job}`);
  assert.match((await host.must('flight-launch:status', production)).output, `under way: promote ${job}`);
  assert.match((await get(url)).body, 'one');
});

test('F41, F43, F51, H15 the connection dropped, SIGHUP came, Dokku was unlocked: another follows to the end, and the history tells it', async () => {
  following = host.dokku('flight-launch:logs', job, '--pipeline', production, '--follow');
  const pid = await processOf(job);
  await host.mustAdmin(`kill -HUP ${pid} && sleep 1 && kill -HUP ${pid} && sleep 1 && test -d /proc/${pid}`);
  // That takes away Dokku's lock of production, not that of the pipeline.
  await host.must('apps:unlock', production);
  const refused = await host.dokku(...promote('two'));
  assert.is(refused.status, 4, refused.output);
  assert.match(refused.output, 'pipeline pjobs is locked by');
  assert.equal(await added(before), []);
  await letGo(production);
  const followed = await following;
  assert.is(followed.status, 0, followed.output);
  assert.match(followed.output, `Build ${buildOf('two')} is live on ${production}`);
  assert.match((await get(url)).body, 'two');
  assert.equal(await added(before), [`promote ${production} ${buildOf('two')} live`]);
  const { entries, underWay } = await history();
  assert.is(entries.at(-1)?.job, job);
  assert.is(underWay, null);
  const shown = await host.must('flight-launch:logs', '--pipeline', production);
  assert.is(shown.stdout, followed.stdout);
});

test('F44, F52 --detach returns at once, says how to follow, and that ends with the status of the job', async () => {
  const since = (await history()).entries;
  await hold(production);
  const started = await host.must(...promote('one', '--detach'));
  const words =
    /follow it: dokku (flight-launch:logs \S+ --pipeline pjobs --follow)\n/.exec(started.output)?.[1] ?? '';
  assert.is.not(words, '', started.output);
  await held(production);
  const follow = host.dokku(...words.split(' '));
  // What is configured meanwhile is no part of what is put back.
  await host.must('config:set', '--no-restart', production, 'MEANWHILE=kept');
  // builds:cancel ends the release; the job goes on and puts things right.
  await host.must('builds:cancel', production);
  await letGo(production);
  const followed = await follow;
  assert.is(followed.status, 1, followed.output);
  assert.match(followed.output, `the promote failed. ${production} goes on with the version that it had`);
  assert.equal(await added(since), [`promote ${production} ${buildOf('one')} put-back`]);
  assert.match((await get(url)).body, 'two');
  assert.is((await host.must('config:get', production, 'MEANWHILE')).stdout.trim(), 'kept');
  // Also afterwards, and at once: nothing is locked any more.
  const again = await host.dokku(...words.split(' '));
  assert.is(again.status, 1);
  assert.is(again.stdout, followed.stdout);
});

/** Configures production in the middle of a promote that fails: two releases at once, which Dokku does not keep apart. */
async function restartBesideFailure(value: string, meanwhile: string): Promise<Result> {
  const releasing = `release-${production}`;
  await host.mustAdmin(`touch "${rules}/fail.${production}"`);
  await hold(production);
  const promoting = host.dokku(...promote('one'));
  let setting: Promise<Result> | undefined;
  try {
    await held(production);
    await hold(releasing);
    setting = host.dokku('config:set', production, `RESTARTED=${value}`);
    await held(releasing);
    await letGo(production);
    await waitsForAnother(await lastJob());
    await host.mustAdmin(meanwhile);
  } finally {
    await letGo(production);
    await letGo(releasing);
    await Promise.all([promoting, setting]);
    await host.mustAdmin(`rm -f "${rules}/fail.${production}"`);
  }
  assert.is((await host.must('config:get', production, 'RESTARTED')).stdout.trim(), value);
  return promoting;
}

/** The build that whatever restarts production next would start. */
function taggedBuild(): Promise<string> {
  return host.mustAdmin(
    `docker image inspect --format '{{index .Config.Labels "com.flight-launch.build"}}' dokku/${production}:latest`,
  );
}

test('F52, H20, H22 a promote that fails beside a restart of production waits for that, and puts all back but what was configured', async () => {
  const since = (await history()).entries;
  const promoted = await restartBesideFailure('beside', 'true');
  assert.is(promoted.status, 1, promoted.output);
  assert.match(promoted.output, `the promote failed. ${production} goes on with the version that it had`);
  assert.equal(await added(since), [`promote ${production} ${buildOf('one')} put-back`]);
  assert.match((await get(url)).body, 'two');
  assert.is(await taggedBuild(), buildOf('two'));
  const running = await host.mustAdmin(
    `docker ps --filter label=com.dokku.app-name=${production} --filter label=com.flight-launch.build=${buildOf('one')} --quiet`,
  );
  assert.is(running, '');
});

test('F52, H20, H22 where that restart succeeds with the build that was promoted, this is live, and told so', async () => {
  const since = (await history()).entries;
  const promoted = await restartBesideFailure('again', `rm "${rules}/fail.${production}"`);
  assert.is(promoted.status, 0, promoted.output);
  assert.match(promoted.output, `Build ${buildOf('one')} is live on ${production}`);
  assert.equal(await added(since), [`promote ${production} ${buildOf('one')} live`]);
  assert.match((await get(url)).body, 'one');
  assert.is(await taggedBuild(), buildOf('one'));
});

test('H22 a promote waits for a restart of production that is under way', async () => {
  const since = (await history()).entries;
  await hold(production);
  const restarting = host.dokku('ps:restart', production);
  await held(production);
  const last = await lastJob();
  const promoting = host.dokku(...promote('two'));
  try {
    await until(`[ "$(ls "${pipeline}/jobs" | sort | tail -n 1)" != ${last} ]`);
    await waitsForAnother(await lastJob());
  } finally {
    await letGo(production);
  }
  assert.is((await restarting).status, 0);
  const promoted = await promoting;
  assert.is(promoted.status, 0, promoted.output);
  assert.equal(await added(since), [`promote ${production} ${buildOf('two')} live`]);
  assert.match((await get(url)).body, 'two');
});

test('F42, H15 a caller that does not read megabytes of output holds nothing up, and misses nothing', async () => {
  const since = (await history()).entries;
  await host.mustAdmin(`touch "${rules}/chatter.${production}"`);
  await hold(production);
  const client = host.spawnDokku(...promote('one'));
  let read = '';
  client.stdout.on('data', (chunk: Buffer) => (read += chunk.toString()));
  client.stderr.resume();
  await until(`[ "$(ls "${pipeline}/jobs" | sort | tail -n 1)" != ${await lastJob()} ]`);
  client.kill('SIGSTOP');
  await held(production);
  await letGo(production);
  const unread = await lastJob();
  try {
    await ended(unread);
    assert.equal(await added(since), [`promote ${production} ${buildOf('one')} live`]);
    assert.match((await get(url)).body, 'one');
    assert.not.match(read, `\n${lines}\n`);
  } finally {
    client.kill('SIGCONT');
    await host.mustAdmin(`rm -f "${rules}/chatter.${production}"`);
  }
  assert.is((await client).exitCode, 0);
  assert.match(read, `\n${lines}\n`);
  assert.match(read, `Build ${buildOf('one')} is live on ${production}`);
});

test('two promotes at once have exactly one result, and the other is told', async () => {
  const since = (await history()).entries;
  const both = await Promise.all([host.dokku(...promote('two')), host.dokku(...promote('two'))]);
  assert.equal(await added(since), [`promote ${production} ${buildOf('two')} live`]);
  const shown = both.map(({ output }) => output).join('\n');
  const [one, other] = both[0].status === 0 ? both : ([both[1], both[0]] as const);
  assert.is(one.status, 0, shown);
  assert.match(shown, `Build ${buildOf('two')} is live on ${production}`);
  if (other.status === 0) assert.match(shown, 'nothing to do');
  else {
    assert.is(other.status, 4, shown);
    assert.match(other.output, /pipeline pjobs is locked by|has not ended/);
  }
});

test('H22 a deploy lock that somebody else holds is respected, whoever it is (exit 4); a mere file is none', async () => {
  const since = (await history()).entries;
  const lock = `"$DOKKU_LIB_ROOT/data/apps/${production}/.deploy.lock"`;
  await hold('lock');
  const holder = host.admin(`
    touch ${lock} && chown --reference="$DOKKU_LIB_ROOT/data/apps/${production}" ${lock}
    exec 9<>${lock} && flock --nonblock 9 && touch "${rules}/held.lock" || exit 1
    while [ -e "${rules}/hold.lock" ]; do sleep 0.2; done
    rm ${lock}`);
  await held('lock');
  const refused = await host.dokku(...promote('one'));
  await letGo('lock');
  assert.is((await holder).status, 0);
  assert.is(refused.status, 4, refused.output);
  assert.match(refused.output, `${production} is being deployed: another process holds its deploy lock`);
  assert.equal(await added(since), []);
  assert.match((await get(url)).body, 'two');
  await host.must('apps:lock', production);
  await host.must(...promote('one'));
  assert.equal(await added(since), [`promote ${production} ${buildOf('one')} live`]);
  assert.match((await host.must('apps:report', production, '--app-locked')).stdout, 'false');
});

let coming: RunningPush;

test('a promote during a push to staging takes what is live there until then', async () => {
  const since = (await history()).entries;
  await repository.commit('three', { 'client/src/message.txt': 'three\n' });
  await hold(staging);
  coming = repository.startPush(host, staging);
  await held(staging);
  const promoted = await host.must('flight-launch:promote', '--pipeline', production);
  assert.match(promoted.output, new RegExp(`${staging} is being deployed \\(build ${staging}\\.`));
  assert.equal(await added(since), [`promote ${production} ${buildOf('two')} live`]);
  assert.match((await get(url)).body, 'two');
});

test('a push to staging between --dry-run and promote: what was shown can be had exactly', async () => {
  await host.must(...promote('one'));
  const shown = await host.must('flight-launch:promote', '--pipeline', production, '--dry-run');
  const words = /dokku (flight-launch:promote .*)\n/.exec(shown.output)?.[1] ?? '';
  assert.is(words, `flight-launch:promote --build ${buildOf('two')} --pipeline ${production}`);
  await hold(`live-${staging}`);
  await letGo(staging);
  await held(`live-${staging}`);
  await host.must(...words.split(' '));
  assert.match((await get(url)).body, 'two');
});

test('H9 a build that is live while its push has not ended is to be waited for (exit 4)', async () => {
  const since = (await history()).entries;
  const { staging: live } = await host.status(production);
  assert.is(live.commit, await repository.head());
  const refused = await host.dokku('flight-launch:promote', '--pipeline', production);
  const compared = await host.dokku('flight-launch:diff', production);
  await letGo(`live-${staging}`);
  const commit = (await repository.head()).slice(0, 8);
  assert.is(refused.status, 4, refused.output);
  assert.match(
    refused.output,
    `the push of commit ${commit} to ${staging}, build ${String(live.build)}, has not ended`,
  );
  assert.match(compared.output, `the push of commit ${commit} has not ended`);
  assert.equal(await added(since), []);
  const pushed = await coming.ended;
  assert.is(pushed.status, 0, pushed.output);
  builds.set('three', buildIn(pushed));
  const shown = await host.must('flight-launch:promote', '--pipeline', production, '--dry-run');
  assert.match(shown.output, `${production} gets build ${buildOf('three')}`);
  assert.match((await get(url)).body, 'two');
});

test('a promote during a direct push to production is told who is deploying (exit 4)', async () => {
  await repository.commit('four', { 'client/src/message.txt': 'four\n' });
  const since = (await history()).entries;
  await hold(production);
  const push = repository.startPush(host, production, '+HEAD:master');
  await held(production);
  const refused = await host.dokku('flight-launch:promote', '--pipeline', production);
  await letGo(production);
  assert.is(refused.status, 4, refused.output);
  assert.match(
    refused.output,
    new RegExp(`${production} is being deployed \\(build ${production}\\.\\S+\\) by \\S+`),
  );
  const pushed = await push.ended;
  assert.is(pushed.status, 0, pushed.output);
  builds.set('four', buildIn(pushed));
  assert.equal(await added(since), [`deploy ${production} ${buildOf('four')} live`]);
  assert.match((await get(url)).body, 'four');
});

/**
 * Renames production while a promote of `three` is at work on it.
 * @returns address of the app under its new name
 */
async function renameDuringPromote(from: string, to: string): Promise<string> {
  await hold(from);
  const started = await host.must(...promote('three', '--detach'));
  const job = /Started (promote \S+);/.exec(started.output)?.[1] ?? '';
  await held(from);
  const renaming = host.spawnDokku('apps:rename', from, to);
  let told = '';
  renaming.stdout.on('data', (chunk: Buffer) => (told += chunk.toString()));
  renaming.stderr.resume();
  while (!told.includes(`Waiting until ${job} of build ${buildOf('three')} has ended`)) {
    assert.is(renaming.exitCode, null, told);
    await sleep(100);
  }
  assert.match((await get(url)).body, 'four');
  await letGo(from);
  assert.is((await renaming).exitCode, 0, told);
  const { production: live } = await host.status(production);
  assert.is(live.app, to);
  assert.is((await host.must('config:get', to, 'GIT_REV')).stdout.trim(), live.commit);
  // What the promote printed comes before.
  return host.url(told.slice(told.indexOf(`${to} is now the production app`)));
}

test('F52 apps:rename during a promote that fails waits for it: all is as before, but for the name', async () => {
  const since = (await history()).entries;
  const { commit } = (await host.status(production)).production;
  await host.mustAdmin(`touch "${rules}/fail.${production}"`);
  url = await renameDuringPromote(production, renamed);
  await host.mustAdmin(`rm "${rules}/fail.${production}"`);
  assert.match((await get(url)).body, 'four');
  const { production: live } = await host.status(production);
  assert.is(live.commit, commit);
  assert.equal(await added(since), [
    `promote ${production} ${buildOf('three')} put-back`,
    `deploy ${renamed} ${String(live.build)} live`,
  ]);
});

test('F52 apps:rename during a promote waits for it, and the app has what was promoted', async () => {
  const since = (await history()).entries;
  const { commit } = (await host.status(production)).staging;
  url = await renameDuringPromote(renamed, production);
  assert.match((await get(url)).body, 'three');
  const { production: live } = await host.status(production);
  assert.is(live.commit, commit);
  assert.equal(await added(since), [
    `promote ${renamed} ${buildOf('three')} live`,
    `deploy ${production} ${String(live.build)} live`,
  ]);
  assert.match((await host.must('flight-launch:status', production)).output, 'both run the same commit');
});

test.run();
