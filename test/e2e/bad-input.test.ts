import { symlinkSync, writeFileSync } from 'node:fs';
import { Monorepo } from '../support/monorepo';
import { get, TestHost } from '../support/host';
import { webContainer } from '../support/images';
import { rejected, type Deployed } from '../support/rejected';
import { assert, suite } from '../support/suite';

const test = suite('bad input');
let deployed: Deployed;
let repository: Monorepo;
let host: TestHost;
let good: string;

const pipeline = 'badinput';
const app = 'badinput-staging';

test.before(async () => {
  host = await TestHost.start('badinput');
  repository = await Monorepo.create();
  await host.must('flight-launch:setup', pipeline);
  await host.must('flight-launch:set', pipeline, 'client-image', 'flight-launch-test/node:20');
  await repository.commit('A good version', { 'client/src/message.txt': 'the good version\n' });
  const pushed = await repository.mustPush(host, app);
  deployed = { host, repository, app, pipeline, url: host.url(pushed.output), page: 'the good version' };
  good = await repository.head();
});

test.after.each(async () => {
  await repository.git('reset', '--quiet', '--hard', good);
  await repository.git('clean', '--quiet', '-ffdx');
});

test.after(async () => {
  repository.remove();
  await host.stop();
});

const configuration = (content: object | string) => ({
  'flight-launch.json': typeof content === 'string' ? content : JSON.stringify(content),
});
/** A client whose build runs this script. */
const building = (script: string) => ({ 'client/build.js': `const fs = require('node:fs');\n${script}\n` });

const cases: readonly (readonly [
  name: string,
  files: Readonly<Record<string, string | null>>,
  problem: string | RegExp,
  also?: readonly (string | RegExp)[],
])[] = [
  ['no client folder', { client: null }, 'the pushed commit has no client folder client', ['"folder"']],
  [
    'a client folder that is a file',
    { client: null, ...configuration({ client: { folder: 'server/VERSION' } }) },
    'is a file',
  ],
  [
    'no lockfile',
    { 'client/package-lock.json': null },
    'the client folder client has no lockfile',
    ['package-lock.json'],
  ],
  ['several lockfiles', { 'client/yarn.lock': '' }, 'has several lockfiles: package-lock.json, yarn.lock'],
  ['no package.json', { 'client/package.json': null }, 'there is no client/package.json'],
  [
    'a package.json that is not JSON',
    { 'client/package.json': '{ "name": ' },
    'client/package.json is not valid JSON',
  ],
  [
    'no build script',
    { 'client/package.json': '{ "name": "x" }' },
    'client/package.json has no script "build"',
  ],
  [
    'a Node version that is none',
    { 'client/.nvmrc': 'latest-and-greatest\n' },
    'client/.nvmrc names no Node version',
  ],
  [
    'flight-launch.json that is not JSON',
    configuration('{ client: }'),
    'flight-launch.json has a mistake',
    ['not valid JSON'],
  ],
  [
    'several mistakes in flight-launch.json, all listed with path, what was found and what is allowed',
    configuration({ client: { folder: 7, colour: 'red', env: 'A' }, server: { public: '../up' }, extra: 1 }),
    'flight-launch.json has 5 mistakes',
    [
      /client\.folder: found 7 \(number\); allowed: a subfolder/,
      /client\.colour: unknown key; allowed here: folder, image/,
      /client\.env: found "A" \(string\); allowed: a list/,
      /server\.public: found "\.\.\/up" \(string\); allowed:/,
      /extra: unknown key; allowed here: client, server, versionFiles/,
    ],
  ],
  [
    'a folder that leaves the repository',
    configuration({ client: { folder: '../../etc' } }),
    'flight-launch.json has a mistake',
    ['../../etc'],
  ],
  [
    'a server folder that is not there',
    configuration({ server: { folder: 'api' } }),
    'the pushed commit has no server folder api',
  ],
  [
    'another server folder than the build-dir',
    { 'api/Procfile': 'web: true\n', ...configuration({ server: { folder: 'api' } }) },
    'Dokku builds server of badinput-staging, not its server folder api',
    ['dokku builder:set badinput-staging build-dir api'],
  ],
  [
    'an input that is not there',
    configuration({ client: { inputs: ['shared'] } }),
    'has no shared, which client.inputs names',
  ],
  [
    'a base image that cannot be had',
    configuration({ client: { image: 'flight-launch-test/nosuch:1' } }),
    /flight-launch-test\/nosuch:1 .*cannot be had/,
    ['client-image'],
  ],
  [
    'Git LFS pointers in the client (I40)',
    {
      'client/logo.png': `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 12\n`,
    },
    /client\/logo\.png.*LFS/,
  ],
  ['a name with a line break (I27)', { 'client/a\nb.txt': 'x' }, /a\\u000ab\.txt|a\\nb\.txt/],
  [
    'a name with an escape sequence (I28)',
    { 'client/src/a\u001b[2Jb.txt': 'x' },
    '"client/src/a\\u001b[2Jb.txt" of the client\'s sources (client) holds a control character',
    [/^[^\u001b]*$/],
  ],
  [
    'an output entry with an escape sequence in its name (I28)',
    building('fs.mkdirSync("dist"); fs.writeFileSync("dist/a\\u001b[2Jb.html", "x")'),
    '"dist/a\\u001b[2Jb.html" of the built client (client/dist) holds a control character',
    [/^[^\u001b]*$/],
  ],
  [
    'an output entry whose name is not UTF-8 (I26)',
    building('fs.mkdirSync("dist"); fs.writeFileSync(Buffer.from("dist/a\\xff", "latin1"), "x")'),
    'not UTF-8',
  ],
  [
    'flight-launch.json that is a folder',
    { 'flight-launch.json/settings.json': '{}' },
    'flight-launch.json is not a regular file',
  ],
  [
    'a build command that is not there',
    configuration({ client: { build: 'no-such-bundler --fast' } }),
    '`no-such-bundler --fast` ended with 127: command not found',
    [/no-such-bundler: .*not found/, '"image"'],
  ],
  [
    'a build that fails',
    building('console.log("the last line it prints"); process.exit(3)'),
    'exited with 3',
    ['the last line it prints', 'once more'],
  ],
  ['a build that leaves nothing', building(''), /left no output.*client\/dist/, ['client.output|"output"']],
  ['a build whose output is empty (I46)', building('fs.mkdirSync("dist")'), /client\/dist.*is empty/],
  ['a build whose output is a file (I48)', building('fs.writeFileSync("dist", "x")'), /dist/],
  [
    'an output entry that is a link to outside (I43)',
    building('fs.mkdirSync("dist"); fs.symlinkSync("/etc/passwd", "dist/secret")'),
    /secret/,
  ],
  [
    'an output entry that is a pipe (I44)',
    building('fs.mkdirSync("dist"); require("node:child_process").execSync("mkfifo dist/pipe")'),
    /pipe/,
  ],
  [
    'a build that needs the network',
    building(
      'require("node:dns").lookup("registry.example", (e) => { console.error(String(e)); process.exit(1); })',
    ),
    /network/,
    ['"network": true'],
  ],
];

