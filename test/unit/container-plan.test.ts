import { execFileSync } from 'node:child_process';
import { explainFailure } from '../../src/domain/build-failure';
import type { ClientBuild } from '../../src/domain/client-build';
import {
  commitContainer,
  copyIn,
  copyOut,
  createContainer,
  createVolume,
  environmentScript,
  inspectState,
  installImage,
  isNothingThere,
  leftContainers,
  listContainers,
  outputRoot,
  parseState,
  phaseEnvironment,
  proxySecrets,
  removeContainers,
  startContainer,
} from '../../src/domain/container-plan';
import { assert, suite } from '../support/suite';

const key = 'a'.repeat(64);
const hash = 'b'.repeat(64);
const plan: ClientBuild = {
  pipeline: 'shop',
  build: 'shop-staging.42',
  key,
  image: { reference: 'node:22-slim', id: 'sha256:1' },
  folder: 'client',
  inputs: ['shared'],
  install: { command: 'npm ci', hash, files: ['client/package.json'] },
  command: 'npm run build',
  output: ['dist', 'build'],
  env: { VITE_API_URL: 'https://api' },
  network: false,
  limits: {
    memory: 2_147_483_648,
    cpus: 1.5,
    processes: 512,
    timeout: 900,
    output: 536_870_912,
    log: 1_048_576,
  },
  caFile: undefined,
  proxy: undefined,
};

const test = suite('container-plan');

test('the container of the build phase', () => {
  assert.equal(createContainer(plan, 'build', 'sha256:2', 1_000_000_000), [
    'create',
    '--pull',
    'never',
    '--interactive',
    '--init',
    '--no-healthcheck',
    '--user',
    '1500:1500',
    '--workdir',
    '/workspace/client',
    '--network',
    'none',
    '--cap-drop',
    'ALL',
    '--security-opt',
    'no-new-privileges',
    '--memory',
    '2147483648',
    '--memory-swap',
    '2147483648',
    '--cpus',
    '1.5',
    '--pids-limit',
    '512',
    '--ulimit',
    'core=0',
    '--ulimit',
    'fsize=1073741824',
    '--log-driver',
    'none',
    '--mount',
    'type=volume,source=flight-launch-shop-cache,target=/workspace/.cache,volume-nocopy',
    '--label',
    'com.flight-launch.pipeline=shop',
    '--label',
    'com.flight-launch.build=shop-staging.42',
    '--label',
    'com.flight-launch.kind=build',
    '--label',
    `com.flight-launch.key=${key}`,
    '--label',
    'com.flight-launch.expires=1002400',
    '--entrypoint',
    'sh',
    'sha256:2',
    '-c',
    'eval "$(cat)"; exec sh -c "$0" </dev/null 2>&1',
    'npm run build',
  ]);
});

test('the container of the install phase differs in network, limit of files, label and command', () => {
  const build = createContainer(plan, 'build', 'sha256:2', 0);
  const install = createContainer(plan, 'install', 'sha256:2', 0);
  assert.equal(
    install.filter((word) => !build.includes(word)),
    ['bridge', 'com.flight-launch.kind=install', 'npm ci'],
  );
  assert.equal(
    build.filter((word) => !install.includes(word)),
    ['fsize=1073741824', 'com.flight-launch.kind=build', 'npm run build'],
  );
  assert.is(install[install.indexOf('--network') + 1], 'bridge');
});

test('the network of the build phase is what the repository asks for', () => {
  const args = createContainer({ ...plan, network: true }, 'build', 'sha256:2', 0);
  assert.is(args[args.indexOf('--network') + 1], 'bridge');
});

test('no container mounts anything of the host or gets a variable on its command line', () => {
  for (const phase of ['install', 'build'] as const) {
    const args = createContainer({ ...plan, proxy: 'http://u:secret@proxy' }, phase, 'sha256:2', 0);
    for (const word of ['--volume', '-v', '--privileged', '--env', '-e', '--env-file', '--device']) {
      assert.not.ok(args.includes(word), word);
    }
    assert.equal(
      args.filter((word) => word.startsWith('type=')),
      ['type=volume,source=flight-launch-shop-cache,target=/workspace/.cache,volume-nocopy'],
    );
    assert.not.match(args.join(' '), /secret|https:\/\/api|docker\.sock/);
  }
});

