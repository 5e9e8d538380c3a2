import { artifactRecord, buildName, buildRecord, type BuildRecord } from '../../src/domain/build';
import { captureImage, capturedReference, labelBuild } from '../../src/domain/captured-image';
import { clientKey, installHash, valueDigest, type ClientKeyParts } from '../../src/domain/client-key';
import { liveBuild, type AppContainer } from '../../src/domain/live';
import { planRetention, type Stored } from '../../src/domain/retention';
import { assert, suite } from '../support/suite';

const key = suite('client key');

const parts: ClientKeyParts = {
  folder: { path: 'client', tree: '1'.repeat(40) },
  inputs: [
    { path: 'shared', id: '2'.repeat(40) },
    { path: 'assets', id: '3'.repeat(40) },
  ],
  imageId: `sha256:${'4'.repeat(64)}`,
  installCommand: 'npm ci',
  buildCommand: 'npm run build',
  output: ['dist', 'build'],
  env: { A: '1', B: '2' },
  network: false,
};

key('is a SHA-256 that does not depend on the order of inputs and variables', () => {
  assert.match(clientKey(parts), /^[0-9a-f]{64}$/);
  assert.is(
    clientKey({ ...parts, inputs: [...parts.inputs].reverse(), env: { B: '2', A: '1' } }),
    clientKey(parts),
  );
});

key('is another one after any change of what can change the artifact', () => {
  const changed: Partial<ClientKeyParts>[] = [
    { folder: { path: 'web', tree: parts.folder.tree } },
    { folder: { path: 'client', tree: '0'.repeat(40) } },
    { inputs: parts.inputs.slice(1) },
    { inputs: [...parts.inputs, { path: 'more', id: '5'.repeat(40) }] },
    { inputs: [{ path: 'shared', id: '0'.repeat(40) }, ...parts.inputs.slice(1)] },
    { imageId: `sha256:${'0'.repeat(64)}` },
    { installCommand: 'npm install' },
    { buildCommand: 'npm run other' },
    { output: ['dist'] },
    { output: ['build', 'dist'] },
    { env: { A: '1' } },
    { env: { A: '1', B: '3' } },
    { env: { A: '2', B: '1' } },
    { env: { A: '1', B: '2', C: '' } },
    { network: true },
  ];
  const keys = changed.map((change) => clientKey({ ...parts, ...change }));
  assert.is(new Set([clientKey(parts), ...keys]).size, changed.length + 1);
});

key('cannot be forged by moving text from one part to another', () => {
  assert.is.not(
    clientKey({ ...parts, installCommand: 'a', buildCommand: 'bc' }),
    clientKey({ ...parts, installCommand: 'ab', buildCommand: 'c' }),
  );
  assert.is.not(clientKey({ ...parts, env: { A: '1\0B' } }), clientKey({ ...parts, env: { A: '1', B: '' } }));
});

const install = {
  folder: 'client',
  imageId: parts.imageId,
  installCommand: 'npm ci',
  files: [
    { path: 'client/package.json', id: '1'.repeat(40), mode: '100644' },
    { path: 'client/install.sh', id: '2'.repeat(40), mode: '100644' },
  ],
};

key('the hash of the install image changes with its files, modes, command, image and folder alone', () => {
  assert.is(installHash({ ...install, files: [...install.files].reverse() }), installHash(install));
  const [first, second] = install.files;
  assert.ok(first !== undefined && second !== undefined);
  const hashes = [
    install,
    { ...install, folder: 'web' },
    { ...install, imageId: 'sha256:0' },
    { ...install, installCommand: 'npm install' },
    { ...install, files: [first] },
    { ...install, files: [first, { ...second, mode: '100755' }] },
    { ...install, files: [first, { ...second, id: '0'.repeat(40) }] },
    { ...install, files: [first, { ...second, path: 'client/other.sh' }] },
  ].map(installHash);
  assert.is(new Set(hashes).size, hashes.length);
});

key('the digest of a value is not the value', () => {
  assert.match(valueDigest('secret'), /^[0-9a-f]{64}$/);
  assert.is(valueDigest('secret'), valueDigest('secret'));
  assert.is.not(valueDigest('secret'), valueDigest('other'));
});

key.run();

const names = suite('build names');

names('H26 a build id that Dokku uses again gets a number', () => {
  const taken = new Set<string>();
  const next = (app: string, id: string) => {
    const name = buildName(app, id, (candidate) => taken.has(candidate));
    taken.add(name);
    return name;
  };
  assert.equal(
    [
      next('shop', 'x1'),
      next('shop', 'x1'),
      next('shop-staging', 'x1'),
      next('shop', 'x1'),
      next('shop', 'x2'),
    ],
    ['shop.x1', 'shop.x1-2', 'shop-staging.x1', 'shop.x1-3', 'shop.x2'],
  );
});

