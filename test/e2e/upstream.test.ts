import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestHost, type Result } from '../support/host';
import { assert, suite } from '../support/suite';
import { TestUpstream } from '../support/upstream';

const test = suite('upstream');
const scratch = mkdtempSync(join(tmpdir(), 'flight-launch-e2e-'));
const folder = '"$DOKKU_LIB_ROOT/data/flight-launch/pipelines/upstream"';
let host: TestHost;
let upstream: TestUpstream;
/** Everything that the commands printed. */
let printed = '';

test.before(async () => {
  host = await TestHost.start('upstream');
  upstream = await TestUpstream.start('upstream');
});

test.after(async () => {
  rmSync(scratch, { recursive: true });
  upstream.stop();
  await host.stop();
});

async function setUp(options: string[], input = ''): Promise<Result> {
  const ran = await host.dokkuWith({ input }, 'flight-launch:setup', 'upstream', ...options);
  printed += ran.output;
  return ran;
}

async function mustSetUp(options: string[], input = ''): Promise<string> {
  const { status, output } = await setUp(options, input);
  assert.is(status, 0, output);
  return output;
}

/** What is stored of the pipeline, by content and mode, but for who held its lock last. */
const stored = () =>
  host.mustAdmin(
    `cd ${folder} && find . -type f ! -path './locks/*' -exec sha256sum {} + | sort && find . -printf '%p %m %u\\n' | sort`,
  );

const privateKey = () => host.mustAdmin(`cat ${folder}/deploy-key`);

/** `SHA256:…` of the stored key. */
async function fingerprint(): Promise<string> {
  return (await host.mustAdmin(`ssh-keygen -l -f ${folder}/deploy-key.pub`)).split(' ')[1] ?? '';
}

/** git on the host with the stored files: the upstream lets it in, and is whom it says. */
const reach = () =>
  host.admin(
    `GIT_SSH_COMMAND="ssh -F /dev/null -i ${folder.replaceAll('"', '')}/deploy-key -o IdentitiesOnly=yes -o BatchMode=yes -o UserKnownHostsFile=${folder.replaceAll('"', '')}/known_hosts" git ls-remote ${upstream.url}`,
  );

/** A private key as a person would send it. */
function made(...options: string[]): { text: string; publicHalf: string; fingerprint: string } {
  const path = join(mkdtempSync(join(scratch, 'key-')), 'key');
  execFileSync('ssh-keygen', ['-q', '-N', '', '-C', 'ada', '-f', path, ...options]);
  const publicHalf = readFileSync(`${path}.pub`, 'utf8').split(' ').slice(0, 2).join(' ');
  const shown = execFileSync('ssh-keygen', ['-l', '-f', path]).toString().split(' ')[1] ?? '';
  return { text: readFileSync(path, 'utf8'), publicHalf, fingerprint: shown };
}

test('a dry run says what it would do, and does nothing', async () => {
  const output = await mustSetUp(['--upstream', upstream.url, '--dry-run']);
  assert.ok(output.includes(`store ${upstream.url} as the upstream`), output);
  assert.ok(output.includes(`pin the host key ssh-ed25519 ${upstream.hostFingerprint}`), output);
  assert.match(output, 'make a deploy key (ed25519)');
  assert.is((await host.admin(`ls ${folder}`)).status, 2);
});

for (const [what, option] of [
  ['I76 a remote helper', 'ext::touch%20/tmp/flight-launch-upstream-i76'],
  ['I77 an option', '--upload-pack=touch'],
  ['a folder', '/srv/shop.git'],
  ['http', 'http://me:hunter2@host/shop'],
] as const) {
  test(`${what} is refused as upstream, and nothing is made`, async () => {
    const { status, output } = await setUp([`--upstream=${option}`]);
    assert.is(status, 2, output);
    assert.match(output, /the upstream cannot be ".*": .*\n.*Use `ssh:\/\/git@HOST\/PATH`/);
    assert.not.match(output, 'hunter2');
    assert.is((await host.admin(`ls ${folder}`)).status, 2);
  });
}

