import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert, suite } from '../support/suite';

// The committed bundle as a host runs it: through the shims, by a real Node, without any package beside it.
const scratch = mkdtempSync(join(tmpdir(), 'flight-launch-bundle-'));
const plugin = join(scratch, 'enabled/flight-launch');
const lib = join(scratch, 'lib');
const data = join(lib, 'data/flight-launch');
const fakes = join(scratch, 'fakes');
const env = {
  PATH: `${fakes}:${process.env.PATH ?? ''}`,
  DOKKU_LIB_ROOT: lib,
  DOKKU_ROOT: join(scratch, 'dokku'),
};

const test = suite('bundle');

test.before(() => {
  for (const folder of [plugin, join(data, 'apps'), join(data, 'pipelines/shop'), fakes]) {
    mkdirSync(folder, { recursive: true });
  }
  for (const part of [
    'hooks',
    'subcommands',
    'commands',
    'build',
    'core-post-extract',
    'post-deploy',
    'pre-build',
  ]) {
    symlinkSync(join(process.cwd(), part), join(plugin, part));
  }
  symlinkSync(process.execPath, join(data, 'node'));
  writeFileSync(join(data, 'apps/shop'), 'shop\n');
  const pipeline = { format: 1, name: 'shop', staging: 'shop-staging', production: 'shop', settings: {} };
  writeFileSync(join(data, 'pipelines/shop/settings.json'), JSON.stringify(pipeline));
});

test.after(() => {
  rmSync(scratch, { recursive: true });
});

const run = (shim: string, args: string[], more: Record<string, string> = {}) =>
  spawnSync(join(plugin, shim), args, { env: { ...env, ...more }, encoding: 'utf8' });

test('help and its lines', () => {
  for (const args of [['flight-launch:help'], ['flight-launch:'], ['flight-launch']]) {
    const { status, stdout, stderr } = run('subcommands/help', args);
    assert.is(status, 0, stderr);
    assert.match(stdout, /^Usage: dokku flight-launch\[:COMMAND\]\n/);
  }
});

test('a mistake is one line, a remedy is another, and the status is 2', () => {
  const { status, stdout, stderr } = run('subcommands/set', ['flight-launch:set', 'shop', 'memory', '2']);
  assert.is(status, 2);
  assert.is(stdout, '');
  assert.is(
    stderr,
    ' !     flight-launch: memory cannot be "2"\n !     It takes a size between 64m and 512g, such as `64m`.\n',
  );
});

test('I55, H13 a value that was lost on the way is a mistake that names --unset, and resets nothing', () => {
  const remedy =
    ' !     Usage: dokku flight-launch:set NAME KEY VALUE | --unset [--dry-run]; --unset puts memory back to its default.\n';
  for (const [args, problem] of [
    [['memory'], 'VALUE of memory is missing'],
    [['memory', ''], 'VALUE of memory is missing'],
    [['memory', '1g', '--unset'], 'memory gets either a value or --unset, not both'],
  ] as const) {
    const { status, stdout, stderr } = run('subcommands/set', ['flight-launch:set', 'shop', ...args]);
    assert.is(status, 2);
    assert.is(stdout, '');
    assert.is(stderr, ` !     flight-launch: ${problem}\n${remedy}`);
  }
});

test('I59 --app is refused, as the command is about a pipeline', () => {
  const { status, stderr } = run('subcommands/list', ['flight-launch:list'], { DOKKU_APP_NAME: 'prod' });
  assert.is(status, 2);
  assert.match(stderr, /takes the name of a pipeline, not --app/);
});

test('H1 pre-build refuses a work tree in which no client was placed', () => {
  const { status, stderr } = run('pre-build', ['herokuish', 'shop', '/tmp/x']);
  assert.is(status, 1);
  assert.match(stderr, /the client of shop was not placed in \/tmp\/x, so this build would serve none/);
});

