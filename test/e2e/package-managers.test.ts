import { get, TestHost } from '../support/host';
import { Monorepo, type MonorepoOptions } from '../support/monorepo';
import { assert, suite } from '../support/suite';

const test = suite('package-managers');
let host: TestHost;
const repositories: Monorepo[] = [];

const pipeline = 'pkgmanagers';
const app = 'pkgmanagers-staging';

const installing = /-----> Installing dependencies/;
const reusing = /-----> Dependencies unchanged/;

test.before(async () => {
  host = await TestHost.start('pkgmanagers');
  await host.must('flight-launch:setup', pipeline);
  await host.must('flight-launch:set', pipeline, 'client-image', 'flight-launch-test/node:20');
  await host.must('flight-launch:set', pipeline, 'ca-file', '/etc/ssl/certs/ca-certificates.crt');
});

test.after(async () => {
  for (const repository of repositories) repository.remove();
  await host.stop();
});

async function checkout(options: MonorepoOptions = {}): Promise<Monorepo> {
  const repository = await Monorepo.create(options);
  repositories.push(repository);
  return repository;
}

/** Deploys the checkout, whatever was deployed before; returns what was printed and the page that is served. */
async function deploy(repository: Monorepo): Promise<{ output: string; url: string; page: string }> {
  const { output } = await repository.mustPush(host, app, '+HEAD:master');
  const url = host.url(output);
  return { output, url, page: (await get(url)).body };
}

/** A client with one dependency, which escapes the message. */
const npmClient = {
  'client/package.json': JSON.stringify({
    name: 'npm-client',
    version: '1.0.0',
    private: true,
    scripts: { build: 'node build.js' },
    dependencies: { 'escape-html': '1.0.3' },
  }),
  'client/package-lock.json': JSON.stringify({
    name: 'npm-client',
    version: '1.0.0',
    lockfileVersion: 3,
    requires: true,
    packages: {
      '': { name: 'npm-client', version: '1.0.0', dependencies: { 'escape-html': '1.0.3' } },
      'node_modules/escape-html': {
        version: '1.0.3',
        resolved: 'https://registry.npmjs.org/escape-html/-/escape-html-1.0.3.tgz',
        integrity:
          'sha512-NiSupZ4OeuGwr68lGIeym/ksIZMJodUGOSCZ/FSnTxcrekbvqrgdUxlJOMpijaKZVjAJrWrGs/6Jy8OMuyj9ow==',
      },
    },
  }),
  'client/build.js': `const escapeHtml = require('escape-html');
const { mkdirSync, readFileSync, writeFileSync } = require('node:fs');
mkdirSync('dist', { recursive: true });
writeFileSync('dist/index.html', escapeHtml(readFileSync('src/message.txt', 'utf8')));
`,
};

for (const [manager, command, client, files] of [
  ['npm', /npm ci/, 'plain-client', npmClient],
  ['Yarn 1', /yarn install --frozen-lockfile/, 'yarn-client', {}],
  ['pnpm', /pnpm.* install --frozen-lockfile/, 'pnpm-client', {}],
] as const) {
  test(`${manager}: a dependency comes from the registry, and a changed source installs nothing`, async () => {
    const repository = await checkout({ client });
    await repository.commit('Say hello', { ...files, 'client/src/message.txt': `<${manager}> one\n` });
    const first = await deploy(repository);
    assert.match(first.output, installing);
    assert.match(first.output, command);
    // Only the dependency escapes.
    assert.match(first.page, `&lt;${manager}&gt; one`);

    await repository.commit('Say more', { 'client/src/message.txt': `<${manager}> two\n` });
    const second = await deploy(repository);
    assert.not.match(second.output, installing);
    assert.match(second.output, reusing);
    assert.match(second.page, `&lt;${manager}&gt; two`);
  });
}

test('Vite and React: the page, its script and the greeting are those of the commit and the app', async () => {
  const repository = await checkout({ client: 'client' });
  await host.must('config:set', '--no-restart', app, 'VITE_GREETING=Grüezi');
  await repository.commit('Say hello', {
    'flight-launch.json': '{ "client": { "env": ["VITE_GREETING"] } }\n',
    'client/src/message.js': `export const message = 'built by Vite, one';\n`,
  });
  const first = await deploy(repository);
  assert.match(first.output, installing);
  const script = await scriptOf(first);
  assert.match(script, 'Grüezi');
  assert.match(script, 'built by Vite, one');

  await repository.commit('Say more', {
    'client/src/message.js': `export const message = 'built by Vite, two';\n`,
  });
  const second = await deploy(repository);
  assert.not.match(second.output, installing);
  assert.match(await scriptOf(second), 'built by Vite, two');
});

async function scriptOf({ url, page }: { url: string; page: string }): Promise<string> {
  const path = /<script[^>]* src="([^"]+)"/.exec(page)?.[1];
  if (path === undefined) throw new Error(`no script in:\n${page}`);
  const { status, body } = await get(`${url}${path}`);
  assert.is(status, 200);
  return body;
}

for (const [source, files, version] of [
  ['.nvmrc', { 'client/.nvmrc': 'v20.20.2\n' }, '20.20.2'],
  [
    'engines',
    {
      'client/package.json': JSON.stringify({
        name: 'engines',
        version: '1.0.0',
        private: true,
        engines: { node: '20.x' },
        scripts: { build: 'node build.js' },
      }),
    },
    '20',
  ],
] as const) {
  test(`the Node version of ${source} picks the image`, async () => {
    await host.must('flight-launch:set', pipeline, 'client-image', 'flight-launch-test/node:{version}');
    const repository = await checkout();
    await repository.commit('Tell the version', {
      ...files,
      'client/build.js': `const { mkdirSync, writeFileSync } = require('node:fs');
mkdirSync('dist');
writeFileSync('dist/index.html', 'version ' + process.version + ' for ${source}');
`,
    });
    const { page } = await deploy(repository);
    assert.match(page, new RegExp(`^version v${version.replaceAll('.', '\\.')}(\\.\\d+)* for `));
  });
}

test('a Node version without an image is refused: the image is named, and where to set it', async () => {
  await host.must('flight-launch:set', pipeline, 'client-image', '127.0.0.1:1/node:{version}');
  const repository = await checkout();
  await repository.commit('Ask for an odd version', { 'client/.nvmrc': '21.3\n' });
  const pushed = await repository.push(host, app, '+HEAD:master');
  assert.is.not(pushed.status, 0);
  assert.match(pushed.output, / !     flight-launch: .*127\.0\.0\.1:1\/node:21\.3 .*cannot be had/);
  assert.match(pushed.output, 'client-image');
});

test.run();
