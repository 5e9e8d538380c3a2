import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { assert, suite } from '../support/suite';

const scratch = mkdtempSync(join(tmpdir(), 'flight-launch-shims-'));

// As plugn and dokku see the plugin: a link in the folder of enabled plugins.
const plugin = join(scratch, 'enabled/flight-launch');
mkdirSync(join(scratch, 'enabled'));
symlinkSync(process.cwd(), plugin);

const shells: [name: string, ...command: string[]][] = [
  ['dash', 'dash'],
  ['busybox', 'busybox', 'sh'],
];
const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

function writeProgram(path: string, ...lines: string[]): void {
  writeFileSync(path, `#!/bin/sh\n${lines.join('\n')}\n`);
  chmodSync(path, 0o755);
}

/** What the fake Node was started with. */
interface Start {
  /** From the program on. */
  args: string[];
  env: Record<string, string>;
  stdin: string;
}

/** A host with one app in a pipeline, `shop`, and a Node that notes how it was started. */
class Host {
  readonly lib = mkdtempSync(join(scratch, 'lib-'));
  readonly data = join(this.lib, 'data/flight-launch');
  readonly env: Record<string, string> = {
    PATH: systemPath,
    DOKKU_LIB_ROOT: this.lib,
    DOKKU_NOT_IMPLEMENTED_EXIT: '10',
    DOKKU_ROOT: '/home/dokku',
    SSH_NAME: 'ada',
  };

  constructor(private readonly shell: readonly string[]) {
    mkdirSync(join(this.data, 'apps'), { recursive: true });
    writeFileSync(join(this.data, 'apps/shop'), 'shop\n');
    this.fakeNode('exit 0');
  }

  /** @param ending what it does once it has noted everything */
  fakeNode(ending: string): void {
    writeProgram(
      join(this.data, 'node'),
      `noted=${this.data}/noted`,
      `for arg; do printf '%s\\0' "$arg"; done >"$noted.args"`,
      '/bin/cat /proc/$$/environ >"$noted.env"',
      '/bin/readlink /proc/$$/fd/0 >"$noted.stdin"',
      ending,
    );
  }

  run(shim: string, args: string[], options: { env?: Record<string, string>; input?: string } = {}) {
    const [file = '', ...first] = this.shell;
    return spawnSync(file, [...first, join(plugin, shim), ...args], {
      env: { ...this.env, ...options.env },
      input: options.input ?? '',
      encoding: 'utf8',
      // Of the process, not a part of the plugin: shims are found by the path that they are called by.
      cwd: '/',
    });
  }

  /** How Node was started, or undefined where it was not. */
  started(): Start | undefined {
    const noted = (what: string) => readFileSync(join(this.data, `noted.${what}`), 'utf8');
    if (!existsSync(join(this.data, 'noted.args'))) return undefined;
    const argv = noted('args').split('\0').slice(0, -1);
    const program = argv.indexOf(join(plugin, 'build/flight-launch.cjs'));
    assert.ok(program >= 0, JSON.stringify(argv));
    return {
      args: argv.slice(program + 1),
      env: Object.fromEntries(
        noted('env')
          .split('\0')
          .filter((line) => line !== '')
          .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      ),
      stdin: noted('stdin').trim(),
    };
  }
}

/** By trigger: the arguments that Dokku gives, for an app. */
const triggers: Record<string, (app: string) => string[]> = {
  'core-post-extract': (app) => [app, '/tmp/work tree', 'c'.repeat(40)],
  'pre-build': (app) => ['herokuish', app, '/tmp/work tree'],
  'post-build': (app) => ['herokuish', app, '/tmp/work tree'],
  'post-deploy': (app) => [app, '', '', 'latest'],
  'pre-delete': (app) => [app, 'latest'],
  'post-delete': (app) => [app, 'latest'],
  'post-app-rename-setup': (app) => [app, 'new-name'],
  'post-app-clone-setup': (app) => [app, 'new-name'],
};
const underAppConfiguration = ['pre-build', 'post-build'];

