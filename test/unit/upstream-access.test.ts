import { execa } from 'execa';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { accessFiles, FileUpstreamAccess, sshCommand } from '../../src/adapters/upstream-access';
import { parseDeployKey } from '../../src/domain/deploy-key';
import { UserError } from '../../src/domain/errors';
import { inScratch } from '../support/scratch';
import { assert, rejects, suite } from '../support/suite';
import { TestUpstream } from '../support/upstream';

const access = suite('upstream access');

access('the ssh command reaches an upstream by the two files alone', () => {
  assert.is(
    sshCommand({ key: '/data/deploy-key', knownHosts: '/data/known_hosts' }),
    `ssh -F /dev/null -a -x -o 'IdentityFile="/data/deploy-key"' -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes` +
      ' -o PreferredAuthentications=publickey -o PasswordAuthentication=no -o KbdInteractiveAuthentication=no' +
      ` -o StrictHostKeyChecking=yes -o 'UserKnownHostsFile="/data/known_hosts"' -o GlobalKnownHostsFile=/dev/null` +
      ' -o UpdateHostKeys=no -o CheckHostIP=no -o ConnectTimeout=15 -o ServerAliveInterval=15' +
      ' -o ServerAliveCountMax=4 -o LogLevel=ERROR',
  );
});

access('ssh takes the command as it is meant, odd paths included', () => {
  const paths = { key: `/da ta/it's/10%/$HOME/key`, knownHosts: `/da ta/it's/10%/known_hosts` };
  // -G has ssh print what it would do.
  const shown = execFileSync('sh', [
    '-c',
    `${sshCommand({ ...paths, connectTimeout: 7 })} -G git@host`,
  ]).toString();
  const setting = (name: string) =>
    shown
      .split('\n')
      .filter((line) => line.startsWith(`${name} `))
      .map((line) => line.slice(name.length + 1));
  // That of the key is shown before ssh expands it.
  assert.equal(setting('identityfile'), [paths.key.replace('%', '%%')]);
  assert.equal(setting('userknownhostsfile'), [paths.knownHosts]);
  assert.equal(setting('batchmode'), ['yes']);
  assert.equal(setting('stricthostkeychecking'), ['true']);
  assert.equal(setting('connecttimeout'), ['7']);
  assert.equal(setting('user'), ['git']);
});

const env = { PATH: process.env.PATH ?? '' };
let upstream: TestUpstream;

access.before(async () => {
  upstream = await TestUpstream.start('access');
});

access.after(() => upstream.stop());

/** The files of a pipeline that has none yet. */
function inPipeline<T>(work: (access: FileUpstreamAccess, folder: string) => Promise<T>): Promise<T> {
  return inScratch((root) => {
    // Odd on purpose: the path is on a shell's and on ssh's command line.
    const folder = join(root, "it's 10% shop");
    mkdirSync(folder);
    return work(new FileUpstreamAccess({ folder, pipeline: 'shop', env, scanTimeout: 5000 }), folder);
  });
}

const modes = (folder: string) =>
  Object.fromEntries(
    readdirSync(folder).map((name) => [name, (statSync(join(folder, name)).mode & 0o777).toString(8)]),
  );

