import { createHash } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { isMissing, readIfThere, writeDurably } from '../../src/adapters/files';
import { FileStore } from '../../src/adapters/store';
import type { ArtifactRecord, BuildRecord, DeployNote, HistoryEntry } from '../../src/domain/build';
import { UserError } from '../../src/domain/errors';
import type { Pipeline } from '../../src/domain/pipeline';
import { assert, rejects, suite } from '../support/suite';
import { inScratch } from '../support/scratch';

const scratch = mkdtempSync(join(tmpdir(), 'flight-launch-store-'));
let count = 0;

/** Refuses to be told anything. */
const silent = {
  warn: (text: string): void => {
    throw new Error(`warned: ${text}`);
  },
};

function freshStore(terminal = silent): { root: string; store: FileStore } {
  count += 1;
  const root = join(scratch, String(count));
  mkdirSync(root);
  // As the trigger `install` leaves it.
  for (const folder of ['apps', 'pipelines', 'deploys']) mkdirSync(join(root, folder));
  return { root, store: new FileStore(root, terminal) };
}

const shop: Pipeline = {
  name: 'shop',
  staging: 'shop-staging',
  production: 'shop',
  settings: { memory: '1g', keep: '3' },
};

async function shopStore(terminal = silent) {
  const fresh = freshStore(terminal);
  await fresh.store.savePipeline(shop);
  return fresh;
}

const key = 'ab'.repeat(32);

const build = (name: string): BuildRecord => ({
  format: 1,
  name,
  app: 'shop',
  commit: 'c'.repeat(40),
  by: { name: 'ada', fingerprint: 'SHA256:x' },
  startedAt: 1,
  client: { folder: 'client', key, sha256: key, installHash: key, env: { A: key } },
  server: { folder: 'server', public: 'public' },
  live: {},
});

const note = (app: string): DeployNote => ({
  format: 1,
  app,
  build: `${app}.1`,
  buildId: '1',
  workTree: '/tmp/x',
  commit: 'c'.repeat(40),
  process: { pid: 1, startedAt: 'x' },
  startedAt: 1,
  placed: false,
  env: { SECRET: 'x' },
});

const history = (name: string): HistoryEntry => ({
  format: 1,
  at: 1,
  kind: 'deploy',
  app: 'shop',
  build: name,
  commit: 'c'.repeat(40),
  by: { name: 'ada' },
  result: 'live',
  durationMs: 1,
});

const noLines = () => Promise.resolve();

const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);

const test = suite('store');

test.after(() => {
  rmSync(scratch, { recursive: true });
});

test('what was saved is read again, also by another process', async () => {
  const { root, store } = await shopStore();
  await store.link('shop', 'shop');
  await store.saveBuild('shop', build('shop.1'));
  await store.saveNote(note('shop'));
  const other = new FileStore(root, silent);
  assert.equal(await other.pipelines(), ['shop']);
  assert.equal(await other.pipeline('shop'), shop);
  assert.is(await other.pipelineOf('shop'), 'shop');
  assert.equal(await other.build('shop', 'shop.1'), build('shop.1'));
  assert.equal(await other.builds('shop'), [build('shop.1')]);
  assert.equal(await other.note('shop'), note('shop'));
  assert.equal(await other.notes(), [note('shop')]);
});

test('what is not there is undefined or empty', async () => {
  const { store } = freshStore();
  assert.equal(await store.pipelines(), []);
  assert.is(await store.pipelineOf('shop'), undefined);
  assert.is(await store.build('shop', 'x'), undefined);
  assert.equal(await store.builds('shop'), []);
  assert.equal(await store.buildNames('shop'), []);
  assert.is(await store.note('shop'), undefined);
  assert.equal(await store.notes(), []);
  assert.is(await store.artifact('shop', key), undefined);
  assert.equal(await store.artifacts('shop'), []);
  assert.is(await store.diskUse('shop'), 0);
  assert.is((await rejects(store.pipeline('shop'), UserError)).message, 'there is no pipeline shop');
});

test('a pipeline whose settings were not written yet is told as absent', async () => {
  const { root, store } = freshStore();
  mkdirSync(join(root, 'pipelines/half'));
  assert.is((await rejects(store.pipeline('half'), UserError)).message, 'there is no pipeline half');
});

