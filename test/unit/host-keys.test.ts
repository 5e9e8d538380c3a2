import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  changedHostKeys,
  knownHostName,
  knownHosts,
  parseHostKeys,
  type HostKey,
} from '../../src/domain/host-keys';
import { inScratch } from '../support/scratch';
import { assert, suite } from '../support/suite';

const test = suite('host keys');

const key = (type: string, value = 'a'): HostKey => ({
  name: 'host',
  type,
  key: value,
  fingerprint: `SHA256:${type}-${value}`,
});

test('a scan is read with the fingerprints that ssh-keygen shows', async () => {
  await inScratch((folder) => {
    const lines: string[] = [];
    for (const type of ['rsa', 'ecdsa', 'ed25519']) {
      const path = join(folder, type);
      execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', path]);
      lines.push(`[host]:2222 ${readFileSync(`${path}.pub`, 'utf8').split(' ').slice(0, 2).join(' ')}`);
    }
    const scan = `# host:2222 SSH-2.0-OpenSSH\r\n${lines.join('\r\n')}\r\n${lines[0] ?? ''}\n`;
    const keys = parseHostKeys(scan);
    assert.equal(
      keys.map(({ type }) => type),
      ['ecdsa-sha2-nistp256', 'ssh-ed25519', 'ssh-rsa'],
    );
    for (const { name, type, fingerprint } of keys) {
      const path = join(folder, `${type.replace('-sha2-nistp256', '').replace('ssh-', '')}.pub`);
      assert.is(fingerprint, execFileSync('ssh-keygen', ['-l', '-f', path]).toString().split(' ')[1]);
      assert.is(name, '[host]:2222');
    }
    assert.equal(knownHosts(keys).trimEnd().split('\n').sort(), [...lines].sort());
    assert.equal(parseHostKeys(knownHosts(keys)), keys);
  });
});

test('lines that are no key of a host are left out', () => {
  const ed25519 = 'AAAAC3NzaC1lZDI1NTE5AAAAIDQ7O2sM1vzvYQ4m0n7rXk3xQm2Vb9m8b8r6o6z8o6z8';
  assert.is(parseHostKeys(`host ssh-ed25519 ${ed25519}`).length, 1);
  for (const line of [
    '',
    'host',
    'host ssh-ed25519',
    `host ssh-rsa ${ed25519}`,
    `host ssh-ed25519 ${ed25519}!`,
    `host ssh-ed25519 ${ed25519} more`,
    `#host ssh-ed25519 ${ed25519}`,
    `@revoked ssh-ed25519 ${ed25519}`,
    ` ssh-ed25519 ${ed25519}`,
    `host ssh-\u001b[2J ${ed25519}`,
    'host ssh-ed25519 AAAA',
  ]) {
    assert.equal(parseHostKeys(line), []);
  }
});

test('a host is named as ssh looks it up', () => {
  assert.equal(
    [knownHostName('host', 22), knownHostName('::1', 22), knownHostName('::1', 7)],
    ['host', '::1', '[::1]:7'],
  );
});

test('the same keys, fewer of them or further ones are no change', () => {
  const pinned = [key('ecdsa'), key('ed25519')];
  for (const found of [pinned, [key('ed25519')], [key('ecdsa'), key('ed25519'), key('rsa')]]) {
    assert.equal(changedHostKeys(pinned, found), []);
  }
  assert.equal(changedHostKeys([], pinned), []);
  assert.equal(changedHostKeys(pinned, []), []);
});

test('a changed key is told by both fingerprints, also where the other type is unchanged', () => {
  const changed = { type: 'ed25519', pinned: 'SHA256:ed25519-a', found: 'SHA256:ed25519-b' };
  assert.equal(changedHostKeys([key('ed25519')], [key('ed25519', 'b')]), [changed]);
  assert.equal(changedHostKeys([key('ecdsa'), key('ed25519')], [key('ecdsa'), key('ed25519', 'b')]), [
    changed,
  ]);
});

test('keys of other types only are a change', () => {
  assert.equal(changedHostKeys([key('ed25519')], [key('rsa')]), [
    { type: 'ed25519 to rsa', pinned: 'SHA256:ed25519-a', found: 'SHA256:rsa-a' },
  ]);
});

test.run();
