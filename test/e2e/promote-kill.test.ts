import { buildIn, get, TestHost, type Result } from '../support/host';
import { killNextJob } from '../support/killer';
import { Monorepo } from '../support/monorepo';
import { assert, suite } from '../support/suite';
import { Visitor } from '../support/visitor';

const test = suite('promote that is killed');
const staging = 'pkill-staging';
const production = 'pkill';
/** While it is there, the next job that starts a former version again is killed before it does. */
const marker = '"$DOKKU_LIB_ROOT"/data/pkill-rules/kill';
const jobs = `"$DOKKU_LIB_ROOT"/data/flight-launch/pipelines/${production}/jobs`;
let host: TestHost;
let repository: Monorepo;
let url = '';
const builds = new Map<string, string>();

const web = 'web: puma --environment production --bind tcp://0.0.0.0:$PORT\n';

/** @param delay seconds before the check asks */
function server(page: string, { delay = 0, worker = false } = {}): Record<string, string> {
  const check = {
    type: 'startup',
    name: 'health',
    path: '/health',
    attempts: 3,
    wait: 1,
    initialDelay: delay,
  };
  return {
    'client/src/message.txt': `${page}\n`,
    'server/app.json': `${JSON.stringify({ healthchecks: { web: [check] } })}\n`,
    'server/Procfile': worker
      ? `${web}worker: bash -c 'if [ "$WHO" = production ]; then exit 1; fi; sleep 10000'\n`
      : web,
  };
}

async function deploy(page: string, options?: Parameters<typeof server>[1]): Promise<void> {
  await repository.commit(page, server(page, options));
  builds.set(page, buildIn(await repository.mustPush(host, staging)));
}

function buildOf(page: string): string {
  const build = builds.get(page);
  if (build === undefined) throw new Error(`${page} was not deployed`);
  return build;
}

test.before(async () => {
  host = await TestHost.start('pkill');
  repository = await Monorepo.create();
  // Production is in use before it gets into a pipeline.
  await host.must('apps:create', production);
  await host.must('builder:set', production, 'build-dir', 'server');
  await host.must('config:set', '--no-restart', production, 'WHO=production');
  // Before any deploy: afterwards Dokku scales up what the Procfile has, and nothing else.
  await host.must('ps:scale', production, 'worker=1');
  await repository.commit('plain', { ...server('unused'), 'server/public/index.html': 'plain\n' });
  url = host.url((await repository.mustPush(host, production)).output);
  await repository.commit('No page', { 'server/public/index.html': null });

  await host.must('flight-launch:setup', production);
  await host.must('flight-launch:set', production, 'client-image', 'flight-launch-test/node:20');
  // A job asks for this when it puts the image back.
  await host.installFurtherPlugin('pkill-rules', {
    'deployed-app-repository': `#!/bin/sh
journal=$DOKKU_LIB_ROOT/data/flight-launch/pipelines/${production}/jobs/$FLIGHT_LAUNCH_JOB/journal.ndjson
[ -e ${marker} ] && [ -e "$journal" ] || exit 0
if grep -q '"step":"switching-back"' "$journal"; then
  rm ${marker}
  kill -9 "$DOKKU_PID"
fi
`,
  });
  await host.mustAdmin('mkdir -m 777 "$DOKKU_LIB_ROOT"/data/pkill-rules');
  await host.must('config:set', '--no-restart', staging, 'WHO=staging');
  await deploy('slow', { delay: 4 });
  await deploy('crippled', { worker: true });
  await deploy('quick');
});

test.after(async () => {
  repository.remove();
  await host.mustAdmin('rm -rf "$DOKKU_LIB_ROOT"/data/pkill-rules');
  await host.stop();
});

test('production that was deployed by a plain push is promoted to', async () => {
  assert.match((await get(url)).body, 'plain');
  const visitor = await Visitor.start(url, ['plain', 'quick']);
  await host.must('flight-launch:promote');
  assert.match((await get(url)).body, 'quick');
  await visitor.stopped();
});

/**
 * Kills the next job as soon as its journal has an entry, or, with `unstarted`, before it has any; with `once` when its
 * log has that text as well.
 * @returns what the loop saw: the process that it killed
 */