test('secrets are for the owner alone; the shims of all see which apps are ours', async () => {
  const { root, store } = await shopStore();
  await store.link('shop', 'shop');
  await store.saveNote(note('shop'));
  await store.saveBuild('shop', build('shop.1'));
  await store.appendHistory('shop', history('shop.1'));
  await store.withLog('shop', 'shop.1', noLines);
  assert.is(mode(join(root, 'apps/shop')), '644');
  for (const path of [
    'deploys/shop.json',
    ...['settings.json', 'builds/shop.1.json', 'builds/shop.1.log', 'history.ndjson'].map(
      (name) => `pipelines/shop/${name}`,
    ),
  ]) {
    assert.is(mode(join(root, path)), '600', path);
  }
});

test('an app that was linked anew is in the new pipeline, one that was unlinked in none', async () => {
  const { store } = await shopStore();
  await store.link('shop', 'old');
  await store.link('shop', 'shop');
  await store.saveNote(note('shop'));
  assert.is(await store.pipelineOf('shop'), 'shop');
  await store.unlink('shop');
  assert.is(await store.pipelineOf('shop'), undefined);
  assert.is(await store.note('shop'), undefined);
  await store.unlink('shop');
});

const damaged: [what: string, content: string][] = [
  ['F27 torn', '{"format": 1, "na'],
  ['F29 empty', ''],
  ['of another format version', '{"format": 2}'],
  ['of another shape', '[]'],
];

for (const [what, content] of damaged) {
  test(`a file that is ${what} is refused, with its path and what to do`, async () => {
    const { root, store } = await shopStore();
    mkdirSync(join(root, 'pipelines/shop/artifacts'), { recursive: true });
    const files: [string, () => Promise<unknown>][] = [
      ['pipelines/shop/settings.json', () => store.pipeline('shop')],
      ['pipelines/shop/builds/shop.1.json', () => store.build('shop', 'shop.1')],
      [`pipelines/shop/artifacts/${key}.json`, () => store.artifact('shop', key)],
      ['deploys/shop.json', () => store.note('shop')],
    ];
    for (const [file, read] of files) {
      const path = join(root, file);
      writeFileSync(path, content);
      const error = await rejects(read(), UserError);
      assert.is(error.message, `${path} is damaged, or was written by another version of flight-launch`);
      assert.match(error.remedy ?? '', /^Update the plugin, or move that file away/);
    }
  });
}

for (const [what, content] of damaged) {
  test(`a build record that is ${what} is told once, left out, and kept`, async () => {
    const warnings: string[] = [];
    const { root, store } = await shopStore({ warn: (text) => void warnings.push(text) });
    await store.saveBuild('shop', build('shop.1'));
    await store.saveBuild('shop', build('shop.3'));
    await store.withLog('shop', 'shop.2', noLines);
    await store.withLog('shop', 'shop.4', noLines);
    const path = join(root, 'pipelines/shop/builds/shop.2.json');
    writeFileSync(path, content);
    for (let time = 0; time < 2; time += 1) {
      assert.equal((await store.builds('shop')).map(({ name }) => name).sort(), ['shop.1', 'shop.3']);
      assert.is(await store.readableBuild('shop', 'shop.2'), undefined);
    }
    assert.equal(await store.readableBuild('shop', 'shop.1'), build('shop.1'));
    assert.equal(warnings, [
      `${path} is damaged, or was written by another version of flight-launch; it is kept, and left out here`,
    ]);
    // So retention does not take it for the rest of a failed build.
    assert.equal(await store.unrecordedBuilds('shop'), ['shop.4']);
    assert.is(readFileSync(path, 'utf8'), content);
  });
}

test('an unknown setting in the file is refused and not dropped with the next change', async () => {
  const { root, store } = await shopStore();
  const path = join(root, 'pipelines/shop/settings.json');
  writeFileSync(path, readFileSync(path, 'utf8').replace('"memory"', '"momory"'));
  await rejects(store.pipeline('shop'), UserError);
});

test('names of builds are those of records, logs and server trees', async () => {
  const { root, store } = await shopStore();
  await store.saveBuild('shop', build('shop.2'));
  await store.withLog('shop', 'shop.1', noLines);
  writeFileSync(store.serverTreePath('shop', 'shop.2'), '');
  writeFileSync(store.serverTreePath('shop', 'shop.3'), '');
  writeFileSync(join(root, 'pipelines/shop/builds/shop.4.json.0.partial'), '');
  assert.equal(await store.buildNames('shop'), ['shop.1', 'shop.2', 'shop.3']);
  assert.equal(
    (await store.builds('shop')).map(({ name }) => name),
    ['shop.2'],
  );
});

