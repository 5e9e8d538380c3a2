import { inspectClient, type ClientManifests, type ClientProject } from '../../src/domain/client-project';
import { parseConfiguration } from '../../src/domain/configuration';
import { UserError } from '../../src/domain/errors';
import type { TreeEntry } from '../../src/domain/ports';
import { assert, suite } from '../support/suite';
import { thrown } from '../support/thrown';

const test = suite('client project');

const file = (path: string): TreeEntry => ({ mode: '100644', type: 'blob', id: 'a'.repeat(40), path });

interface Project {
  client?: object;
  /** Relative to the folder `client`, where not with a leading `/`. */
  files?: string[];
  packageJson?: unknown;
  nvmrc?: string;
  nodeVersionFile?: string;
}

const buildable = { scripts: { build: 'vite build' } };

function inspect({
  client = {},
  files = ['package-lock.json'],
  packageJson = buildable,
  ...manifests
}: Project): ClientProject {
  const texts: ClientManifests = {
    packageJson: typeof packageJson === 'string' ? packageJson : JSON.stringify(packageJson),
    nvmrc: manifests.nvmrc,
    nodeVersionFile: manifests.nodeVersionFile,
  };
  const paths = ['package.json', ...files];
  return inspectClient(
    parseConfiguration(JSON.stringify({ client })),
    paths.map((path) => file(path.startsWith('/') ? path.slice(1) : `client/${path}`)),
    texts,
  );
}

const refused = (project: Project) => thrown(() => inspect(project), UserError);

test('the lockfile says how dependencies are installed', () => {
  const installs: [files: string[], packageManager: string | undefined, command: string][] = [
    [['package-lock.json'], undefined, 'npm ci'],
    [['npm-shrinkwrap.json'], undefined, 'npm ci'],
    [['yarn.lock'], undefined, 'yarn install --frozen-lockfile'],
    [['yarn.lock'], 'yarn@1.22.22', 'yarn install --frozen-lockfile'],
    [['yarn.lock', '.yarnrc.yml'], undefined, 'yarn install --immutable'],
    [['yarn.lock', '.yarnrc.yml'], 'yarn@4.1.0', 'corepack yarn install --immutable'],
    [['yarn.lock'], 'yarn@4.1.0', 'corepack yarn install --immutable'],
  ];
  for (const [files, packageManager, command] of installs) {
    assert.is(inspect({ files, packageJson: { ...buildable, packageManager } }).installCommand, command);
  }
  assert.match(inspect({ files: ['pnpm-lock.yaml'] }).installCommand, /pnpm.* install --frozen-lockfile$/);
});

test('of several lockfiles the declared package manager decides, otherwise nobody', () => {
  const files = ['yarn.lock', 'pnpm-lock.yaml'];
  assert.match(
    inspect({ files, packageJson: { ...buildable, packageManager: 'pnpm@9.0.0' } }).installCommand,
    /pnpm/,
  );
  const error = refused({ files });
  assert.is(error.message, 'the client folder client has several lockfiles: yarn.lock, pnpm-lock.yaml');
  assert.match(error.remedy ?? '', /^Keep one, or name the package manager/);
});

