import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, stat, statfs } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ContainerClientBuilder } from '../../src/adapters/client-builder';
import { DockerEngine } from '../../src/adapters/docker';
import { placeArtifact, readTar, streamOf, TarWriter } from '../../src/adapters/tar';
import { childEnvironment } from '../../src/domain/environment';
import type { ArchiveRules, Entry } from '../../src/domain/archive-rules';
import type { Artifact, ClientBuild, ClientLimits } from '../../src/domain/client-build';
import { neededDisk, neededFiles, type DiskRoom } from '../../src/domain/disk-room';
import { UserError } from '../../src/domain/errors';
import type { Source, TarSource, Terminal, TreeEntry } from '../../src/domain/ports';
import { assert, rejects, suite } from '../support/suite';

const exec = promisify(execFile);
const MiB = 1024 ** 2;
/** Set for the child process whose memory is measured; holds the suite's context. */
const measured = 'CLIENT_BUILDER_MEASURED';
// The child builds in the pipeline of its parent, which removes it.
const pipeline = `client-builder-test-${measured in process.env ? process.ppid : process.pid}`;
const image = 'flight-launch-test/node:20';
const { FLIGHT_LAUNCH_TEST_REPORT: _, ...inherited } = process.env;
const environment = childEnvironment(inherited);
const docker = new DockerEngine('docker', { ...environment, CANARY: 'of the host' });

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
  changes: Partial<Omit<ClientBuild, 'limits'>> & {
    limits?: Partial<ClientLimits>;
    files?: Files;
    source?: Source;
  } = {},
  options: { signal?: AbortSignal; trial?: Partial<Trial>; read?: false; engine?: DockerEngine } = {},
): Promise<Trial> {
  const { files, source, ...parts } = changes;
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
    ...parts,
    limits: { ...limits, ...parts.limits },
  };
  const terminal = new RecordingTerminal();
  const log: string[] = [];
  Object.assign(options.trial ?? {}, { terminal: terminal.lines, log });
  const builder = new ContainerClientBuilder(options.engine ?? docker, terminal, undefined, options.signal);
  const target = join(context.folder, 'artifact.tar');
  const repository = source ?? new MemorySource(files ?? { 'client/package.json': '{}' });
  const artifact = await builder.build(plan, repository, target, (line) => log.push(line));
  return {
    artifact,
    terminal: terminal.lines,
    log,
    entries: options.read === false ? new Map<string, string>() : await entriesOf(target),
  };
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
  return { command, hash: installs.toString(16).padEnd(64, '0'), files };
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
  for (const reference of await docker.imagesOf(`flight-launch/install/${pipeline}`)) {
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

test('a build that fails once by chance succeeds when it is tried again', async (context) => {
  const command =
    'test -e /workspace/.cache/tried || { touch /workspace/.cache/tried; exit 1; }; mkdir dist && echo ok > dist/a';
  const { entries, log } = await build(context, command);
  assert.is(entries.get('a'), 'ok\n');
  assert.ok(log.some((line) => line.endsWith('trying once more')));
});

test('a package from the registry is installed once, and again from the cache', async (context) => {
  const lock = {
    name: 'client',
    lockfileVersion: 3,
    packages: {
      '': { name: 'client', dependencies: { ms: '2.1.3' } },
      'node_modules/ms': {
        version: '2.1.3',
        integrity:
          'sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA==',
      },
    },
  };
  const files = (source: string): Files => ({
    'client/package.json': JSON.stringify({
      name: 'client',
      dependencies: { ms: '2.1.3' },
      scripts: { build: 'node build.js' },
    }),
    'client/package-lock.json': JSON.stringify(lock),
    'client/build.js': source,
  });
  const write = (text: string): string =>
    `require('fs').mkdirSync('dist'); require('fs').writeFileSync('dist/a', '${text} ' + require('ms')('2h'))`;
  const changes = {
    install: fresh('npm ci', ['client/package.json', 'client/package-lock.json']),
    caFile: process.env.NODE_EXTRA_CA_CERTS,
  };

  const first = await build(context, 'npm run build', { ...changes, files: files(write('one')) });
  assert.is(first.entries.get('a'), 'one 7200000');
  assert.ok(first.terminal.includes('Installing dependencies (npm ci)'));

  const second = await build(context, 'npm run build', { ...changes, files: files(write('two')) });
  assert.is(second.entries.get('a'), 'two 7200000');
  assert.not.ok(second.terminal.includes('Installing dependencies (npm ci)'));
  assert.match(
    second.terminal[0] ?? '',
    /^Dependencies unchanged, reusing flight-launch\/install\/.+:[0-9a-f]{32}$/,
  );

  const offline = fresh('npm ci --offline', changes.install.files.slice());
  const third = await build(context, 'npm run build', {
    ...changes,
    install: offline,
    files: files(write('three')),
  });
  assert.is(third.entries.get('a'), 'three 7200000');
});

test('the build is confined: no root, no capability, no engine, no variable of the host', async (context) => {
  const report = [
    'id -u',
    'id -g',
    'stat -c %u:%g /workspace/.cache /workspace/client /workspace',
    'grep -E "^(CapEff|CapPrm|CapBnd|NoNewPrivs)" /proc/self/status | cut -f2',
    'test -e /var/run/docker.sock || echo no socket',
    // That it fails is what is reported.
    'touch /etc/x 2>/dev/null || echo no writing',
    'ls /sys/class/net',
    'echo $HOME $CI',
  ].join('; ');
  const { entries } = await build(context, `mkdir dist; (${report}) > dist/report; printenv > dist/env`);
  assert.equal(entries.get('report')?.trim().split('\n'), [
    '1500',
    '1500',
    '1500:1500',
    '1500:1500',
    '1500:1500',
    '0000000000000000',
    '0000000000000000',
    '0000000000000000',
    '1',
    'no socket',
    'no writing',
    'lo',
    '/workspace/.home true',
  ]);
  assert.not.match(entries.get('env') ?? '', 'CANARY');
});

test('variables of the app arrive whole, in the build phase alone', async (context) => {
  const value = 'a "b" \'c\' $HOME `id`\n\n# d \\ é\n';
  const { entries, log } = await build(context, 'mkdir dist; printf %s "$VITE_TEXT" > dist/text', {
    env: { VITE_TEXT: value, DOCKER_HOST: 'tcp://nowhere.invalid:1' },
    install: fresh('echo "[$VITE_TEXT]"'),
  });
  assert.is(entries.get('text'), value);
  assert.equal(log, ['[]']);
});

test('I52: credentials of the proxy are in no log and no image', async (context) => {
  const install = fresh('echo via $https_proxy');
  const { log, entries } = await build(context, 'mkdir dist; echo "[$https_proxy]" > dist/a', {
    install,
    proxy: 'http://someone:s%C3%A9cret@127.0.0.1:3128',
  });
  assert.equal(log, ['via http://[REDACTED]@127.0.0.1:3128']);
  assert.is(entries.get('a'), '[]\n');
  const reference = `flight-launch/install/${pipeline}:${install.hash.slice(0, 32)}`;
  const inspected = (await listed('image', 'inspect', reference)).join('\n');
  const history = (await listed('image', 'history', '--no-trunc', reference)).join('\n');
  assert.not.match(inspected + history, /cret@/);
});

test('I51: the log is safe for a terminal', async (context) => {
  const { log } = await build(
    context,
    `printf '\\033[31mred\\033[0m\\n10%%\\r100%%\\n\\033]0;title\\007\\377x'; mkdir dist; echo > dist/a`,
  );
  assert.equal(log, ['red', '100%', '\ufffdx']);
});

test('a build without its network says which setting allows it, once', async (context) => {
  const trial: Partial<Trial> = {};
  const command = `node -e "require('dns').lookup('flight-launch.invalid', (error) => { throw error; })"`;
  const error = await rejects(build(context, command, {}, { trial }), UserError);
  assert.match(error.message, 'needs the network');
  assert.match(error.remedy ?? '', '"client": {"network": true}');
  assert.not.ok(trial.log?.some((line) => line.endsWith('trying once more')));
  const { entries } = await build(context, 'mkdir dist; ls /sys/class/net > dist/a', { network: true });
  assert.match(entries.get('a') ?? '', 'eth0');
});

test('a build runs past its time', async (context) => {
  const started = Date.now();
  const error = await rejects(build(context, 'echo begun; sleep 600', { limits: { timeout: 2 } }), UserError);
  assert.match(error.message, 'ran past its limit of 2.0 s');
  assert.match(error.remedy ?? '', 'build-timeout');
  assert.equal(error.details, ['begun']);
  assert.ok(Date.now() - started < 30_000);
});

test('F35: a build runs past its memory', async (context) => {
  const command = 'node -e "const kept = []; for (;;) kept.push(Buffer.alloc(1e7, 1))"';
  const error = await rejects(build(context, command, { limits: { memory: 96 * MiB } }), UserError);
  assert.match(error.message, 'needed more than its 96.0 MB of memory');
  assert.match(error.remedy ?? '', `flight-launch:set ${pipeline} memory`);
});

test('F34: Node itself runs out of memory', async (context) => {
  const command = 'node --max-old-space-size=32 -e "const kept = []; for (;;) kept.push({ a: [1, 2, 3] })"';
  const error = await rejects(build(context, command), UserError);
  assert.match(error.message, 'of memory');
});

test('I50: an endless log', async (context) => {
  const error = await rejects(build(context, 'yes flight', { limits: { log: MiB } }), UserError);
  assert.match(error.message, 'printed more than 1.0 MB');
  assert.match(error.remedy ?? '', 'log-limit');
});

test('I49: too many processes, and a fork bomb', async (context) => {
  const many = 'i=0; while [ $i -lt 100 ]; do sleep 30 & i=$((i+1)); done; wait';
  const error = await rejects(build(context, many, { limits: { processes: 30 } }), UserError);
  assert.match(error.message, 'needed more than its 30 processes and threads');
  const bomb = `bash -c 'bomb() { bomb | bomb & bomb | bomb; }; bomb' 2>/dev/null`;
  await rejects(build(context, bomb, { limits: { processes: 60, timeout: 4 } }), UserError);
});

test('I53: a daemonised child ends with the build', async (context) => {
  const { entries } = await build(context, 'setsid sleep 600 >/dev/null 2>&1 & mkdir dist; echo ok > dist/a');
  assert.is(entries.get('a'), 'ok\n');
});

test('I45: the output is copied when nothing is left that could swap it', async (context) => {
  // Were it still at work then, the copy of what is large would take long enough for it.
  const swap = '(sleep 1; while :; do rm -rf dist; ln -s /etc dist; rm dist; done) >/dev/null 2>&1 &';
  const { entries, artifact } = await build(
    context,
    `mkdir dist; head -c 40000000 /dev/zero >dist/large; echo page >dist/page; ${swap}`,
  );
  assert.equal([...entries.keys()].sort(), ['large', 'page']);
  assert.is(entries.get('page'), 'page\n');
  assert.ok(artifact.bytes > 40_000_000);
});

test('I54: a hostile .npmrc and install script stay in the container', async (context) => {
  const { log } = await build(context, 'mkdir dist; echo ok > dist/a', {
    files: {
      'client/package.json': JSON.stringify({
        name: 'client',
        scripts: { preinstall: 'id -u; touch /etc/owned' },
      }),
      'client/package-lock.json': JSON.stringify({
        name: 'client',
        lockfileVersion: 3,
        packages: { '': { name: 'client' } },
      }),
      'client/.npmrc': 'cache=/workspace/client/../../etc\nscript-shell=/workspace/client/none\n',
    },
    install: fresh('npm ci || echo refused', [
      'client/package.json',
      'client/package-lock.json',
      'client/.npmrc',
    ]),
  });
  assert.is(log.at(-1), 'refused');
});

test('a program that is missing', async (context) => {
  const error = await rejects(build(context, 'no-such-bundler build'), UserError);
  assert.match(error.message, '`no-such-bundler build` ended with 127: command not found');
  assert.match(error.details.join('\n'), 'no-such-bundler');
});

test('I46: no output, an empty one, or one of only folders', async (context) => {
  const missing = await rejects(build(context, 'true', { output: ['dist', 'build'] }), UserError);
  assert.is(missing.message, 'The build left no output: there is no client/dist and no client/build');
  assert.match(missing.remedy ?? '', '"output"');
  const empty = await rejects(build(context, 'mkdir -p dist/assets'), UserError);
  assert.is(empty.message, 'The built client (client/dist) is empty');
  const second = await build(context, 'mkdir build; echo > build/a', { output: ['dist', 'build'] });
  assert.is(second.artifact.output, 'build');
});

test('I48: the output is a file or a symlink', async (context) => {
  const file = await rejects(build(context, 'echo > dist'), UserError);
  assert.is(file.message, 'The built client (client/dist) is a file, it has to be a folder');
  const link = await rejects(build(context, 'ln -s /etc dist'), UserError);
  assert.is(link.message, 'The built client (client/dist) is a symlink, it has to be a folder');
});

test('I43: symlinks that lead outside', async (context) => {
  const absolute = await rejects(build(context, 'mkdir dist; ln -s /etc dist/etc'), UserError);
  assert.match(
    absolute.message,
    'Entry "dist/etc" of the built client (client/dist) is a symlink to "/etc", an absolute path',
  );
  const relative = await rejects(build(context, 'mkdir -p dist/a; ln -s ../../src dist/a/b'), UserError);
  assert.match(relative.message, 'which leads outside');
  const inside = await build(context, 'mkdir -p dist/a; echo x > dist/x; ln -s ../x dist/a/b');
  assert.is(inside.entries.get('a/b'), '-> ../x');
});

test('I44, I21: hard links become files of their own; sockets and pipes are refused', async (context) => {
  const { entries, artifact } = await build(context, 'mkdir dist; echo x > dist/a; ln dist/a dist/b');
  assert.equal(
    [...entries],
    [
      ['a', 'x\n'],
      ['b', '-> a'],
    ],
  );
  assert.is(artifact.files, 2);
  const pipe = await rejects(build(context, 'mkdir dist; mkfifo dist/pipe'), UserError);
  assert.match(pipe.message, 'Entry "dist/pipe" of the built client (client/dist) is a named pipe');
  const linked = await build(context, 'mkdir dist; echo x > src; ln src dist/a');
  assert.equal([...linked.entries], [['a', 'x\n']]);
});

test('I47, I20: an output over its limit', async (context) => {
  const command = 'mkdir dist; for i in 1 2 3; do head -c 1000000 /dev/zero > dist/$i; done';
  const large = await rejects(build(context, command, { limits: { output: 2 * MiB } }), UserError);
  assert.match(large.message, 'The built client (client/dist) is larger than its limit of 2.0 MB');
  assert.match(large.remedy ?? '', 'output-limit');
  const huge = await rejects(build(context, 'mkdir dist; truncate -s 100G dist/huge'), UserError);
  assert.match(huge.message, 'larger than the output limit');
});

/** The real engine, on a disk that has what a deploy needs and little more, less what containers of ours wrote. */
class CrampedEngine extends DockerEngine {
  override async room(): Promise<DiskRoom> {
    const [container] = await containers();
    // `ps --size` would hold up the engine; where nothing runs yet or any more, nothing is counted.
    const counted = container === undefined ? [] : await listed('exec', container, 'sh', '-c', count);
    return { bytes: 2 * neededDisk, files: neededFiles + 500 - Number(counted[0] ?? 0) };
  }
}
const count = 'find /workspace /tmp -type f | wc -l';

test('I47, F31: small files that fill the disk end the build, with one reason and no repeat', async (context) => {
  const engine = new CrampedEngine('docker', environment);
  const trial: Partial<Trial> = {};
  const fill = 'echo begun; mkdir dist; i=0; while :; do echo > dist/$i; i=$((i+1)); done';
  const error = await rejects(build(context, fill, {}, { engine, trial }), UserError);
  assert.match(error.message, 'cannot go on: less than 20000 files are free where Docker keeps its data');
  assert.match(error.remedy ?? '', `flight-launch:prune ${pipeline}`);
  assert.equal(trial.log, ['begun']);
  const { entries } = await build(context, 'mkdir dist; echo ok > dist/a', {}, { engine });
  assert.is(entries.get('a'), 'ok\n');
});

test('F31: a disk that has no room to begin with: no container starts, and the cache makes room', async (context) => {
  const volumes = () => listed('volume', 'ls', '--quiet', '--filter', `name=flight-launch-${pipeline}-cache`);
  class FullEngine extends DockerEngine {
    override room = (): Promise<DiskRoom> => Promise.resolve({ bytes: neededDisk - 1, files: undefined });
  }
  class CachedFullEngine extends DockerEngine {
    override room = async (): Promise<DiskRoom> => ({
      bytes: (await volumes()).length > 0 && (await containers()).length === 0 ? 0 : 2 ** 40,
      files: undefined,
    });
  }
  await build(context, 'mkdir dist; echo ok > dist/a');
  const keep = 'test -e /workspace/.cache/kept || echo empty; mkdir dist; echo ok > dist/a';
  await build(context, `touch /workspace/.cache/kept; ${keep}`);
  const trial: Partial<Trial> = {};
  const engine = new CachedFullEngine('docker', environment);
  await build(context, keep, {}, { engine, trial });
  assert.equal(trial.log, ['empty']);

  const full = build(context, 'echo begun', {}, { engine: new FullEngine('docker', environment), trial });
  assert.match((await rejects(full, UserError)).message, 'less than 256.0 MB are free');
  assert.equal(trial.log, []);
});

test('the room that is looked at is that of the disk where the engine keeps its data, if it is one of this host', async () => {
  const [folder] = await listed('info', '--format', '{{.DockerRootDir}}');
  const { bavail, bsize, ffree } = await statfs(folder ?? '');
  const room = await docker.room();
  // Other builds write meanwhile.
  assert.ok(Math.abs((room?.bytes ?? 0) - bavail * bsize) < 5e9, `${room?.bytes} bytes`);
  assert.ok(Math.abs((room?.files ?? 0) - ffree) < 1e6, `${room?.files} files`);
  const remote = new DockerEngine('docker', { ...environment, DOCKER_HOST: 'tcp://127.0.0.1:1' });
  assert.is(await remote.room(), undefined);
});

test('I23, I24, I25, I29: odd names and modes are taken', async (context) => {
  const script = `
    const fs = require('fs');
    fs.mkdirSync('dist/closed', { recursive: true });
    fs.writeFileSync('dist/closed/in', '1');
    for (const name of ['-rf', 'A', 'a', 'e\\u0301', '\\u00e9', 'stra\\u00dfe', 'strasse', 'x y', '*']) fs.writeFileSync('dist/' + name, name);
    fs.chmodSync('dist/closed', 0);
    fs.chmodSync('dist/a', 0o4000);
  `;
  const { entries } = await build(context, 'node make.js', {
    files: { 'client/package.json': '{}', 'client/make.js': script },
  });
  for (const name of ['-rf', 'A', 'a', 'e\u0301', '\u00e9', 'stra\u00dfe', 'strasse', 'x y', '*']) {
    assert.is(entries.get(name), name);
  }
  const { stdout } = await exec('tar', ['-tvf', join(context.folder, 'artifact.tar')]);
  assert.match(stdout, /drwxr-xr-x .* closed\//);
  assert.match(stdout, /-rw-r--r-- .* a\n/);
});

test('I26, I27, I28, I30: names that no server should have are refused', async (context) => {
  const make = async (name: string): Promise<string> => {
    const script = `require('fs').mkdirSync('dist'); require('fs').writeFileSync(Buffer.concat([Buffer.from('dist/'), Buffer.from('${name}', 'latin1')]), '')`;
    const files = { 'client/package.json': '{}', 'client/make.js': script };
    return (await rejects(build(context, 'node make.js', { files }), UserError)).message;
  };
  assert.match(await make('a\\xff'), 'not UTF-8');
  assert.match(
    await make('a\\nb'),
    '"dist/a\\u000ab" of the built client (client/dist) holds a control character',
  );
  assert.match(await make('a\\x1b[2Jb'), '"dist/a\\u001b[2Jb"');
  const git = await rejects(build(context, 'mkdir -p dist/.Git; echo > dist/.Git/config'), UserError);
  assert.match(git.message, 'a folder of git');
});

test('I36, I39, I40: sources that are not what they seem', async (context) => {
  const linked = { client: { mode: '120000', content: '../elsewhere' } } as const;
  assert.match((await rejects(build(context, 'true', { files: linked }), UserError)).message, 'is a symlink');
  const module = { 'client/lib': { mode: '160000', content: '' } } as const;
  assert.match(
    (await rejects(build(context, 'true', { files: module }), UserError)).message,
    'is a submodule',
  );
  const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n';
  const lfs = { 'client/package.json': '{}', 'client/logo.png': pointer };
  const error = await rejects(build(context, 'true', { files: lfs }), UserError);
  assert.match(error.message, '"client/logo.png" is a Git LFS pointer');
});

test('inputs of the build lie beside the client', async (context) => {
  const files = {
    'client/package.json': '{}',
    'shared/deep/a': 'A',
    'client/link': { mode: '120000', content: '../shared/deep' } as const,
  };
  const { entries } = await build(context, 'mkdir dist; cp link/a dist/a', { files, inputs: ['shared'] });
  assert.is(entries.get('a'), 'A');
});

test('H10: sources that were cut are not built', async (context) => {
  class CutSource extends MemorySource {
    constructor(
      files: Files,
      private readonly failure: Error | undefined,
    ) {
      super(files);
    }
    override async archive(paths: readonly string[]): Promise<TarSource> {
      const whole = await super.archive(paths);
      const done = this.failure === undefined ? Promise.resolve() : Promise.reject(this.failure);
      done.catch(() => undefined);
      return { ...whole, done, expected: whole.expected + 1 };
    }
  }
  const files = { 'client/package.json': '{}' };
  const attempt = (failure?: Error): Promise<Trial> =>
    build(context, 'mkdir dist; echo > dist/a', { source: new CutSource(files, failure) });
  assert.match((await rejects(attempt(), UserError)).message, 'Only 1 of 2 files');
  assert.is((await rejects(attempt(new Error('git failed')))).message, 'git failed');
});

test('a container that a killed build left is swept, one of another build is not', async (context) => {
  const leave = async (key: string, expires: number): Promise<string> => {
    const labels = { pipeline, key, kind: 'build', expires };
    const args = Object.entries(labels).flatMap(([name, value]) => [
      '--label',
      `com.flight-launch.${name}=${value}`,
    ]);
    const [id] = await listed('create', ...args, image, 'sleep', '600');
    return id ?? '';
  };
  const future = Math.floor(Date.now() / 1000) + 3600;
  const sameKey = await leave('a'.repeat(64), future);
  const expired = await leave('c'.repeat(64), future - 7200);
  const other = await leave('c'.repeat(64), future);
  await build(context, 'mkdir dist; echo > dist/a');
  const left = await listed(
    'ps',
    '--all',
    '--quiet',
    '--no-trunc',
    '--filter',
    `label=com.flight-launch.pipeline=${pipeline}`,
  );
  await exec('docker', ['rm', '--force', ...left]);
  assert.equal(left, [other]);
  assert.not.ok(left.includes(sameKey) || left.includes(expired));
});

test('F43: told to end, a build removes its container', async (context) => {
  const controller = new AbortController();
  const trial: Partial<Trial> = {};
  const building = build(context, 'echo begun; sleep 600', {}, { signal: controller.signal, trial });
  while (trial.log?.includes('begun') !== true) await delay(50);
  controller.abort();
  const error = await rejects(building, UserError);
  assert.is(error.message, 'The build of the client was stopped');
});

test('F36: a container that vanishes under a build fails it', async (context) => {
  const trial: Partial<Trial> = {};
  const building = build(context, 'echo begun; sleep 600', {}, { trial });
  for (let vanished = 0; vanished < 2; vanished += 1) {
    while ((trial.log?.filter((line) => line === 'begun').length ?? 0) <= vanished) await delay(50);
    await exec('docker', ['kill', ...(await containers())]);
  }
  const error = await rejects(building, UserError);
  assert.match(error.message, 'exited with 137');
});

test('F37: an engine that goes away while it commits what was installed', async (context) => {
  const socket = join(context.folder, 'docker.sock');
  const cut: string[] = [];
  // The real engine, but for a commit: that is the last that is heard of it.
  // Each side may end its half of a connection before the other, as an attached `docker start` does.
  const between = createServer({ allowHalfOpen: true }, (client) => {
    const engine = connect({ path: '/var/run/docker.sock', allowHalfOpen: true });
    const end = (): void => {
      client.destroy();
      engine.destroy();
    };
    for (const each of [client, engine]) each.on('error', end).on('close', end);
    client.on('data', (chunk: Buffer) => {
      const request = chunk.toString('latin1', 0, 100).split('\r\n')[0] ?? '';
      if (/^POST \S*\/commit\?/.test(request)) {
        cut.push(request);
        end();
      } else engine.write(chunk);
    });
    client.on('end', () => engine.end());
    engine.pipe(client);
  });
  await new Promise<void>((resolve) => between.listen(socket, resolve));
  const engine = new DockerEngine('docker', { ...environment, DOCKER_HOST: `unix://${socket}` });
  const install = fresh('echo installed');
  const trial: Partial<Trial> = {};
  const error = await rejects(
    build(context, 'mkdir dist; echo ok > dist/a', { install }, { engine, trial }),
    UserError,
  );
  between.close();
  assert.is(cut.length, 1);
  assert.is(error.message, 'Docker does not answer');
  assert.equal(trial.log, ['installed']);
  // Nothing of it is taken for a finished installation.
  const { entries, log } = await build(context, 'mkdir dist; echo ok > dist/a', { install });
  assert.is(entries.get('a'), 'ok\n');
  assert.equal(log, ['installed']);
});

test('an image that cannot be had, and a Docker that is down', async (context) => {
  const builder = (engine: DockerEngine): ContainerClientBuilder =>
    new ContainerClientBuilder(engine, new RecordingTerminal());
  assert.is(await builder(docker).resolveImage(image), context.imageId);
  const error = await rejects(builder(docker).resolveImage('127.0.0.1:1/no/such:1'), UserError);
  assert.match(error.message, 'The image 127.0.0.1:1/no/such:1 to build the client with cannot be had');
  assert.match(error.details.join(), '127.0.0.1:1');
  await rejects(builder(docker).resolveImage('--help'), UserError);

  const down = new DockerEngine('docker', { ...environment, DOCKER_HOST: 'unix:///nonexistent/docker.sock' });
  assert.is((await rejects(builder(down).resolveImage(image), UserError)).message, 'Docker does not answer');
  const none = new DockerEngine('/nonexistent/docker', environment);
  assert.match((await rejects(builder(none).resolveImage(image), UserError)).message, 'Docker cannot be run');
});

test('a CA file that is none', async (context) => {
  const install = fresh('true');
  const missing = build(context, 'true', { install, caFile: '/nonexistent/ca.pem' });
  assert.match((await rejects(missing, UserError)).message, 'The CA file /nonexistent/ca.pem cannot be read');
  const wrong = build(context, 'true', { install, caFile: '/etc/passwd' });
  assert.match((await rejects(wrong, UserError)).message, 'holds no certificates');
});

test('a client of 300 MB is built and placed with less than 120 MB of memory', async (context) => {
  // As hooks/launch starts it.
  const { stdout } = await exec(process.execPath, ['--max-semi-space-size=1', process.argv[1] ?? ''], {
    env: { ...environment, [measured]: JSON.stringify(context) },
  });
  const { bytes, peak, placed } = JSON.parse(stdout) as { bytes: number; peak: number; placed: number };
  assert.ok(bytes > 300e6, `${bytes} bytes`);
  assert.is(placed, 100e6);
  assert.ok(peak < 120e6, `peak of ${peak} bytes`);
});

async function measure(context: Context): Promise<void> {
  const command = 'mkdir dist; for i in 1 2 3; do head -c 100000000 /dev/urandom > dist/$i; done';
  const folder = await mkdtemp(join(context.folder, 'measured-'));
  const { artifact } = await build(context, command, { limits: { output: 400 * MiB } }, { read: false });
  await placeArtifact(join(context.folder, 'artifact.tar'), folder, 'public');
  const { size } = await stat(join(folder, 'public/3'));
  const peak = process.resourceUsage().maxRSS * 1024;
  process.stdout.write(JSON.stringify({ bytes: artifact.bytes, peak, placed: size }));
}

const context = process.env[measured];
if (context === undefined) test.run();
else await measure(JSON.parse(context) as Context);