async function killer({ at, once }: Pick<Kill, 'at' | 'once'>): Promise<{ killed: Promise<Result> }> {
  if (at === 'switching-back') {
    await host.mustAdmin(`touch ${marker}`);
    const waited = `end=$(($(date +%s) + 120))
      while [ -e ${marker} ]; do [ "$(date +%s)" -lt "$end" ] || exit 1; sleep 0.2; done; echo killed`;
    return { killed: host.admin(waited) };
  }
  if (at === 'unstarted') {
    const process = `pgrep -f "flight-launch.cjs job ${production} $job\\$" | head -n 1`;
    return killNextJob(host, production, 'true', process);
  }
  const entry = `grep -q '"step":"${at}"' "$job/journal.ndjson"`;
  return killNextJob(
    host,
    production,
    once === undefined ? entry : `${entry} && grep -q '${once}' "$job/log"`,
  );
}

interface Job {
  id: string;
  steps: { step: string; result?: string; exit?: number }[];
  log: string;
}

async function lastJob(): Promise<Job> {
  const id = await host.mustAdmin(`ls ${jobs} | sort | tail -n 1`);
  const journal = await host.mustAdmin(
    `cd ${jobs}/${id}; if [ -e journal.ndjson ]; then cat journal.ndjson; fi`,
  );
  const log = await host.mustAdmin(`cat ${jobs}/${id}/log`);
  const steps = journal
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Job['steps'][number]);
  return { id, steps, log };
}

/** All that the pipeline stores, and production's image, revision, branch and properties. */
function everything(): Promise<string> {
  return host.mustAdmin(`
    cd "$DOKKU_LIB_ROOT"
    find data/flight-launch/pipelines/${production} -type f -not -path '*/locks/*' -exec sha256sum {} + | sort
    find data config -path '*/${production}/*' -type f -exec sha256sum {} + | sort
    docker image inspect --format '{{.Id}}' dokku/${production}:latest
    cat "$DOKKU_ROOT/${production}/refs/heads/master" "$DOKKU_ROOT/${production}"/CONTAINER.*`);
}

interface View {
  apps: { stage: string; state: string; build: string | null }[];
  job: unknown;
}

/** What has to be true once anything has looked at a job that was killed. */
async function settled(id: string, page: string, result: string): Promise<void> {
  const { stdout } = await host.must('flight-launch:status', production, '--format', 'json');
  const view = JSON.parse(stdout) as View;
  const live = view.apps.find(({ stage }) => stage === 'production');
  assert.is(`${live?.state} ${live?.build}`, `build ${buildOf(page)}`);
  assert.is(view.job, null);
  assert.match((await get(url)).body, page);
  const { entries } = JSON.parse(
    (await host.must('flight-launch:history', production, '--format', 'json')).stdout,
  ) as { entries: { job?: string; result: string }[] };
  const ofJob = entries.filter(({ job }) => job === id).map((entry) => entry.result);
  assert.equal(ofJob, result === 'refused' ? [] : [result]);
  const left = await host.mustAdmin(`
    cd "$DOKKU_LIB_ROOT/data"
    ls -A apps/${production} | grep lock
    find . -path '*/${production}/*' | grep -E '\\.[0-9]+(\\.|$)' | grep -v '/CHECKS\\.'
    flock --nonblock flight-launch/pipelines/${production}/locks/lock true || echo 'the pipeline is locked'`);
  assert.is(left, '');
  const image = await host.mustAdmin(
    `docker image inspect --format '{{index .Config.Labels "com.flight-launch.build"}}' dokku/${production}:latest`,
  );
  assert.is(image, buildOf(page));
}

/** The page that production serves: a kill may come before or after what it interrupts counts. */
let served = 'quick';
const another = () => (served === 'quick' ? 'slow' : 'quick');

interface Kill {
  at: string;
  once?: string;
  /** Another one than is served, unless it is named. */
  to?: string;
  /** How it has to end. */
  ends: 'refused' | 'put-back' | 'live' | 'either';
}

async function promoteAndKill({ at, once, to = another(), ends }: Kill): Promise<void> {
  const from = served;
  const visitor = await Visitor.start(url, [from, to]);
  const { killed } = await killer({ at, ...(once === undefined ? {} : { once }) });
  const promoted = await host.dokku('flight-launch:promote', '--build', buildOf(to));
  const loop = await killed;
  assert.match(loop.output, 'killed', promoted.output);
  const { id } = await lastJob();
  // Any command will do, and what it prints for machines is that alone.
  const first = await host.must('flight-launch:status', production, '--format', 'json');
  JSON.parse(first.stdout);
  const { steps, log } = await lastJob();
  const last = steps.at(-1);
  assert.is(last?.step, 'ended', first.output);
  if (ends !== 'either') assert.is(last?.result, ends, log);
  // One that was written already tells the follower how it ended.
  if (at !== 'ended') {
    assert.is(promoted.status, 3, promoted.output);
    assert.match(promoted.output, 'was interrupted');
    assert.match(first.output, `promote ${id} of build ${buildOf(to)} was interrupted; settling it first`);
  }
  const result = last?.result ?? '';
  if (result === 'live') served = to;
  await settled(id, served, result);
  const before = await everything();
  await host.must('flight-launch:status');
  assert.is(await everything(), before);
  await visitor.stopped();
  if (result === 'put-back') assert.match(log, 'the promote failed');
  if (result === 'live') assert.match(log, `Build ${buildOf(to)} is live on ${production}`);
  if (result === 'refused') assert.match(log, 'was interrupted before it changed anything');
}