test('of a removed build nothing stays, and the others do', async () => {
  const { root, store } = await shopStore();
  for (const name of ['shop.1', 'shop.1-2']) {
    await store.saveBuild('shop', build(name));
    await store.withLog('shop', name, noLines);
    writeFileSync(store.serverTreePath('shop', name), '');
  }
  await store.removeBuild('shop', 'shop.1');
  assert.equal(readdirSync(join(root, 'pipelines/shop/builds')).sort(), [
    'shop.1-2.json',
    'shop.1-2.log',
    'shop.1-2.server.tar',
  ]);
  await store.removeBuild('shop', 'shop.1');
});

test('the log of a build holds all lines once the build has ended, also one that failed', async () => {
  const { root, store } = await shopStore();
  const writing = (line: (text: string) => void) => {
    for (let count = 0; count < 5000; count += 1) line(`line ${String(count)}`);
  };
  await store.withLog('shop', 'shop.1', async (line) => {
    await setTimeout(1);
    writing(line);
  });
  const failing = store.withLog('shop', 'shop.2', async (line) => {
    await setTimeout(1);
    writing(line);
    throw new UserError('the build failed');
  });
  assert.is((await rejects(failing, UserError)).message, 'the build failed');
  for (const name of ['shop.1', 'shop.2']) {
    const lines = readFileSync(join(root, `pipelines/shop/builds/${name}.log`), 'utf8').split('\n');
    assert.is(lines.length, 5001);
    assert.is(lines[4999], 'line 4999');
  }
});

test("F32 a log that finds the disk full fails the build at its end, and never in place of the build's own error", async () => {
  const warnings: string[] = [];
  const { root, store } = await shopStore({ warn: (text) => void warnings.push(text) });
  symlinkSync('/dev/full', join(root, 'pipelines/shop/builds/shop.1.log'));
  let ended = 0;
  const work = async (line: (text: string) => void) => {
    line('first');
    await setTimeout(50);
    line('second');
    ended += 1;
  };
  await rejects(store.withLog('shop', 'shop.1', work), /ENOSPC/);
  assert.equal(warnings, []);
  const failing = store.withLog('shop', 'shop.1', async (line) => {
    await work(line);
    throw new UserError('the build failed');
  });
  assert.is((await rejects(failing, UserError)).message, 'the build failed');
  assert.is(ended, 2);
  assert.is(warnings.length, 1);
  assert.match(warnings[0] ?? '', /^The log of build shop\.1 is not complete: .*ENOSPC/);
});

async function artifactIn(store: FileStore, content: string): Promise<ArtifactRecord> {
  const record: ArtifactRecord = {
    format: 1,
    key,
    sha256: createHash('sha256').update(content).digest('hex'),
    bytes: content.length,
    files: 1,
    output: 'dist',
    builtAt: 1,
    durationMs: 1,
  };
  const aside = store.partialArtifactPath('shop', 'shop.1');
  writeFileSync(aside, content);
  await store.saveArtifact('shop', record, aside);
  assert.not.ok(existsSync(aside));
  return record;
}

test('an artifact is whole only as long as its bytes are those that were built', async () => {
  const { store } = await shopStore();
  const record = await artifactIn(store, 'tar');
  assert.equal(await store.artifact('shop', key), record);
  assert.equal(await store.artifacts('shop'), [key]);
  assert.is(await store.artifactIntact('shop', record), true);
  appendFileSync(store.artifactPath('shop', key), '\0');
  assert.is(await store.artifactIntact('shop', record), false);
  rmSync(store.artifactPath('shop', key));
  assert.is(await store.artifactIntact('shop', record), false);
});

test('of a removed artifact nothing stays', async () => {
  const { root, store } = await shopStore();
  await artifactIn(store, 'tar');
  await store.removeArtifact('shop', key);
  assert.equal(readdirSync(join(root, 'pipelines/shop/artifacts')), []);
  assert.is(await store.artifact('shop', key), undefined);
  await store.removeArtifact('shop', key);
});