test('H19 post-deploy succeeds though its note is damaged, and says what is wrong', () => {
  mkdirSync(join(data, 'deploys'), { recursive: true });
  writeFileSync(join(data, 'deploys/shop.json'), '{');
  const { status, stderr } = run('post-deploy', ['shop', '', '', 'latest'], { DOKKU_BUILD_ID: '1' });
  rmSync(join(data, 'deploys/shop.json'));
  assert.is(status, 0);
  assert.match(stderr, /deploys\/shop\.json is damaged/);
});

test("H18 no child of the hook has the deploy's lock on descriptor 200, which a background child would keep", () => {
  const noted = join(scratch, 'descriptors');
  const git = join(fakes, 'git');
  // Stands in for every child: notes which descriptors it was born with.
  writeFileSync(git, `#!/bin/sh\nls -l /proc/$$/fd >${noted}\nexit 1\n`);
  chmodSync(git, 0o755);
  const lock = join(scratch, 'shop.deploy.lock');
  const locked = (...command: string[]) =>
    spawnSync(
      'bash',
      [
        '-c',
        'exec 200>"$1"; flock --nonblock 200; shift; "$@"; status=$?; flock --nonblock "$0" true || exit 99; exit $status',
        lock,
        lock,
        ...command,
      ],
      {
        env,
        encoding: 'utf8',
      },
    );
  // The fixture shows a leak where there is one.
  locked(git);
  assert.match(readFileSync(noted, 'utf8'), / 200 -> .*deploy\.lock$/m);
  rmSync(noted);

  const { status } = locked(join(plugin, 'core-post-extract'), 'shop', '/tmp/x', 'c'.repeat(40));
  rmSync(git);
  assert.ok(existsSync(noted), 'git was not run');
  assert.not.match(readFileSync(noted, 'utf8'), / 200 -> /);
  // Dokku itself goes on holding the lock.
  assert.is(status, 99);
});

test('H9, H12 what is noted for later hooks holds nothing that would redirect a child', () => {
  const note = join(scratch, 'note');
  const git = join(fakes, 'git');
  writeFileSync(git, `#!/bin/sh\ncp ${data}/deploys/shop.json ${note}\nexit 1\n`);
  chmodSync(git, 0o755);
  run('core-post-extract', ['shop', '/tmp/x', 'c'.repeat(40)], {
    GIT_DIR: '/nowhere',
    DOKKU_TRACE: '1',
    DOKKU_BUILD_ID: 'b1',
    SSH_NAME: 'ada',
  });
  rmSync(git);
  const { build, env: kept } = JSON.parse(readFileSync(note, 'utf8')) as {
    build: string;
    env: Record<string, string>;
  };
  assert.is(build, 'shop.b1');
  assert.is(kept.SSH_NAME, 'ada');
  for (const name of ['GIT_DIR', 'DOKKU_TRACE', 'DOKKU_BUILD_ID', 'NODE_OPTIONS'])
    assert.is(kept[name], undefined, name);
  assert.not.ok(existsSync(join(data, 'deploys/shop.json')), 'a failed deploy leaves its note');
});

test('F33 a hook that runs out of descriptors says so in one line, and leaves no note', () => {
  const clear =
    /^ !     flight-launch: too many files are open at once\n !     Raise the limit \(`ulimit -n`[^\n]*\n$/;
  const ended: string[] = [];
  // How many Node itself takes depends on its version; with too few it does not even begin.
  for (let limit = 20; limit <= 32; limit += 3) {
    const script = `ulimit -n ${limit} && exec "$0" "$@"`;
    const args = [join(plugin, 'core-post-extract'), 'shop', '/tmp/x', 'c'.repeat(40)];
    const { stderr } = spawnSync('sh', ['-c', script, ...args], { env, encoding: 'utf8' });
    if (!stderr.startsWith(' !     flight-launch:')) continue;
    ended.push(stderr);
    assert.not.ok(existsSync(join(data, 'deploys/shop.json')), `${limit} descriptors leave a note`);
  }
  assert.ok(ended.some((text) => clear.test(text)));
  // With more of them it gets as far as the repository, which is not there.
  const others = ended.filter((text) => !clear.test(text) && !text.includes('not a git repository'));
  assert.equal(others, []);
});

test.run();
