import { examineHost, examinePipeline, examineUpstream, type AppFacts } from '../../src/domain/diagnosis';
import type { AccessFile } from '../../src/domain/ports';
import { assert, suite } from '../support/suite';

const test = suite('diagnosis');

type Existing = Extract<AppFacts, { exists: true }>;

function app(changes: Partial<Existing> = {}): Existing {
  return {
    app: 'shop',
    exists: true,
    linked: true,
    buildDir: 'server',
    deployBranch: true,
    scheduler: 'docker-local',
    live: { state: 'build', build: 'shop.1', record: undefined },
    image: true,
    ...changes,
  };
}

const found = (...apps: AppFacts[]) =>
  examinePipeline('shop', apps).map(({ subject, problem, remedy }) => `${subject}: ${problem}. ${remedy}`);

test('a pipeline in order, and a host with room, yield nothing', () => {
  assert.equal(found(app({ app: 'shop-staging' }), app()), []);
  assert.equal(found(app({ live: { state: 'not-deployed' }, image: false })), []);
  const room = { bytes: 2 ** 40, files: 2 ** 20 };
  assert.equal(examineHost(2 ** 40, room), []);
  assert.equal(examineHost(2 ** 40, undefined), []);
});

test('a host without room is told', () => {
  const told = (...args: Parameters<typeof examineHost>) =>
    examineHost(...args).map(({ problem }) => problem);
  const short = { bytes: 2 ** 40, files: 100 };
  assert.equal(told(1024, undefined), ['the disk is nearly full']);
  assert.equal(told(2 ** 40, short), ['the disk where Docker keeps its data is nearly full']);
  assert.equal(told(1024, short), ['the disk is nearly full']);
});

test('of an app that is gone nothing else is said', () => {
  const lines = found({ app: 'shop-staging', exists: false }, app());
  assert.equal(lines, ['shop-staging: the app does not exist. Run `dokku flight-launch:setup shop`.']);
});

test('each mistake is told for itself, all at once (H23)', () => {
  const lines = found(app({ linked: false, deployBranch: false, image: false }));
  assert.is(lines.length, 3);
  assert.match(lines[0] ?? '', 'deploy without a client');
  assert.match(lines[1] ?? '', 'whichever branch is pushed first');
  assert.match(lines[2] ?? '', 'the image of its live build shop.1 is not kept');
});

test('apps with different build-dirs are told once', () => {
  const lines = found(app({ app: 'shop-staging' }), app({ buildDir: '' }));
  assert.is(lines.length, 1);
  assert.match(lines[0] ?? '', 'shop: its apps have different build-dirs: server and none.');
});

test('a scheduler whose containers are not seen is told', () => {
  assert.match(found(app({ scheduler: 'nomad' }))[0] ?? '', 'selected docker-local');
});

test('a mixture is told', () => {
  assert.match(found(app({ live: { state: 'mixed', builds: [] } }))[0] ?? '', 'run different builds');
});

test('what keeps a release from its upstream is told, with what mends it', () => {
  const files = (state: AccessFile['state']) =>
    examineUpstream('shop', [
      { name: 'deploy-key', path: '/data/deploy-key', state },
      { name: 'known_hosts', path: '/data/known_hosts', state },
    ]).map(({ subject, problem, remedy }) => `${subject}: ${problem}. ${remedy}`);
  assert.equal(files('fine'), []);
  const setup = 'dokku flight-launch:setup shop';
  assert.equal(files('missing'), [
    `shop: the deploy key for its upstream is missing. Run \`${setup} --upstream URL\`, which makes another one, and add that upstream.`,
    `shop: the list of its upstream's host keys is missing. Run \`${setup} --upstream URL\`.`,
  ]);
  assert.match(
    files('damaged')[0] ?? '',
    'for its upstream is damaged. Run `dokku flight-launch:setup shop --deploy-key',
  );
  assert.match(files('damaged')[1] ?? '', 'upstream --unset');
  assert.equal(
    files('exposed')[0],
    'shop: others can get at /data/deploy-key. Run `chmod 600 /data/deploy-key` on the host.',
  );
});

test.run();