for (const [name, files, problem, also = []] of cases) {
  test(`${name}: rejected, and nothing happened`, async () => {
    await repository.commit(name, files);
    const { output } = await rejected(deployed, problem);
    for (const text of also)
      assert.match(output, typeof text === 'string' ? new RegExp(escaped(text)) : text);
  });
}

function escaped(text: string): string {
  return text
    .split('|')
    .map((part) => part.replace(/[.*+?^${}()[\]\\]/g, '\\$&'))
    .join('|');
}

test('a client folder that is a symbolic link (I36)', async () => {
  repository.write({ client: null });
  symlinkSync('server', repository.path('client'));
  await repository.commit('Link');
  await rejected(deployed, 'the client folder client is a symbolic link');
});

test('a client that is a git submodule (I39)', async () => {
  repository.write({ client: null });
  await repository.git('rm', '-r', '--quiet', '--cached', 'client');
  await repository.git('update-index', '--add', '--cacheinfo', `160000,${good},client`);
  await repository.git('commit', '--quiet', '--message', 'Submodule');
  await rejected(deployed, 'the client folder client is a git submodule');
});

test('a git submodule inside the client (I39)', async () => {
  await repository.git('update-index', '--add', '--cacheinfo', `160000,${good},client/lib`);
  await repository.git('commit', '--quiet', '--message', 'Submodule');
  await rejected(deployed, 'client/lib is a git submodule');
});

test('a name that is not UTF-8 (I26)', async () => {
  const name = Buffer.from('/client/src/a\xff.txt', 'latin1');
  writeFileSync(Buffer.concat([Buffer.from(repository.folder), name]), 'x');
  await repository.commit('Latin');
  await rejected(deployed, 'not UTF-8');
});

test('flight-launch.json that is a symbolic link', async () => {
  symlinkSync('/etc/hostname', repository.path('flight-launch.json'));
  await repository.commit('Link');
  await rejected(deployed, 'flight-launch.json is not a regular file');
});

test('a folder above the public one is a symbolic link (I41)', async () => {
  repository.write(configuration({ server: { public: 'web/public' } }));
  symlinkSync('/tmp', repository.path('server/web'));
  await repository.commit('Link');
  await rejected(deployed, 'web of the server is a symlink');
});

test('server/public is a symbolic link (I41)', async () => {
  repository.write({ 'server/public': null });
  symlinkSync('/tmp', repository.path('server/public'));
  await repository.commit('Link');
  await rejected(deployed, 'public of the server is a symlink');
});