names.run();

const record: BuildRecord = {
  format: 1,
  name: 'shop.1',
  app: 'shop',
  commit: 'a'.repeat(40),
  by: { name: 'ada' },
  startedAt: 1,
  client: {
    folder: 'client',
    key: '1'.repeat(64),
    sha256: '2'.repeat(64),
    installHash: '3'.repeat(64),
    env: {},
  },
  server: { folder: 'server', public: 'public' },
  live: {},
};

const records = suite('records');

records('a record of another format version is refused', () => {
  assert.ok(buildRecord.safeParse(record).success);
  assert.not.ok(buildRecord.safeParse({ ...record, format: 2 }).success);
  const artifact = {
    key: '1'.repeat(64),
    sha256: '2'.repeat(64),
    bytes: 1,
    files: 1,
    output: 'dist',
    builtAt: 1,
    durationMs: 1,
  };
  assert.ok(artifactRecord.safeParse({ format: 1, ...artifact }).success);
  assert.not.ok(artifactRecord.safeParse({ format: 2, ...artifact }).success);
});

records('a commit is 40 or 64 hex digits', () => {
  assert.ok(buildRecord.safeParse({ ...record, commit: 'b'.repeat(64) }).success);
  for (const commit of ['', 'master', 'a'.repeat(39), 'A'.repeat(40), `${'a'.repeat(40)}\n`]) {
    assert.not.ok(buildRecord.safeParse({ ...record, commit }).success, commit);
  }
});

records.run();

const live = suite('live');

const container = (process: string, build: string | undefined): AppContainer => ({
  process,
  id: process,
  running: true,
  image: 'sha256:0',
  build,
});

live('an app without containers is not deployed', () => {
  assert.equal(liveBuild([], [record]), { state: 'not-deployed' });
});

live('the label of the containers says what is live, the record only adds to it', () => {
  const containers = [container('web.1', 'shop.1'), container('worker.1', 'shop.1')];
  assert.equal(liveBuild(containers, [record]), { state: 'build', build: 'shop.1', record });
  assert.equal(liveBuild(containers, []), { state: 'build', build: 'shop.1', record: undefined });
});

live('H24 a half-switched deploy is a mixture, whichever process comes first', () => {
  const containers = [container('web.1', 'shop.2'), container('worker.1', 'shop.1')];
  assert.equal(liveBuild(containers, [record]), {
    state: 'mixed',
    builds: [
      { process: 'web.1', build: 'shop.2' },
      { process: 'worker.1', build: 'shop.1' },
    ],
  });
  assert.is(liveBuild([container('web.1', undefined), container('worker.1', 'shop.1')], []).state, 'mixed');
  assert.is(liveBuild([container('web.1', 'shop.1'), container('worker.1', undefined)], []).state, 'mixed');
});

live('what was deployed without us is foreign', () => {
  assert.equal(liveBuild([container('web.1', undefined)], [record]), { state: 'foreign' });
});

live.run();

const retention = suite('retention');

const hash = (digit: string | number) => String(digit).repeat(64).slice(0, 64);

/** Builds of `shop`, the oldest first; each with a client and dependencies of its own. */
function builds(...liveAt: (number | undefined)[]): BuildRecord[] {
  return liveAt.map((at, index) => ({
    ...record,
    name: `shop.${String(index + 1)}`,
    startedAt: index + 1,
    client: { ...record.client, key: hash(index + 1), installHash: hash(index + 1) },
    live: at === undefined ? {} : { production: at },
  }));
}

function stored(all: BuildRecord[], more: Partial<Stored> = {}): Stored {
  return {
    builds: all,
    artifacts: all.map((build) => build.client.key),
    orphanImages: [],
    installImages: all.map((build) => build.client.installHash.slice(0, 12)),
    failedLogs: [],
    ...more,
  };
}

const namesOf = (list: BuildRecord[]) => list.map((build) => build.name).sort();

retention('the last live builds stay with what they were made of, older ones go', () => {
  const plan = planRetention(stored(builds(1, 2, 3, 4)), 2, new Set());
  assert.equal(namesOf(plan.builds), ['shop.1', 'shop.2']);
  assert.equal(plan.artifacts, [hash(1), hash(2)]);
  assert.equal(plan.installImages, [hash(1).slice(0, 12), hash(2).slice(0, 12)]);
});

retention('a build that never went live goes, and does not push out one that did', () => {
  const plan = planRetention(stored(builds(1, undefined, 3, undefined, 5)), 2, new Set());
  assert.equal(namesOf(plan.builds), ['shop.1', 'shop.2', 'shop.4']);
});