test('a key is made and shown, the host is pinned and shown, and both are of use', async () => {
  const output = await mustSetUp(['--upstream', upstream.url]);
  assert.ok(output.includes(`host key ssh-ed25519 ${upstream.hostFingerprint} (pinned now`), output);
  assert.ok(output.includes(`Deploy key ssh-ed25519 ${await fingerprint()} (made now)`), output);
  const line =
    /^ +(ssh-ed25519 \S+ flight-launch:upstream)\n +add this key with write access to the upstream$/m;
  const shown = line.exec(output)?.[1] ?? '';
  assert.is(await host.mustAdmin(`cat ${folder}/deploy-key.pub`), shown);
  assert.match((await reach()).output, 'Permission denied');
  upstream.authorize(shown);
  const reached = await reach();
  assert.is(reached.status, 0, reached.output);
  const user = await host.mustAdmin(`stat -c %U ${folder}`);
  assert.is(
    await host.mustAdmin(`cd ${folder} && stat -c '%a %U %n' deploy-key deploy-key.pub known_hosts`),
    ['deploy-key', 'deploy-key.pub', 'known_hosts'].map((name) => `600 ${user} ${name}`).join('\n'),
  );
  assert.match((await host.must('flight-launch:report', 'upstream')).stdout, `Upstream: `);
  assert.ok((await host.must('flight-launch:report', 'upstream')).stdout.includes(upstream.url));
});

test('again, with and without the options, changes nothing', async () => {
  const before = await stored();
  const again = await mustSetUp(['--upstream', upstream.url]);
  assert.ok(again.includes(`Deploy key ssh-ed25519 ${await fingerprint()} (as before)`), again);
  assert.ok(again.includes(`${upstream.hostFingerprint} (pinned before)`), again);
  assert.not.match(await mustSetUp([]), 'ssh-ed25519');
  assert.is(await stored(), before);
});

test('another repository of the same host keeps key and pin', async () => {
  const files = () => host.mustAdmin(`cd ${folder} && sha256sum deploy-key known_hosts`);
  const before = await files();
  const other = `${upstream.url.replace(/[^/]*$/, '')}other.git`;
  await mustSetUp(['--upstream', other]);
  assert.is(await files(), before);
  assert.ok((await host.must('flight-launch:report', 'upstream')).stdout.includes(other));
  await mustSetUp(['--upstream', upstream.url]);
});

test('bad keys are refused one by one, saying why, and nothing is stored', async () => {
  const before = await stored();
  const good = made('-t', 'ed25519');
  const cases: [input: string, why: string][] = [
    [made('-t', 'ed25519', '-N', 'hunter2').text, 'is encrypted with a passphrase'],
    [`${good.publicHalf} ada\n`, 'is a public key; the private one is needed'],
    [made('-t', 'rsa', '-b', '1024').text, 'is weak: RSA with 1024 bits, less than 2048'],
    [good.text.slice(0, 200), 'is malformed or incomplete'],
    ['', 'standard input is empty'],
    ['a'.repeat(70_000), 'standard input is larger than 64 KiB'],
  ];
  for (const [input, why] of cases) {
    const { status, output } = await setUp(['--upstream', upstream.url, '--deploy-key'], input);
    assert.is(status, 1, output);
    assert.ok(output.includes(why), `${why}: ${output}`);
    for (const line of input.split('\n').filter((text) => text.length > 30 && !text.startsWith('-----'))) {
      assert.not.ok(output.includes(line.slice(0, 20)), output);
    }
  }
  assert.is(await stored(), before);
});

test('a key that is given takes the place of the one that was made, whatever its line ends', async () => {
  const key = made('-t', 'ecdsa', '-m', 'PEM');
  const input = key.text.trimEnd().replaceAll('\n', '\r\n');
  const before = await stored();
  const dry = await mustSetUp(['--deploy-key', '--dry-run'], input);
  assert.ok(dry.includes(`store the deploy key ecdsa-sha2-nistp256 ${key.fingerprint}`), dry);
  assert.is(await stored(), before);
  const output = await mustSetUp(['--deploy-key'], input);
  assert.ok(output.includes(`${key.fingerprint} (as given)`), output);
  assert.ok(output.includes(`${key.publicHalf} flight-launch:upstream`), output);
  assert.is(`${await privateKey()}\n`, key.text);
  upstream.authorizeNone();
  upstream.authorize(key.publicHalf);
  const reached = await reach();
  assert.is(reached.status, 0, reached.output);
});

test('a stored key that is damaged is named with its file, and replaced by one that is given', async () => {
  await host.mustAdmin(`truncate --size 200 ${folder}/deploy-key`);
  const before = await stored();
  const { status, output } = await setUp(['--upstream', upstream.url]);
  assert.is(status, 1, output);
  assert.match(output, /deploy-key cannot be used: /);
  assert.match(output, 'flight-launch:setup upstream --deploy-key < FILE');
  assert.is(await stored(), before);

  const key = made('-t', 'ed25519');
  await mustSetUp(['--deploy-key'], key.text);
  assert.is(`${await privateKey()}\n`, key.text);
  upstream.authorizeNone();
  upstream.authorize(key.publicHalf);
  const reached = await reach();
  assert.is(reached.status, 0, reached.output);
});

