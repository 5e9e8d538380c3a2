import { killNextJob } from '../support/killer';
import { ReleaseWorld, type Outcome } from '../support/releases';
import { assert, suite } from '../support/suite';

const test = suite('release that is killed');
const version = '201704.15';
const name = 'relkill';
const releases = `"$DOKKU_LIB_ROOT/data/flight-launch/pipelines/${name}/releases"`;
let world: ReleaseWorld;
/** Refs upstream before any release. */
let start: string;
/** What an undisturbed run leaves. */
let undisturbed: Outcome;

test.before(async () => {
  world = await ReleaseWorld.start(name);
  start = await world.refs();
  const before = (await world.history()).length;
  const { output } = await world.mustRelease(version, '--from', 'develop');
  assert.is((await world.served(output)).server, version);
  undisturbed = await world.outcome(version, before);
});

test.after(() => world.stop());

/** As if the version had never been released: upstream as it was, and no record of it. */
async function forget(): Promise<void> {
  const now = (await world.refs()).split('\n').map((line) => line.split(' ')[1] ?? '');
  for (const ref of now) await world.upstream.git('update-ref', '-d', ref);
  for (const line of start.split('\n')) {
    const [id = '', ref = ''] = line.split(' ');
    await world.upstream.git('update-ref', ref, id);
  }
  await world.host.mustAdmin(`rm -rf ${releases}/${version}`);
}

/** Everything that a release writes, on both sides. */
async function everything(): Promise<string> {
  const ours = await world.host.mustAdmin(`
    cd "$DOKKU_LIB_ROOT/data/flight-launch/pipelines/${name}"
    find releases builds jobs history.ndjson -type f -exec sha256sum {} + | sort
    cat "$DOKKU_ROOT/${name}"/CONTAINER.* "$DOKKU_ROOT/${world.staging}"/CONTAINER.*`);
  return `${await world.refs()}\n${ours}`;
}

/** Resumes, and checks that the end is that of the undisturbed run, and that a second time nothing is written. */
async function resume(since: number): Promise<void> {
  await world.mustRelease(version, '--resume');
  const { refs, history } = await world.outcome(version, since);
  assert.is(refs, undisturbed.refs);
  // A promote that was interrupted may have been put back before.
  assert.equal(
    history.filter((line) => line !== `promote ${name} put-back`),
    undisturbed.history,
  );
  const served = await world.served();
  assert.is(served.server, version);
  const before = await everything();
  assert.match((await world.mustRelease(version, '--resume')).output, 'nothing to do');
  assert.is(await everything(), before);
}

/**
 * @param step entry of the release's journal after which it is killed; undefined for before it has any
 * @param once text that its log has to have as well
 */
async function killAndResume(step: string | undefined, once?: string): Promise<void> {
  await forget();
  const since = (await world.history()).length;
  const seen =
    step === undefined
      ? `grep -q '"step":"started"' "$job/journal.ndjson"`
      : `grep -q '"step":"${step}"' ${releases}/${version}/journal.ndjson`;
  const { killed } = await killNextJob(
    world.host,
    name,
    once === undefined ? seen : `${seen} && grep -q '${once}' "$job/log"`,
  );
  const released = await world.release(version, '--from', 'develop');
  const loop = await killed;
  assert.match(loop.output, 'killed', released.output);
  // One that was through tells its follower so; what it had not written yet is written by the resume.
  if (step !== 'finished') {
    assert.is(released.status, 3, released.output);
    assert.match(released.output, 'was interrupted');
  }
  await resume(since);
}

test('killed before its journal has an entry', () => killAndResume(undefined));

// F1-F8: lock, fetch, choice of version and the branch with the version.
for (const step of ['branching', 'branched']) test(`F1-F10 killed at ${step}`, () => killAndResume(step));

test('F11-F14 killed at deploying, as the push begins', () => killAndResume('deploying'));

test('F11-F14 killed while staging is checked', () =>
  killAndResume('deploying', 'Attempting pre-flight checks'));

test('F15-F16 killed at deployed', () => killAndResume('deployed'));

test('F17-F18 killed at promoting', () => killAndResume('promoting'));

test('F17-F18 killed while production is switched', () =>
  killAndResume('promoting', `Deploying ${name} via`));

test('F19-F24 killed at promoted', () => killAndResume('promoted'));

test('F25-F26 killed at merging, before or after upstream took it', () => killAndResume('merging'));

test('killed at finished', () => killAndResume('finished'));

test('F27 a journal that was cut anywhere is resumed to the same end', async () => {
  const journal = `${releases}/${version}/journal.ndjson`;
  const whole = await world.host.mustAdmin(`cat ${journal}`);
  const last = whole.length - whole.lastIndexOf('\n');
  for (const cut of [1, Math.floor(last / 2), last - 1]) {
    const since = (await world.history()).length;
    await world.host.mustAdmin(`truncate --size=-${cut} ${journal}`);
    await world.mustRelease(version, '--resume');
    assert.is((await world.outcome(version, 0)).refs, undisturbed.refs);
    assert.equal((await world.history()).slice(since), []);
    assert.match((await world.mustRelease(version, '--resume')).output, 'nothing to do');
  }
});

test.run();