function says(result: SpawnSyncReturns<string>, status: number, stdout: string, stderr: RegExp): void {
  assert.is(result.status, status, result.stderr);
  assert.is(result.stdout, stdout);
  assert.match(result.stderr, stderr);
}

const nothing = /^$/;

const test = suite('shims');

for (const [name, ...shell] of shells) {
  for (const [trigger, argsFor] of Object.entries(triggers)) {
    test(`${name}: ${trigger} starts Node for an app of a pipeline, and hands everything on`, () => {
      const host = new Host(shell);
      says(host.run(trigger, argsFor('shop')), 0, '', nothing);
      assert.equal(host.started()?.args, ['hook', trigger, ...argsFor('shop')]);
    });

    test(`${name}: ${trigger} starts no Node for another app, nor needs one`, () => {
      const host = new Host(shell);
      for (const app of ['shop-staging', 'sho', '', '.', '..', '*', 's*', '../apps']) {
        says(host.run(trigger, argsFor(app)), 0, '', nothing);
      }
      says(host.run(trigger, []), 0, '', nothing);
      assert.is(host.started(), undefined);
      rmSync(join(host.data, 'node'));
      says(host.run(trigger, argsFor('other')), 0, '', nothing);
      rmSync(host.lib, { recursive: true });
      says(host.run(trigger, argsFor('shop')), 0, '', nothing);
    });

    test(`${name}: H18 ${trigger} leaves standard input to who comes next`, () => {
      const host = new Host(shell);
      host.fakeNode('/bin/cat');
      const refs = '0 1 refs/heads/master\n0 2 refs/heads/other\n';
      const loop = spawnSync(
        'sh',
        ['-c', '"$@" && cat', 'sh', ...shell, join(plugin, trigger), ...argsFor('shop')],
        {
          env: host.env,
          input: refs,
          encoding: 'utf8',
        },
      );
      says(loop, 0, refs, nothing);
      assert.is(host.started()?.stdin, '/dev/null');
    });

    if (trigger === 'post-deploy') {
      test(`${name}: H19 post-deploy succeeds whatever happens to Node, and says so`, () => {
        const host = new Host(shell);
        const unrecorded =
          /flight-launch: this deploy was not recorded; the next command of flight-launch does it/;
        for (const ending of ['exit 1', 'exit 20', 'kill -9 $$']) {
          host.fakeNode(ending);
          says(host.run(trigger, argsFor('shop')), 0, '', unrecorded);
        }
        chmodSync(join(host.data, 'node'), 0o644);
        says(host.run(trigger, argsFor('shop')), 0, '', /Node\.js is missing[^]*not recorded/);
        rmSync(join(host.data, 'node'));
        says(host.run(trigger, argsFor('shop')), 0, '', /Node\.js is missing[^]*not recorded/);
        symlinkSync('/nowhere', join(host.data, 'node'));
        says(host.run(trigger, argsFor('shop')), 0, '', /Node\.js is missing[^]*not recorded/);
      });
    } else {
      test(`${name}: ${trigger} fails as Node does, and where there is none`, () => {
        const host = new Host(shell);
        host.fakeNode('exit 7');
        says(host.run(trigger, argsFor('shop')), 7, '', nothing);
        rmSync(join(host.data, 'node'));
        says(
          host.run(trigger, argsFor('shop')),
          1,
          '',
          /^ ! {5}flight-launch: Node\.js is missing; run `sudo dokku plugin:install` on the host\n$/,
        );
      });
    }
  }

  for (const trigger of underAppConfiguration) {
    test(`${name}: H17 nothing of the app's configuration reaches Node in ${trigger}`, () => {
      const host = new Host(shell);
      const fakes = mkdtempSync(join(scratch, 'fakes-'));
      const marker = join(fakes, 'was-run');
      for (const program of [
        'node',
        'env',
        'sh',
        'cat',
        'dirname',
        'basename',
        'readlink',
        'ps',
        'test',
        '[',
        'echo',
      ]) {
        writeProgram(join(fakes, program), `echo ${program} >>${marker}`);
      }
      writeProgram(join(fakes, 'startup'), `echo startup >>${marker}`);
      const configuration = {
        PATH: `${fakes}:${systemPath}`,
        NODE_OPTIONS: '--require=/nowhere',
        NODE_EXTRA_CA_CERTS: '/nowhere',
        NODE_ENV: 'production',
        BASH_ENV: join(fakes, 'startup'),
        ENV: join(fakes, 'startup'),
        LANG: 'xx_XX.UTF-8',
        LC_ALL: 'xx_XX.UTF-8',
        LD_LIBRARY_PATH: fakes,
        HOME: fakes,
        IFS: '/',
        CDPATH: fakes,
        SECRET: 'two\nlines',
        data: '/nowhere',
        plugin: '/nowhere',
      };
      says(host.run(trigger, triggers[trigger]?.('shop') ?? [], { env: configuration }), 0, '', nothing);
      const { env = {}, args } = host.started() ?? {};
      assert.equal(args, ['hook', trigger, 'herokuish', 'shop', '/tmp/work tree']);
      assert.equal(
        Object.keys(env)
          .filter((variable) => variable !== 'PWD')
          .sort(),
        ['DOKKU_LIB_ROOT', 'PATH'],
      );
      assert.is(env.PATH, systemPath);
      assert.is(env.DOKKU_LIB_ROOT, host.lib);
      assert.not.ok(existsSync(marker), 'a fake program was run');
    });
  }

  test(`${name}: H17 elsewhere Node gets Dokku's environment without what changes Node itself`, () => {
    const host = new Host(shell);
    const env = {
      NODE_OPTIONS: '--require=/nowhere',
      NODE_PATH: '/nowhere',
      NODE_EXTRA_CA_CERTS: '/nowhere',
      LD_LIBRARY_PATH: '/nowhere',
      GIT_OBJECT_DIRECTORY: '/quarantine',
      DOKKU_BUILD_ID: '1',
    };
    host.run('core-post-extract', ['shop', '/tmp/x', 'c'.repeat(40)], { env });
    const started = host.started()?.env ?? {};
    for (const kept of ['DOKKU_ROOT', 'SSH_NAME', 'GIT_OBJECT_DIRECTORY', 'DOKKU_BUILD_ID', 'PATH']) {
      assert.is(started[kept], { ...host.env, ...env }[kept], kept);
    }
    for (const gone of ['NODE_OPTIONS', 'NODE_PATH', 'NODE_EXTRA_CA_CERTS', 'LD_LIBRARY_PATH']) {
      assert.is(started[gone], undefined, gone);
    }
  });

  test(`${name}: commands serves help alone: no Node, no word and status 10 for all else`, () => {
    const host = new Host(shell);
    for (const args of [
      [],
      [''],
      ['git-hook', 'shop'],
      ['flight-launch:x', 'a'],
      ['flight-launch:help'],
      ['help:x'],
    ]) {
      says(host.run('commands', args), 10, '', nothing);
    }
    says(host.run('commands', ['x'], { env: { DOKKU_NOT_IMPLEMENTED_EXIT: '42' } }), 42, '', nothing);
    assert.is(host.started(), undefined);
  });

  test(`${name}: H18 commands reads nothing of standard input, where the refs of a push are`, () => {
    const host = new Host(shell);
    const refs = '0 1 refs/heads/master\n';
    for (const [args, output] of [
      [['git-hook', 'shop'], ''],
      [['help'], '    flight-launch, Build the client of a monorepo and deploy it with the server\n'],
      [['help', '--all'], ''],
    ] as const) {
      const loop = spawnSync('sh', ['-c', '"$@"; cat', 'sh', ...shell, join(plugin, 'commands'), ...args], {
        env: host.env,
        input: refs,
        encoding: 'utf8',
      });
      assert.is(loop.stdout, `${output}${refs}`);
    }
  });

  test(`${name}: help is a line, and the whole list with --all`, () => {
    const host = new Host(shell);
    const line = '    flight-launch, Build the client of a monorepo and deploy it with the server\n';
    says(host.run('commands', ['help']), 0, line, nothing);
    assert.is(host.started(), undefined);
    // Dokku's own command line has the flag, the plugin's has not.
    const all = () =>
      spawnSync(
        'sh',
        ['-c', '"$@"; exit $?', 'dokku help --all', ...shell, join(plugin, 'commands'), 'help'],
        {
          env: host.env,
          encoding: 'utf8',
        },
      );
    host.fakeNode('echo lines');
    says(all(), 0, 'lines\n', nothing);
    assert.equal(host.started()?.args, ['help-lines']);
    // One plugin without Node must not end the help of all.
    rmSync(join(host.data, 'node'));
    says(all(), 0, line, /Node\.js is missing/);
  });

  test(`${name}: a subcommand hands on its arguments as they are, and Node's exit status`, () => {
    const host = new Host(shell);
    for (const status of [0, 1, 2, 3, 4, 20]) {
      host.fakeNode(`exit ${String(status)}`);
      const args = ['flight-launch:set', 'a b', '', '*', '$(id)', '-n', 'x\ny'];
      says(host.run('subcommands/set', args), status, '', nothing);
      assert.equal(host.started()?.args, ['command', ...args]);
    }
    host.run('subcommands/default', ['flight-launch']);
    assert.equal(host.started()?.args, ['command', 'flight-launch']);
    host.fakeNode('cat');
    says(host.run('subcommands/setup', ['flight-launch:setup'], { input: 'a key\n' }), 0, 'a key\n', nothing);
    rmSync(join(host.data, 'node'));
    says(host.run('subcommands/set', []), 1, '', /Node\.js is missing/);
  });

  test(`${name}: uninstall speaks of this plugin only, and leaves the data`, () => {
    const host = new Host(shell);
    says(host.run('uninstall', ['other']), 0, '', nothing);
    says(host.run('uninstall', []), 0, '', nothing);
    says(host.run('uninstall', ['flight-launch']), 0, '', new RegExp(`stay in ${host.data}`));
    assert.ok(existsSync(join(host.data, 'apps/shop')));
    rmSync(host.lib, { recursive: true });
    says(host.run('uninstall', ['flight-launch']), 0, '', nothing);
  });
}