access('a made key and pinned hosts let git in, and nothing else is asked or taken', async () => {
  await inPipeline(async (files, folder) => {
    assert.is(await files.deployKey(), undefined);
    const key = await files.makeDeployKey();
    assert.is(key.type, 'ssh-ed25519');
    assert.equal(await files.deployKey(), key);
    const line = readFileSync(accessFiles(folder).publicKey, 'utf8');
    assert.is(line, `${key.publicLine} flight-launch:shop\n`);
    const found = await files.scan('127.0.0.1', upstream.port);
    assert.equal(found, [
      { ...found[0], name: `[127.0.0.1]:${upstream.port}`, fingerprint: upstream.hostFingerprint },
    ]);
    const list = () =>
      execa('git', ['ls-remote', upstream.url], {
        env: { GIT_SSH_COMMAND: sshCommand(accessFiles(folder)) },
        reject: false,
      });
    // No host is pinned yet.
    assert.match((await list()).stderr, 'Host key verification failed');
    await files.pinHostKeys(found);
    assert.equal(await files.hostKeys(), found);
    assert.match((await list()).stderr, 'Permission denied (publickey)');
    upstream.authorize(line);
    const listed = await list();
    assert.equal([listed.exitCode, listed.stderr], [0, '']);
    assert.equal(modes(folder), { 'deploy-key': '600', 'deploy-key.pub': '600', known_hosts: '600' });
    assert.equal(
      (await files.examine()).map(({ name, state }) => [name, state]),
      [
        ['deploy-key', 'fine'],
        ['known_hosts', 'fine'],
      ],
    );
    await files.forgetHostKeys();
    assert.match((await list()).stderr, 'Host key verification failed');
  });
});

access('a given key takes the place of a made one', async () => {
  await inPipeline(async (files, folder) => {
    await files.makeDeployKey();
    const path = join(folder, 'given');
    execFileSync('ssh-keygen', ['-q', '-t', 'ecdsa', '-m', 'PEM', '-N', '', '-f', path]);
    const given = parseDeployKey(readFileSync(path, 'utf8').replaceAll('\n', '\r\n'));
    await files.saveDeployKey(given);
    assert.equal(await files.deployKey(), given);
    assert.is(readFileSync(join(folder, 'deploy-key'), 'utf8'), readFileSync(path, 'utf8'));
    // ssh takes it as it is stored.
    const shown = execFileSync('ssh-keygen', ['-y', '-P', '', '-f', join(folder, 'deploy-key')]).toString();
    assert.ok(shown.startsWith(given.publicLine), shown);
  });
});

access('files that are missing, damaged or open to others are told', async () => {
  await inPipeline(async (files, folder) => {
    const states = async () => (await files.examine()).map(({ state }) => state);
    assert.equal(await states(), ['missing', 'missing']);
    const { key, knownHosts } = accessFiles(folder);
    writeFileSync(key, 'no key', { mode: 0o600 });
    writeFileSync(knownHosts, '', { mode: 0o600 });
    assert.equal(await states(), ['damaged', 'damaged']);
    const error = await rejects(files.deployKey(), UserError);
    assert.match(error.message, /deploy-key cannot be used: the deploy key is malformed/);
    assert.match(error.remedy ?? '', 'flight-launch:setup shop --deploy-key < FILE');
    for (const [path, mode] of [
      [key, 0o640],
      [knownHosts, 0o602],
    ] as const) {
      chmodSync(path, mode);
    }
    assert.equal(await states(), ['exposed', 'exposed']);
  });
});

access('a host that is not there, is no sshd or says nothing is told within its time', async () => {
  const silent = createServer();
  const rude = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  for (const server of [silent, rude]) await once(server.listen(0, '127.0.0.1'), 'listening');
  try {
    await inPipeline(async (_, folder) => {
      const files = new FileUpstreamAccess({ folder, pipeline: 'shop', env, scanTimeout: 1000 });
      for (const server of [silent, rude]) {
        const { port } = server.address() as AddressInfo;
        const { message } = await rejects(files.scan('127.0.0.1', port), UserError);
        assert.ok(message.startsWith(`[127.0.0.1]:${port} shows no host key`), message);
      }
      assert.match(
        (await rejects(files.scan('127.0.0.1', 1), UserError)).message,
        /^\[127\.0\.0\.1\]:1 shows no host key/,
      );
      assert.match(
        (await rejects(files.scan('nowhere.invalid', 22), UserError)).message,
        /^nowhere\.invalid shows no/,
      );
      assert.is(existsSync(accessFiles(folder).knownHosts), false);
    });
  } finally {
    silent.close();
    rude.close();
  }
});

access.run();
