import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { ContainerClientBuilder } from '../../src/adapters/client-builder';
import { DockerEngine } from '../../src/adapters/docker';
import { readTar, streamOf, TarWriter } from '../../src/adapters/tar';
import { childEnvironment } from '../../src/domain/environment';
import type { ArchiveRules, Entry } from '../../src/domain/archive-rules';
import type { Artifact, ClientBuild, ClientLimits } from '../../src/domain/client-build';
import { UserError } from '../../src/domain/errors';
import type { Clock, Source, TarSource, Terminal, TreeEntry } from '../../src/domain/ports';
import { assert, rejects, suite } from '../support/suite';

const exec = promisify(execFile);
const MiB = 1024 ** 2;
const pipeline = `client-builder-test-${process.pid}`;
const image = 'flight-launch-test/node:20';
const environment = childEnvironment(process.env);
const docker = new DockerEngine('docker', environment);

/** A repository in memory: content by path; an entry of another kind than a file where it is not text. */
type Files = Record<string, string | { mode: TreeEntry['mode']; content: string }>;

class MemorySource implements Source {
  readonly commit = '0'.repeat(40);

  constructor(private readonly files: Files) {}

  entry(path: string): Promise<TreeEntry | undefined> {
    return this.entries([path]).then(([entry]) => entry);
  }

  entries(paths: readonly string[]): Promise<TreeEntry[]> {
    const found = this.below(paths).map(([path, file]): TreeEntry => {
      const mode = typeof file === 'string' ? '100644' : file.mode;
      return { mode, type: mode === '160000' ? 'commit' : 'blob', id: '0'.repeat(40), path };
    });
    return Promise.resolve(found);
  }

  read(): Promise<Buffer> {
    return Promise.reject(new Error('the builder reads no single files'));
  }

  archive(paths: readonly string[]): Promise<TarSource> {
    const found = this.below(paths);
    const tar = async function* (): AsyncGenerator<Buffer> {
      const writer = new TarWriter({ uid: 0, gid: 0 });
      for (const [path, file] of found) {
        const content = Buffer.from(typeof file === 'string' ? file : file.content);
        const entry: Entry =
          typeof file !== 'string' && file.mode === '120000'
            ? { kind: 'symlink', path, target: file.content }
            : { kind: 'file', path, size: content.length, executable: false };
        yield* writer.entry(entry, Readable.from([content]));
      }
      yield* writer.end();
    };
    return Promise.resolve({ stream: streamOf(tar()), done: Promise.resolve(), expected: found.length });
  }

  private below(paths: readonly string[]): [string, Files[string]][] {
    return Object.entries(this.files).filter(([path]) =>
      paths.some((folder) => path === folder || path.startsWith(`${folder}/`)),
    );
  }
}

class RecordingTerminal implements Terminal {
  readonly lines: string[] = [];
  header = (text: string): void => void this.lines.push(text);
  step = (text: string): void => void this.lines.push(text);
  detail = (text: string): void => void this.lines.push(text);
  warn = (text: string): void => void this.lines.push(text);
  print = (text: string): void => void this.lines.push(text);

  timed<T>(label: string, work: () => Promise<T>): Promise<T> {
    this.lines.push(label);
    return work();
  }
}

interface Trial {
  artifact: Artifact;
  terminal: string[];
  log: string[];
  /** Entries of the artifact by path; of files their content. */
  entries: Map<string, string>;
}

interface Context {
  folder: string;
  imageId: string;
}

const limits: ClientLimits = {
  memory: 512 * MiB,
  cpus: 2,
  processes: 256,
  timeout: 60,
  output: 50 * MiB,
  log: 5 * MiB,
};

let installs = 0;

/** Builds `dist` in a container from these files; the build is this shell command. */
async function build(
  context: Context,
  command: string,
  changes: Partial<Omit<ClientBuild, 'limits'>> & { limits?: Partial<ClientLimits>; files?: Files } = {},
  options: { clock?: Clock; signal?: AbortSignal; trial?: Partial<Trial> } = {},
): Promise<Trial> {
  const files = changes.files ?? { 'client/package.json': '{}' };
  const plan: ClientBuild = {
    pipeline,
    build: 'shop-staging.1',
    key: 'a'.repeat(64),
    image: { reference: image, id: context.imageId },
    folder: 'client',
    inputs: [],
    install: { command: 'true', hash: 'b'.repeat(64), files: ['client/package.json'] },
    command,
    output: ['dist'],
    env: {},
    network: false,
    caFile: undefined,
    proxy: undefined,
    ...changes,
    limits: { ...limits, ...changes.limits },
  };
  const terminal = new RecordingTerminal();
  const log: string[] = [];
  Object.assign(options.trial ?? {}, { terminal: terminal.lines, log });
  const builder = new ContainerClientBuilder(docker, terminal, options.clock, options.signal);
  const target = join(context.folder, 'artifact.tar');
  const artifact = await builder.build(plan, new MemorySource(files), target, (line) => log.push(line));
  return { artifact, terminal: terminal.lines, log, entries: await entriesOf(target) };
}