test('the other command lines', () => {
  const image = `flight-launch/install/shop:${'b'.repeat(32)}`;
  assert.is(installImage(plan), image);
  assert.equal(createVolume(plan), [
    'volume',
    'create',
    '--label',
    'com.flight-launch.pipeline=shop',
    'flight-launch-shop-cache',
  ]);
  assert.equal(copyIn('c1'), ['cp', '-', 'c1:/']);
  assert.equal(startContainer('c1'), ['start', '--attach', '--interactive', 'c1']);
  assert.equal(copyOut(plan, 'c1', 'dist'), ['cp', 'c1:/workspace/client/dist', '-']);
  assert.equal(commitContainer(plan, 'c1'), ['commit', '--pause=false', 'c1', image]);
  assert.equal(removeContainers(['c1', 'c2']), ['rm', '--force', '--volumes', 'c1', 'c2']);
  assert.equal(inspectState('c1'), [
    'container',
    'inspect',
    '--format',
    '{{.State.Running}} {{.State.ExitCode}} {{.State.OOMKilled}}',
    'c1',
  ]);
  assert.equal(listContainers('shop'), [
    'container',
    'ls',
    '--all',
    '--no-trunc',
    '--filter',
    'label=com.flight-launch.pipeline=shop',
    '--filter',
    'label=com.flight-launch.expires',
    '--format',
    '{{.ID}} {{.Label "com.flight-launch.key"}} {{.Label "com.flight-launch.expires"}}',
  ]);
});

test('a client at the root of the repository, and an output in a folder', () => {
  const atRoot = { ...plan, folder: '.' };
  assert.ok(createContainer(atRoot, 'build', 'i', 0).includes('/workspace'));
  assert.equal(copyOut(atRoot, 'c1', 'out/web'), ['cp', 'c1:/workspace/out/web', '-']);
  assert.is(outputRoot(atRoot, 'out/web'), 'web');
  assert.is(outputRoot(plan, 'dist'), 'dist');
});

test('the state of a container', () => {
  assert.equal(parseState('false 137 true\n'), { running: false, exitCode: 137, outOfMemory: true });
  assert.throws(() => parseState('\n'), 'unknown state');
});

test('engines differ in how they say that nothing is there', () => {
  assert.ok(
    isNothingThere(
      'Error response from daemon: Could not find the file /workspace/client/dist in container c1',
    ),
  );
  assert.ok(isNothingThere('Error: No such container:path: c1:/workspace/client/dist'));
  assert.not.ok(isNothingThere('Error response from daemon: No such container: c1'));
});

test('containers that were left: those of the same key, and those whose time is over', () => {
  const output = [`c1 ${key} 5000`, `c2 other 999`, `c3 other 1001`, ''].join('\n');
  assert.equal(leftContainers(output, key, 1_000_000), ['c1', 'c2']);
  assert.equal(leftContainers(output, undefined, 1_000_000), ['c2']);
  assert.equal(leftContainers('', key, 0), []);
});

test('each phase gets its own variables', () => {
  const settings = { ...plan, proxy: 'http://proxy:3128', caFile: '/etc/ca.pem' };
  const install = phaseEnvironment(settings, 'install');
  assert.equal(install, {
    CI: 'true',
    HOME: '/workspace/.home',
    COREPACK_ENABLE_DOWNLOAD_PROMPT: '0',
    NO_UPDATE_NOTIFIER: '1',
    npm_config_cache: '/workspace/.cache/npm',
    YARN_CACHE_FOLDER: '/workspace/.cache/yarn',
    YARN_GLOBAL_FOLDER: '/workspace/.cache/yarn-berry',
    pnpm_config_store_dir: '/workspace/.cache/pnpm',
    http_proxy: 'http://proxy:3128',
    https_proxy: 'http://proxy:3128',
    HTTP_PROXY: 'http://proxy:3128',
    HTTPS_PROXY: 'http://proxy:3128',
    NODE_EXTRA_CA_CERTS: '/workspace/.ca.pem',
  });
  const build = phaseEnvironment(settings, 'build');
  assert.is(build.VITE_API_URL, 'https://api');
  assert.is(build.http_proxy, undefined);
  assert.is(build.NODE_EXTRA_CA_CERTS, undefined);
  assert.is(phaseEnvironment({ ...settings, network: true }, 'build').https_proxy, 'http://proxy:3128');
});