test('a client without a lockfile is refused, and one in another folder does not count', () => {
  for (const files of [
    [],
    ['packages/a/package-lock.json'],
    ['/package-lock.json'],
    ['/clients/yarn.lock'],
  ]) {
    const error = refused({ files });
    assert.is(error.message, 'the client folder client has no lockfile');
    assert.match(error.remedy ?? '', /package-lock\.json.*"client": \{"install": /);
  }
});

test('an install command of the repository needs no lockfile', () => {
  assert.is(inspect({ files: [], client: { install: 'make deps' } }).installCommand, 'make deps');
});

test('a build command of the repository needs no script', () => {
  assert.is(inspect({ packageJson: {}, client: { build: 'make' } }).buildCommand, 'make');
  assert.is(inspect({}).buildCommand, 'npm run build');
  const error = refused({ packageJson: { scripts: { start: 'vite' } } });
  assert.is(error.message, 'client/package.json has no script "build"');
  assert.match(error.remedy ?? '', /"client": \{"build": /);
});

test('package.json is needed where install and build commands are not both named', () => {
  const bare = (client: object, nvmrc?: string) =>
    inspectClient(parseConfiguration(JSON.stringify({ client })), [file('client/main.elm')], {
      packageJson: undefined,
      nvmrc,
      nodeVersionFile: undefined,
    });
  const commands = { install: 'true', build: 'make' };
  assert.equal(bare(commands), {
    installCommand: 'true',
    buildCommand: 'make',
    nodeVersion: '22',
    installFiles: [],
  });
  assert.is(bare(commands, '20').nodeVersion, '20');
  for (const client of [{}, { install: 'true' }, { build: 'make' }]) {
    const missing = thrown(() => bare(client), UserError);
    assert.is(missing.message, 'there is no client/package.json');
    assert.match(missing.remedy ?? '', /"client": \{"folder": .*"client": \{"install": "…", "build": /);
  }
});

test('what is wrong with package.json is said in one line', () => {
  const broken = refused({ packageJson: '{"a":\n\u001b[2J}' });
  assert.match(broken.message, /^client\/package\.json is not valid JSON: /);
  assert.not.match(broken.message, /[\u0000-\u001f]/);
  for (const odd of ['[]', 'null', '"x"', '{"scripts": null, "engines": "x", "packageManager": 5}']) {
    assert.match(refused({ packageJson: odd }).message, /no script "build"/);
  }
});

test('I78 a byte order mark in package.json is no mistake', () => {
  assert.is(inspect({ packageJson: `\uFEFF${JSON.stringify(buildable)}` }).buildCommand, 'npm run build');
});

test('the Node version comes from .nvmrc, else .node-version, else engines, else the default', () => {
  const engines = { ...buildable, engines: { node: '^20' } };
  assert.is(inspect({ nvmrc: '24', nodeVersionFile: '18', packageJson: engines }).nodeVersion, '24');
  assert.is(inspect({ nodeVersionFile: '18', packageJson: engines }).nodeVersion, '18');
  assert.is(inspect({ packageJson: engines }).nodeVersion, '20');
  assert.is(inspect({}).nodeVersion, '22');
});

test('a version file names a version, an alias or a code name', () => {
  const texts: [text: string, version: string][] = [
    ['v22.11.0\n', '22.11.0'],
    ['20.11', '20.11'],
    ['# ours\n20 # for now\n', '20'],
    ['lts/*', '22'],
    ['node', '22'],
    ['lts/jod', '22'],
    ['Iron', '20'],
  ];
  for (const [text, version] of texts) assert.is(inspect({ nvmrc: text }).nodeVersion, version, text);
});

test('a version that is none is refused, with the file, what it says and what to do', () => {
  for (const text of [
    'system',
    '22.x',
    'lts/argon',
    '',
    '22\n20',
    '9999',
    'constructor',
    '__proto__',
    '\u001b[2J',
  ]) {
    const error = refused({ nvmrc: text });
    assert.match(error.message, /^client\/\.nvmrc names no Node version that is known here: /);
    assert.not.match(error.message, /[\u0000-\u001f]/);
    assert.match(error.remedy ?? '', /"client": \{"image": /);
  }
  assert.match(refused({ nodeVersionFile: 'x' }).message, /^client\/\.node-version names no/);
});

test('engines choose a major whose newest version is in the range', () => {
  const ranges: [range: string, version: string][] = [
    ['>=20', '22'],
    ['*', '22'],
    ['^20.9', '20'],
    ['>=18 <20', '18'],
    ['>=23', '24'],
    ['20 || 24', '24'],
    ['<22', '20'],
    ['22.4.1', '22.4.1'],
    ['>=30', '30.0.0'],
  ];
  for (const [node, version] of ranges) {
    assert.is(inspect({ packageJson: { ...buildable, engines: { node } } }).nodeVersion, version, node);
  }
  const error = refused({ packageJson: { ...buildable, engines: { node: 'newest' } } });
  assert.is(error.message, 'engines.node in client/package.json is not a version range: newest');
});

test('where the repository names an image, the Node version does not matter', () => {
  const client = { image: 'registry.example/own-node:1' };
  assert.is(inspect({ client, nvmrc: 'system' }).buildCommand, 'npm run build');
  assert.is(
    inspect({ client, packageJson: { ...buildable, engines: { node: 'newest' } } }).buildCommand,
    'npm run build',
  );
});

test('the install phase gets manifests, lockfiles and package manager settings, and no sources', () => {
  const wanted = [
    'package-lock.json',
    '.npmrc',
    '.pnpmfile.cjs',
    '.yarn/releases/yarn-4.cjs',
    '.yarnrc.yml',
    'packages/a/package.json',
    'pnpm-workspace.yaml',
  ];
  const unwanted = [
    'src/App.jsx',
    'node_modules/x/package.json',
    'src/package.json.js',
    '.yarn/cache/x.zip',
    'my-package.json',
    '/server/package.json',
    '/clients/package.json',
  ];
  assert.equal(
    inspect({ files: [...wanted, ...unwanted] }).installFiles.map((entry) => entry.path),
    ['package.json', ...wanted].map((path) => `client/${path}`),
  );
});

test('I10 further install inputs are added with all that is below them, and no sibling of a like name', () => {
  assert.equal(
    inspect({
      client: { installInputs: ['patches', '../shared/package.json'] },
      files: [
        'package-lock.json',
        'patches/a.patch',
        'patches-old/b.patch',
        '/shared/package.json',
        '/shared/x.js',
      ],
    }).installFiles.map((entry) => entry.path),
    ['client/package.json', 'client/package-lock.json', 'client/patches/a.patch', 'shared/package.json'],
  );
});

test('I39 a submodule in the client is refused by name', () => {
  const error = thrown(
    () =>
      inspectClient(
        parseConfiguration('{}'),
        [
          file('client/package.json'),
          { mode: '160000', type: 'commit', id: 'b'.repeat(40), path: 'client/lib\n' },
        ],
        { packageJson: JSON.stringify(buildable), nvmrc: undefined, nodeVersionFile: undefined },
      ),
    UserError,
  );
  assert.match(
    error.message,
    /^client\/lib\\u000a is a git submodule, whose files are not part of the push$/,
  );
  assert.match(error.remedy ?? '', /^Commit the files themselves/);
});

test.run();