test('an artifact that is being built, or was left by a crash, is none', async () => {
  const { store } = await shopStore();
  writeFileSync(store.partialArtifactPath('shop', 'shop.1'), 'half');
  assert.equal(await store.artifacts('shop'), []);
});

test('F27 the line after a torn one can be read', async () => {
  const { root, store } = await shopStore();
  const path = join(root, 'pipelines/shop/history.ndjson');
  await store.appendHistory('shop', history('shop.1'));
  appendFileSync(path, '{"format":1,"at":2,"ki');
  await store.appendHistory('shop', history('shop.2'));
  await store.appendHistory('shop', history('shop.3'));
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  assert.is(lines.length, 4);
  assert.equal(
    [lines[0], lines[2], lines[3]].map((line) => (JSON.parse(line ?? '') as HistoryEntry).build),
    ['shop.1', 'shop.2', 'shop.3'],
  );
});

test('the history of a removed pipeline is kept, also of one that was made and removed again', async () => {
  const { root, store } = await shopStore();
  await store.appendHistory('shop', history('shop.1'));
  const kept = await store.removePipeline('shop');
  assert.ok(kept !== undefined);
  assert.equal(await store.pipelines(), []);
  assert.not.ok(existsSync(join(root, 'pipelines/shop')));
  await store.savePipeline(shop);
  await store.appendHistory('shop', history('shop.2'));
  assert.is(await store.removePipeline('shop'), kept);
  assert.is(readFileSync(kept, 'utf8').trimEnd().split('\n').length, 2);
  await store.savePipeline(shop);
  assert.is(await store.removePipeline('shop'), undefined);
});

test('H16 each pipeline has its own files, and the app of the plugin is no exception', async () => {
  const { root, store } = await shopStore();
  await store.savePipeline({
    ...shop,
    name: 'flight-launch',
    staging: 'flight-launch-staging',
    production: 'flight-launch',
  });
  await store.link('flight-launch', 'flight-launch');
  await store.removePipeline('flight-launch');
  await store.unlink('flight-launch');
  assert.equal(await store.pipelines(), ['shop']);
  assert.equal(await store.pipeline('shop'), shop);
  assert.not.ok(existsSync(join(dirname(root), 'config')));
});

test('disk use counts artifacts and builds', async () => {
  const { store } = await shopStore();
  await artifactIn(store, 'x'.repeat(1000));
  const before = await store.diskUse('shop');
  writeFileSync(store.serverTreePath('shop', 'shop.1'), 'x'.repeat(500));
  assert.is((await store.diskUse('shop')) - before, 500);
  assert.ok(before >= 1000);
});

test.run();

const files = suite('files');

files('F29, F32 a write replaces the whole file and leaves nothing beside it', async () => {
  await inScratch(async (folder) => {
    const path = join(folder, 'file');
    writeFileSync(path, 'old, and longer');
    await writeDurably(path, 'new');
    assert.is(readFileSync(path, 'utf8'), 'new');
    assert.is(mode(path), '600');
    assert.equal(readdirSync(folder), ['file']);
  });
});

files('F32 a write that fails leaves the old file and nothing beside it', async () => {
  await inScratch(async (folder) => {
    const path = join(folder, 'folder');
    mkdirSync(path);
    // A folder cannot be replaced by a file, so the rename fails when all is written.
    await rejects(writeDurably(path, 'new'));
    assert.equal(readdirSync(folder), ['folder']);
    assert.ok(statSync(path).isDirectory());
  });
});

files('many writers leave one of their contents, whole', async () => {
  await inScratch(async (folder) => {
    const path = join(folder, 'file');
    const contents = ['a', 'b', 'c', 'd'].map((letter) => letter.repeat(100_000));
    await Promise.all(contents.map((content) => writeDurably(path, content)));
    assert.ok(contents.includes(readFileSync(path, 'utf8')));
    assert.equal(readdirSync(folder), ['file']);
  });
});

files('a file that is not there is undefined, one that cannot be read an error', async () => {
  await inScratch(async (folder) => {
    writeFileSync(join(folder, 'file'), 'x');
    assert.is((await readIfThere(join(folder, 'file')))?.toString(), 'x');
    assert.is(await readIfThere(join(folder, 'none')), undefined);
    assert.is(await readIfThere(join(folder, 'file/below')), undefined);
    const error = await rejects(readIfThere(folder));
    assert.is(isMissing(error), false);
  });
});

files.run();
