/** Holds the miniature host to the recordings of a real Dokku in `test/host/transcripts`. */
import { compareAfter, compareCalls, covers, describe, readDeviations } from '../replay/compare';
import { withoutOwnNumbers } from '../replay/normalise';
import { readRecordings } from '../replay/recordings';
import { prepare, scenarios } from '../replay/scenarios';
import { World } from '../replay/world';
import { assert, suite } from '../support/suite';

const recordings = readRecordings();
const deviations = readDeviations();
const occurred = new Set<(typeof deviations)[number]>();
const test = suite('transcripts');
let world: World | undefined;

test.before(async () => {
  world = await World.start();
  await prepare(world);
});

test.after(async () => {
  await world?.stop();
});

test('every recording has a scenario', () => {
  assert.equal(scenarios.map(({ name }) => name).sort(), [...recordings.keys()].sort());
});

for (const scenario of scenarios) {
  test(scenario.name, async () => {
    const recording = recordings.get(scenario.name);
    if (world === undefined || recording === undefined) throw new Error('nothing to compare with');
    await scenario.given?.(world);
    if (scenario.untidy !== true) await world.tidy(recording.app);
    const before = await world.standing(recording.app);
    world.fail(recording.failing);
    world.forgetCalls();
    const { code, output } = await scenario.act(world);
    const calls = world.calls();
    world.fail([]);
    const litter = `scheduler-docker-local/${recording.app}/CHECKS.{PID}.missing`;
    const after = await world.after(recording.app, before, code, recording.after);
    after.leftovers = [...after.leftovers, ...new Array<string>(scenario.litter ?? 0).fill(litter)].sort();
    await scenario.finally?.(world);

    const differences = [
      ...compareCalls(scenario.name, recording.calls.map(withoutOwnNumbers), calls.map(withoutOwnNumbers)),
      ...compareAfter(scenario.name, recording.after, after),
    ];
    const unexpected = differences.filter((difference) => {
      const covering = deviations.filter((deviation) => covers(deviation, difference));
      for (const deviation of covering) occurred.add(deviation);
      return covering.length === 0;
    });
    assert.equal(unexpected.map(describe), [], output);
  });
}

test('each deviation of test/host/deviations.json still occurs', () => {
  const gone = deviations.filter((deviation) => !occurred.has(deviation));
  assert.equal(
    gone.map(({ reason }) => reason),
    [],
  );
});

test.run();