async function entriesOf(tar: string): Promise<Map<string, string>> {
  const rules: ArchiveRules = {
    subject: 'a test',
    remedy: '',
    sizeRemedy: '',
    maxEntries: 1e6,
    maxBytes: 1e12,
  };
  const entries = new Map<string, string>();
  for await (const { entry, content } of readTar(createReadStream(tar), rules)) {
    const chunks: Buffer[] = [];
    for await (const chunk of content) chunks.push(chunk);
    entries.set(
      entry.path,
      entry.kind === 'symlink' || entry.kind === 'hardlink'
        ? `-> ${entry.target}`
        : Buffer.concat(chunks).toString(),
    );
  }
  return entries;
}

/** An install image of its own, so that the install phase runs. */
function fresh(command: string, files = ['client/package.json']): ClientBuild['install'] {
  installs += 1;
  return { command, hash: installs.toString(16).padStart(64, '0'), files };
}

async function listed(...args: string[]): Promise<string[]> {
  const { stdout } = await exec('docker', args);
  return stdout.split('\n').filter((line) => line !== '');
}

function containers(): Promise<string[]> {
  return listed('ps', '--all', '--quiet', '--filter', `label=com.flight-launch.pipeline=${pipeline}`);
}

const test = suite<Context>('client-builder', { folder: '', imageId: '' });

test.before(async (context) => {
  context.folder = await mkdtemp(join(tmpdir(), 'client-builder-'));
  const found = await docker.image(image);
  if (found === undefined) throw new Error(`there is no image ${image}: run test/host/images/build`);
  context.imageId = found.id;
});

test.after.each(async (context) => {
  assert.equal(await containers(), [], 'a container was left');
  await rm(join(context.folder, 'artifact.tar'), { force: true });
});

test.after(async (context) => {
  for (const reference of await docker.imagesOf(`flight-launch/${pipeline}-install`)) {
    await docker.removeImage(reference);
  }
  await docker.removeVolume(`flight-launch-${pipeline}-cache`);
  await rm(context.folder, { recursive: true });
});

test('builds a client without dependencies and stores its files with plain modes', async (context) => {
  const { artifact, entries, terminal, log } = await build(
    context,
    'mkdir -p dist/assets && cp src/page.html dist/index.html && echo x > dist/assets/a.js && chmod 4755 dist/assets/a.js && echo built',
    {
      files: { 'client/package.json': '{}', 'client/src/page.html': '<h1>hello</h1>' },
      install: fresh('echo installed'),
    },
  );
  assert.equal(
    [...entries],
    [
      ['assets', ''],
      ['assets/a.js', 'x\n'],
      ['index.html', '<h1>hello</h1>'],
    ],
  );
  assert.is(artifact.files, 2);
  assert.is(artifact.output, 'dist');
  assert.equal(log, ['installed', 'built']);
  assert.match(terminal[0] ?? '', 'Installing dependencies (echo installed)');
  assert.match(terminal[1] ?? '', 'Building the client (');
  const { mode, size } = await stat(join(context.folder, 'artifact.tar'));
  assert.is(mode & 0o777, 0o600);
  assert.is(size, artifact.bytes);
  const { stdout } = await exec('tar', ['-tvf', join(context.folder, 'artifact.tar')]);
  assert.match(stdout, /-rwxr-xr-x 0\/0 .* assets\/a\.js/);
  const sum = await exec('sha256sum', [join(context.folder, 'artifact.tar')]);
  assert.is(sum.stdout.split(' ')[0], artifact.sha256);
});

test('two builds of the same content are the same artifact', async (context) => {
  const first = await build(context, 'mkdir dist && echo 1 > dist/a && sleep 1 && echo 2 > dist/b');
  const second = await build(context, 'mkdir dist && echo 1 > dist/a && sleep 1 && echo 2 > dist/b');
  assert.is(first.artifact.sha256, second.artifact.sha256);
});

test('a failing build shows its last lines and is tried twice', async (context) => {
  const trial: Partial<Trial> = {};
  const error = await rejects(
    build(context, 'seq 100; echo no such module >&2; exit 7', {}, { trial }),
    UserError,
  );
  assert.match(
    error.message,
    'Building the client failed: `seq 100; echo no such module >&2; exit 7` exited with 7',
  );
  assert.is(error.details.length, 20);
  assert.ok(error.details.includes('no such module'));
  assert.is(trial.log?.filter((line) => line === 'no such module').length, 2);
  assert.ok(trial.log?.some((line) => line.endsWith('exited with 7; trying once more')));
});

test.run();