retention('what runs or is being deployed stays, however old and whether noted as live or not', () => {
  const plan = planRetention(stored(builds(undefined, 2, 3, 4)), 1, new Set(['shop.1']));
  assert.equal(namesOf(plan.builds), ['shop.2', 'shop.3']);
  assert.not.ok(plan.artifacts.includes(hash(1)));
});

retention('each stage has its own count', () => {
  const all = builds(1, 2, 3);
  const staging = all.map((build) => ({
    ...build,
    name: `staging.${build.name}`,
    app: 'shop-staging',
    startedAt: build.startedAt + 10,
    live: { staging: build.live.production },
  }));
  const plan = planRetention(stored([...all, ...staging]), 1, new Set());
  assert.is(plan.builds.filter((build) => build.app === 'shop').length, 2);
  assert.is(plan.builds.filter((build) => build.app === 'shop-staging').length, 2);
});

retention('an artifact that a kept build shares with a removed one stays', () => {
  const [first, second] = builds(1, 2);
  assert.ok(first !== undefined && second !== undefined);
  const plan = planRetention(stored([first, { ...second, client: first.client }]), 1, new Set());
  assert.equal(namesOf(plan.builds), ['shop.1']);
  assert.equal(plan.artifacts, []);
  assert.equal(plan.installImages, []);
});

retention('the newest build stays even if it never went live', () => {
  assert.equal(namesOf(planRetention(stored(builds(1, undefined)), 1, new Set()).builds), []);
});

retention('artifacts and install images that belong to no build go', () => {
  const plan = planRetention(
    stored(builds(1), {
      artifacts: [hash(1), hash(9)],
      installImages: [hash(1).slice(0, 12), 'f'.repeat(12)],
    }),
    1,
    new Set(),
  );
  assert.equal(plan.artifacts, [hash(9)]);
  assert.equal(plan.installImages, ['f'.repeat(12)]);
});

retention('an image of which nothing else is left goes, unless its deploy is under way', () => {
  const orphanImages = ['shop.lost', 'shop.now'];
  const plan = planRetention(stored(builds(1), { orphanImages }), 1, new Set(['shop.now']));
  assert.equal(plan.orphanImages, ['shop.lost']);
});

retention('of the logs of failed builds the last twenty stay', () => {
  const failedLogs = Array.from({ length: 23 }, (_, index) => `shop.failed${String(index)}`);
  assert.equal(planRetention(stored([], { failedLogs }), 1, new Set()).failedLogs, failedLogs.slice(0, 3));
  assert.equal(
    planRetention(stored([], { failedLogs: failedLogs.slice(0, 20) }), 1, new Set()).failedLogs,
    [],
  );
});

retention.run();

const image = suite('captured image');

const capture = { pipeline: 'shop', build: 'shop.1', builder: 'herokuish', appImage: 'dokku/shop:latest' };

image('H3 the build is a label on the image that Dokku releases', () => {
  assert.equal(labelBuild('dokku/shop:latest', 'shop.1', 'c0ffee'), {
    tag: 'dokku/shop:latest',
    dockerfile:
      'FROM dokku/shop:latest\nLABEL com.flight-launch.build=shop.1 com.flight-launch.commit=c0ffee\n',
    files: [],
  });
});

image('H4 a herokuish image loses the configuration of the app', () => {
  const { dockerfile, files } = captureImage(capture, undefined);
  assert.match(dockerfile, /^RUN rm -rf \/tmp\/env \/app\/\.env$/m);
  assert.equal(files, []);
});

image("H4 where the repository has an .env of its own, it is that one's content that stays", () => {
  const content = Buffer.from('OURS=1\n');
  const { dockerfile, files } = captureImage(capture, content);
  assert.match(dockerfile, /^RUN rm -rf \/tmp\/env$/m);
  assert.match(dockerfile, /^COPY repository\.env \/app\/\.env$/m);
  assert.equal(files, [{ name: 'repository.env', content }]);
});

image('an image of another builder gets labels only, there may be no shell in it', () => {
  const { dockerfile, files } = captureImage({ ...capture, builder: 'dockerfile' }, Buffer.from('X=1'));
  assert.equal(dockerfile.match(/^[A-Z]+/gm), ['FROM', 'LABEL']);
  assert.equal(files, []);
});

image("H6 no app's cleanup owns it", () => {
  for (const builder of ['herokuish', 'dockerfile']) {
    const { tag, dockerfile } = captureImage({ ...capture, builder }, undefined);
    assert.is(tag, 'flight-launch/shop:shop.1');
    assert.is(tag, capturedReference('shop', 'shop.1'));
    assert.match(dockerfile, /^LABEL .*\bcom\.dokku\.app-name=flight-launch\/shop\b/m);
    assert.match(dockerfile, /^LABEL .*\bcom\.dokku\.image-stage=captured\b/m);
  }
});

image.run();