test('values of variables reach a shell whole', () => {
  const env = { ONE: `a'b"c $HOME \`id\` \\ $(id)\n\n# x\n`, TWO: '', THREE: 'é' };
  const script = `${environmentScript(env)}\nprintf '%s|%s|%s' "$ONE" "$TWO" "$THREE"`;
  const output = execFileSync('sh', ['-c', 'eval "$(cat)"'], { input: script, encoding: 'utf8' });
  assert.is(output, `${env.ONE}||é`);
  for (const name of ['A=b', 'A;id', '1A', '', 'A B', 'A\nB']) {
    assert.throws(() => environmentScript({ [name]: 'x' }), 'is no name of an environment variable');
  }
});

test('I52: what is secret of a proxy', () => {
  assert.equal(proxySecrets(undefined), []);
  assert.equal(proxySecrets('http://proxy:3128'), []);
  assert.equal(proxySecrets('http://me:p%40ss@proxy:3128'), [
    'me:p%40ss',
    'me:p@ss',
    Buffer.from('me:p@ss').toString('base64'),
    'p%40ss',
    'p@ss',
  ]);
});

test('a failed phase: why, what to do, and whether a repeat may mend it', () => {
  const exited = { running: false, exitCode: 1, outOfMemory: false };
  const cases: [Parameters<typeof explainFailure>, string, string, boolean][] = [
    [[plan, 'build', 'timeout', []], 'ran past its limit of 15 min', 'set shop build-timeout', false],
    [
      [plan, 'install', 'log', []],
      'Installing the dependencies failed: `npm ci` printed more than 1.0 MB',
      'log-limit',
      false,
    ],
    [
      [plan, 'build', 'disk', []],
      'cannot go on: less than 256.0 MB are free where Docker keeps its data',
      'flight-launch:prune shop',
      false,
    ],
    [[plan, 'install', 'files', []], 'less than 20000 files are free', 'flight-launch:prune shop', false],
    [
      [plan, 'build', { ...exited, outOfMemory: true }, []],
      'more than its 2.0 GB of memory',
      'set shop memory',
      false,
    ],
    [[plan, 'build', exited, ['FATAL ERROR: JavaScript heap out of memory']], 'of memory', 'memory', false],
    [
      [plan, 'build', exited, ['ENOSPC: no space left on device, write']],
      'found the disk full',
      'prune',
      false,
    ],
    [[plan, 'build', exited, ['sh: 1: Cannot fork']], 'its 512 processes', 'set shop processes', false],
    [[plan, 'build', exited, ['Error: spawn sh EAGAIN']], 'its 512 processes', 'processes', false],
    [
      [plan, 'build', exited, ['Error: getaddrinfo EAI_AGAIN x']],
      'needs the network',
      '"network": true',
      false,
    ],
    [
      [plan, 'build', exited, ['fatal: Could not resolve host: x']],
      'needs the network',
      '"network": true',
      false,
    ],
    [
      [plan, 'build', exited, ['EFBIG: file too large, write']],
      'larger than the output limit',
      'output-limit',
      false,
    ],
    [
      [plan, 'build', { ...exited, exitCode: 127 }, []],
      'ended with 127: command not found',
      '"image"',
      false,
    ],
    [
      [plan, 'build', exited, ['ENOSPC: System limit for number of file watchers reached']],
      'exited with 1',
      'cd client',
      true,
    ],
    [[plan, 'install', exited, ['getaddrinfo EAI_AGAIN x']], 'exited with 1', 'npm ci', true],
    [[{ ...plan, network: true }, 'build', exited, ['getaddrinfo EAI_AGAIN x']], 'exited with 1', '', true],
  ];
  for (const [args, problem, remedy, repeatable] of cases) {
    const failure = explainFailure(...args);
    assert.match(failure.message, problem);
    assert.match(failure.remedy ?? '', remedy);
    assert.is(failure.repeatable, repeatable, problem);
  }
  const lines = Array.from({ length: 50 }, (_, index) => String(index));
  assert.equal(explainFailure(plan, 'build', exited, lines).details, lines.slice(30));
});

test.run();