for (const [setting, value, script, problem] of [
  ['build-timeout', '5s', 'setTimeout(() => {}, 60000)', 'ran past its limit of 5'],
  ['memory', '64m', 'const all = []; for (;;) all.push(Buffer.alloc(8 << 20, 1))', 'of memory'],
  ['log-limit', '20k', 'for (let i = 0; i < 20000; i++) console.log("line " + i)', 'printed more than 20'],
  [
    'output-limit',
    '100k',
    'fs.mkdirSync("dist"); fs.writeFileSync("dist/big", Buffer.alloc(1 << 20, 1))',
    /the built client.*100|100.*the built client|larger/,
  ],
] as const) {
  test(`a build past its limit of ${setting} is stopped, and the setting is named`, async () => {
    await host.must('flight-launch:set', pipeline, setting, value);
    await repository.commit(setting, building(script));
    try {
      const { output } = await rejected(deployed, problem);
      assert.match(output, setting);
    } finally {
      await host.must('flight-launch:set', pipeline, setting, '--unset');
    }
  });
}

test('Docker that does not answer', async () => {
  // The setting is Dokku's own, of its administrator.
  const rc = '"$DOKKU_ROOT/.dokkurc/NO_DOCKER"';
  await host.mustAdmin(
    `mkdir -p "$DOKKU_ROOT/.dokkurc" && echo 'export DOCKER_HOST=unix:///nowhere/docker.sock' >${rc}`,
  );
  let pushed;
  try {
    await repository.commit('No Docker', { 'client/src/message.txt': 'never built\n' });
    pushed = await repository.push(host, app, '+HEAD:master');
  } finally {
    await host.mustAdmin(`rm ${rc}`);
  }
  assert.is.not(pushed.status, 0);
  assert.match(pushed.output, ' !     flight-launch: Docker does not answer');
  assert.match((await get(deployed.url)).body, deployed.page);
});

test('a full disk while the client is stored (F30)', async () => {
  const folder = `"$DOKKU_LIB_ROOT/data/flight-launch/pipelines/${pipeline}/artifacts"`;
  await host.mustAdmin(`
    owner=$(stat -c %u:%g ${folder})
    mount -t tmpfs -o size=64k tmpfs ${folder} && chown "$owner" ${folder}`);
  let pushed;
  try {
    await repository.commit(
      'Large',
      building('fs.mkdirSync("dist"); fs.writeFileSync("dist/big", Buffer.alloc(1 << 20, 1))'),
    );
    pushed = await repository.push(host, app, '+HEAD:master');
  } finally {
    await host.mustAdmin(`umount ${folder}`);
  }
  assert.is.not(pushed.status, 0);
  assert.match(pushed.output, /flight-launch: .*disk is full/i);
  assert.match((await get(deployed.url)).body, deployed.page);
});

test('what is legal is built: export-ignore, export-subst, odd names, terminal codes in the log (I25, I28, I29, I37, I38, I51)', async () => {
  const names = ['-rf.txt', 'ümlaut ß.txt', 'README', 'readme'];
  writeFileSync(repository.path('.gitattributes'), '/client export-ignore\n/client/src/* export-subst\n');
  await repository.commit('Odd but legal', {
    ...Object.fromEntries(names.map((name) => [`client/src/${name}`, `${name} $Format:%H$\n`])),
    ...building(`
      process.stdout.write('\\x1b[31mred\\x1b[0m\\rover\\x1b]0;title\\x07\\n');
      fs.mkdirSync('dist');
      fs.writeFileSync('dist/index.html', fs.readdirSync('src').map((name) => fs.readFileSync('src/' + name)).join(''));`),
  });
  const pushed = await repository.mustPush(host, app, '+HEAD:master');
  const page = (await get(deployed.url)).body;
  for (const name of names) assert.ok(page.includes(`${name} $Format:%H$`), page);
  assert.match(pushed.output, /^ {7}over$/m);
});

test('a client without package.json is built by the commands that the repository names, a socket that it leaves is no part of it (I44)', async () => {
  const script = `
    const fs = require('node:fs');
    fs.mkdirSync('dist');
    fs.writeFileSync('dist/index.html', 'built without npm');
    require('node:net').createServer().listen('dist/socket', () => process.exit());`;
  await repository.commit('Build without npm', {
    'client/package.json': null,
    'client/package-lock.json': null,
    'client/make.js': script,
    ...configuration({ client: { install: 'true', build: 'node make.js && test -S dist/socket' } }),
  });
  await repository.mustPush(host, app, '+HEAD:master');
  assert.match((await get(deployed.url)).body, 'built without npm');
  const container = await webContainer(host, app);
  const files = await host.mustAdmin(
    `docker exec ${container} find /app/public -name 'index.html' -o -type s`,
  );
  assert.is(files, '/app/public/index.html');
});

test.run();