test('every hook is under test here', () => {
  const served = readFileSync('src/hooks/index.ts', 'utf8').match(/^ {2}'[a-z-]+': \{/gm) ?? [];
  assert.equal(
    served.map((line) => line.slice(3, line.lastIndexOf("'"))).sort(),
    Object.keys(triggers).sort(),
  );
});

test.run();

const install = suite('install');

/** A host before the plugin is installed; its PATH has what the trigger needs and no Node, unless it is put there. */
class FreshHost {
  readonly lib = mkdtempSync(join(scratch, 'fresh-'));
  readonly bin = join(this.lib, 'bin');
  readonly data = join(this.lib, 'data/flight-launch');

  constructor(private readonly shell: readonly string[]) {
    mkdirSync(this.bin);
    for (const program of ['mkdir', 'chmod', 'ln', 'chown', 'cp'])
      symlinkSync(`/bin/${program}`, join(this.bin, program));
    // What runuser does, for whoever runs the tests.
    writeProgram(join(this.bin, 'runuser'), 'shift 3', '"$@"');
    this.docker('exit 1');
  }

  docker(...lines: string[]): void {
    writeProgram(join(this.bin, 'docker'), `echo "$*" >>${this.lib}/docker.log`, ...lines);
  }

  /** An engine that has an image with a Node of this version in it. */
  dockerWithNode(version: string): void {
    writeProgram(join(this.lib, 'image-node'), `echo ${version}`);
    this.docker(
      'case "$1 $2" in',
      '"container create") echo container-id ;;',
      `"container cp") cp ${this.lib}/image-node "$4" ;;`,
      'esac',
    );
  }

  node(version: string): string {
    const path = join(this.bin, 'node');
    writeProgram(path, `echo ${version}`);
    return path;
  }

  run() {
    const [file = '', ...first] = this.shell;
    const { username, gid } = userInfo();
    return spawnSync(`/bin/${file}`, [...first, join(plugin, 'install')], {
      env: {
        PATH: this.bin,
        DOKKU_LIB_ROOT: this.lib,
        DOKKU_SYSTEM_USER: username,
        DOKKU_SYSTEM_GROUP: String(gid),
      },
      encoding: 'utf8',
    });
  }

  link(): string {
    return readlinkSync(join(this.data, 'node'));
  }

  dockerLog(): string {
    return existsSync(join(this.lib, 'docker.log')) ? readFileSync(join(this.lib, 'docker.log'), 'utf8') : '';
  }
}

install.after(() => {
  rmSync(scratch, { recursive: true });
});

for (const [name, ...shell] of shells) {
  install(`${name}: a Node that is new enough is taken from the PATH, again and again`, () => {
    const host = new FreshHost(shell);
    const node = host.node('20');
    for (let time = 0; time < 2; time += 1) {
      says(host.run(), 0, '', nothing);
      assert.is(host.link(), node);
    }
    assert.is(host.dockerLog(), '');
  });

  install(`${name}: others may not look into what is stored`, () => {
    const host = new FreshHost(shell);
    host.node('22');
    host.run();
    const modes = ['', 'pipelines', 'deploys'].map((folder) =>
      (statSync(join(host.data, folder)).mode & 0o777).toString(8),
    );
    assert.equal(modes, ['711', '700', '700']);
  });

  install(`${name}: what is stored already stays`, () => {
    const host = new FreshHost(shell);
    host.node('22');
    host.run();
    writeFileSync(join(host.data, 'apps/shop'), 'shop\n');
    host.run();
    assert.is(readFileSync(join(host.data, 'apps/shop'), 'utf8'), 'shop\n');
  });

  for (const [what, version] of [
    ['too old a Node', '18'],
    ['a Node that is none', '"not a number"'],
    ['a Node that says nothing', ''],
    ['no Node', undefined],
  ] as const) {
    install(`${name}: with ${what} on the PATH one is taken out of the image, once`, () => {
      const host = new FreshHost(shell);
      if (version !== undefined) host.node(version);
      host.dockerWithNode('22');
      says(host.run(), 0, '-----> flight-launch: taking Node.js out of node:22-slim\n', nothing);
      assert.is(host.link(), join(host.data, 'runtime/node'));
      assert.match(host.dockerLog(), /^container rm container-id$/m);
      says(host.run(), 0, '', nothing);
      assert.is(host.dockerLog().split('\n').length, 4);
    });
  }

  install(`${name}: a Node that Dokku's user cannot run is not taken`, () => {
    const host = new FreshHost(shell);
    const node = host.node('22');
    writeProgram(join(host.bin, 'runuser'), `[ "$4" = ${node} ] && exit 126`, 'shift 3', '"$@"');
    host.dockerWithNode('22');
    assert.is(host.run().status, 0);
    assert.is(host.link(), join(host.data, 'runtime/node'));
  });

  install(`${name}: a Node that has gone since is replaced`, () => {
    const host = new FreshHost(shell);
    host.node('22');
    host.run();
    rmSync(join(host.bin, 'node'));
    host.dockerWithNode('22');
    assert.is(host.run().status, 0);
    assert.is(host.link(), join(host.data, 'runtime/node'));
  });

  install(`${name}: without any Node it fails and says what to do`, () => {
    const missing =
      /flight-launch needs Node\.js 20 or newer, runnable by .*: install it and run `dokku plugin:install` again\n$/;
    const host = new FreshHost(shell);
    assert.match(host.run().stderr, missing);
    assert.is(host.run().status, 1);
    host.dockerWithNode('18');
    says(host.run(), 1, '-----> flight-launch: taking Node.js out of node:22-slim\n', missing);
    assert.is(lstatSync(join(host.data, 'node'), { throwIfNoEntry: false }), undefined);
  });

  install(`${name}: a container from which nothing could be copied is removed`, () => {
    const host = new FreshHost(shell);
    host.docker(
      'case "$1 $2" in',
      '"container create") echo container-id ;;',
      '"container cp") exit 1 ;;',
      'esac',
    );
    assert.is(host.run().status, 1);
    assert.match(host.dockerLog(), /^container rm container-id$/m);
  });
}

install.run();