test('killed before it has started', async () => {
  await promoteAndKill({ at: 'unstarted', ends: 'refused' });
});

test('killed at started', async () => {
  await promoteAndKill({ at: 'started', ends: 'either' });
});

test('killed at noted', async () => {
  await promoteAndKill({ at: 'noted', ends: 'put-back' });
});

test('F44 builds:cancel ends the deploy, and the promoter puts things right', async () => {
  const cancelled = another();
  const before = await host.mustAdmin(`docker image inspect --format '{{.Id}}' dokku/${production}:latest`);
  const visitor = await Visitor.start(url, [served]);
  const promoting = host.dokku('flight-launch:promote', '--build', buildOf(cancelled));
  await host.mustAdmin(`
    end=$(($(date +%s) + 120))
    until grep -q 'Attempting pre-flight checks' "$(ls -td ${jobs}/* | head -n 1)/log"; do
      test "$(date +%s)" -lt "$end" || exit 1
    done`);
  await host.must('builds:cancel', production);
  const promoted = await promoting;
  assert.is(promoted.status, 1, promoted.output);
  await visitor.stopped();
  await settled((await lastJob()).id, served, 'put-back');
  assert.is(
    await host.mustAdmin(`docker image inspect --format '{{.Id}}' dokku/${production}:latest`),
    before,
  );
  const running = await host.mustAdmin(
    `docker ps --quiet --filter label=com.dokku.app-name=${production} --filter label=com.flight-launch.build=${buildOf(cancelled)}`,
  );
  assert.is(running, '');
});

test('killed at releasing', async () => {
  await promoteAndKill({ at: 'releasing', ends: 'either' });
});

test('killed while Dokku checks, the release goes on and counts', async () => {
  await promoteAndKill({ at: 'releasing', once: 'Attempting pre-flight checks', ends: 'live' });
});

test('killed at released', async () => {
  await promoteAndKill({ at: 'released', ends: 'live' });
});

test('killed before it starts the former version again', async () => {
  await promoteAndKill({ at: 'switching-back', to: 'crippled', ends: 'put-back' });
});

test('killed while it puts back', async () => {
  await promoteAndKill({ at: 'putting-back', to: 'crippled', ends: 'put-back' });
});

test('killed at ended', async () => {
  await promoteAndKill({ at: 'ended', ends: 'live' });
});

test('F27 a journal whose last line is torn is settled, wherever it was cut', async () => {
  const { id, steps } = await lastJob();
  assert.is(steps.at(-1)?.step, 'ended');
  const journal = `${jobs}/${id}/journal.ndjson`;
  const length = Number(await host.mustAdmin(`tail -n 1 ${journal} | wc -c`));
  const whole = await host.mustAdmin(`cat ${journal}`);
  for (const cut of [1, 2, Math.floor(length / 2), length - 1, length]) {
    await host.mustAdmin(`truncate --size=-${cut} ${journal}`);
    await host.must('flight-launch:status');
    await settled(id, served, 'live');
    await host.mustAdmin(`cat > ${journal}`, `${whole}\n`);
  }
});

test('somebody else deploys between the kill and the next command: theirs stays', async () => {
  const { killed } = await killer({ at: 'noted' });
  await host.dokku('flight-launch:promote', '--build', buildOf(another()));
  assert.match((await killed).output, 'killed');
  await repository.commit('theirs', server('theirs'));
  builds.set('theirs', buildIn(await repository.mustPush(host, production)));
  await host.must('flight-launch:status');
  const { id, steps } = await lastJob();
  assert.is(steps.at(-1)?.result, 'put-back');
  await settled(id, 'theirs', 'put-back');
  assert.is((await host.must('config:get', production, 'GIT_REV')).stdout.trim(), await repository.head());
});

test.run();