test('a host key that changed is refused with both fingerprints, until the pinned one is forgotten', async () => {
  const before = await stored();
  const pinned = upstream.hostFingerprint;
  upstream.changeHostKey();
  const refused = await setUp(['--upstream', upstream.url]);
  assert.is(refused.status, 1, refused.output);
  assert.ok(refused.output.includes(`ssh-ed25519: pinned ${pinned}, shown now ${upstream.hostFingerprint}`));
  assert.match(refused.output, '`dokku flight-launch:set upstream upstream --unset` forgets the pinned one');
  assert.is(await stored(), before);
  const key = await privateKey();
  const unset = await host.must('flight-launch:set', 'upstream', 'upstream', '--unset');
  assert.match(unset.output, 'the host keys that were pinned are forgotten; the deploy key stays');
  assert.is((await host.admin(`cat ${folder}/known_hosts`)).status, 1);
  assert.not.ok((await host.must('flight-launch:report', 'upstream')).stdout.includes(upstream.url));
  const output = await mustSetUp(['--upstream', upstream.url]);
  assert.ok(output.includes(`${upstream.hostFingerprint} (pinned now`), output);
  assert.is(await privateKey(), key);
  assert.is((await reach()).status, 0);
});

test('a host that cannot be reached is no failure of setup, which says what remains; so does doctor', async () => {
  const output = await mustSetUp(['--upstream', 'ssh://git@127.0.0.1:1/shop.git']);
  assert.match(output, /flight-launch: \[127\.0\.0\.1\]:1 shows no host key/);
  assert.match(output, 'run this again once the host can be reached');
  await host.mustAdmin(`chmod 640 ${folder}/deploy-key`);
  const examined = await host.dokku('flight-launch:doctor');
  assert.is(examined.status, 1, examined.output);
  assert.match(
    examined.output,
    "upstream: the list of its upstream's host keys is missing. Run `dokku flight-launch:setup",
  );
  assert.match(examined.output, /upstream: others can get at \S+\/deploy-key\. Run `chmod 600 /);
  await host.mustAdmin(`chmod 600 ${folder}/deploy-key`);
  await mustSetUp(['--upstream', upstream.url]);
  assert.is((await host.dokku('flight-launch:doctor')).status, 0);
});

test('over https there is no key, and the token in the URL is shown nowhere', async () => {
  const url = 'https://ada:hunter2@git.example/shop.git';
  const setup = ['flight-launch:setup', 'upstream-https', '--upstream', url];
  const refused = await host.dokkuWith({ input: made('-t', 'ed25519').text }, ...setup, '--deploy-key');
  assert.is(refused.status, 2, refused.output);
  assert.match(refused.output, 'it takes no deploy key');
  const { output } = await host.must(...setup);
  assert.match(output, 'Upstream https://REDACTED@git.example/shop.git');
  assert.not.match(output, /Deploy key|host key/);
  const report = await host.must('flight-launch:report', 'upstream-https', '--format', 'json');
  assert.is(
    (JSON.parse(report.stdout) as { upstream: string }).upstream,
    'https://REDACTED@git.example/shop.git',
  );
  printed += refused.output + output + report.output;
  assert.is((await host.admin(`ls ${folder.replace(/"$/, '-https"')}/deploy-key`)).status, 2);
});

test('set leaves the upstream to setup', async () => {
  const { status, output } = await host.dokku('flight-launch:set', 'upstream', 'upstream', 'git@host:shop');
  assert.is(status, 2, output);
  assert.match(output, '`dokku flight-launch:setup NAME --upstream URL`');
});

test('no private key and no token was ever printed or logged', async () => {
  const log = await host.mustAdmin('cat "$DOKKU_LIB_ROOT/data/flight-launch/flight-launch.log"');
  assert.match(log, 'setup ended');
  const secrets = (await privateKey())
    .split('\n')
    .filter((line) => !line.startsWith('-----') && line.length > 20);
  assert.ok(secrets.length > 0);
  for (const secret of [...secrets, 'PRIVATE KEY', 'hunter2']) {
    assert.not.ok(printed.includes(secret));
    assert.not.ok(log.includes(secret));
  }
});

test('unlink takes key and pin along', async () => {
  await host.must('flight-launch:unlink', 'upstream');
  assert.is((await host.admin(`ls ${folder}`)).status, 2);
});

test.run();
