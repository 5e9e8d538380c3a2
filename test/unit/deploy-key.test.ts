import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseDeployKey } from '../../src/domain/deploy-key';
import { UserError } from '../../src/domain/errors';
import { assert, suite } from '../support/suite';
import { thrown } from '../support/thrown';

const test = suite('deploy key');

const folder = mkdtempSync(join(tmpdir(), 'flight-launch-unit-'));
const known = new Map<string, { path: string; text: string }>();

/** A key made by the real ssh-keygen; RSA takes its time, so the same one for the same options. */
function made(...options: string[]): { path: string; text: string } {
  const before = known.get(options.join(' '));
  if (before !== undefined) return before;
  const path = join(folder, `key-${known.size}`);
  execFileSync('ssh-keygen', ['-q', '-N', '', '-C', 'ada@laptop', '-f', path, ...options]);
  const key = { path, text: readFileSync(path, 'utf8') };
  known.set(options.join(' '), key);
  return key;
}

function keygen(...args: string[]): string {
  return execFileSync('ssh-keygen', args).toString().trim();
}

/** Refusal of a text; no line of the text may be in it. */
function refusal(text: string): string {
  const error = thrown(() => parseDeployKey(text), UserError);
  const shown = `${error.message}\n${error.remedy ?? ''}\n${String(error.stack)}\n${String(error.cause)}`;
  for (const line of text.split(/[\r\n]+/)) {
    if (!line.startsWith('-----') && line.length > 8) assert.not.ok(shown.includes(line.slice(0, 16)), line);
  }
  assert.match(error.remedy ?? '', /./);
  return error.message;
}

test.after(() => rmSync(folder, { recursive: true }));

const good: Record<string, string[]> = {
  ed25519: ['-t', 'ed25519'],
  'ecdsa 256': ['-t', 'ecdsa', '-b', '256'],
  'ecdsa 384': ['-t', 'ecdsa', '-b', '384'],
  'ecdsa 521': ['-t', 'ecdsa', '-b', '521'],
  'rsa 2048': ['-t', 'rsa', '-b', '2048'],
  'rsa 3072': ['-t', 'rsa', '-b', '3072'],
  'ecdsa 256, PEM': ['-t', 'ecdsa', '-b', '256', '-m', 'PEM'],
  'ecdsa 521, PEM': ['-t', 'ecdsa', '-b', '521', '-m', 'PEM'],
  'rsa 2048, PEM': ['-t', 'rsa', '-b', '2048', '-m', 'PEM'],
};

for (const [what, options] of Object.entries(good)) {
  test(`${what}: type, public half and fingerprint are those that ssh-keygen shows`, () => {
    const { path, text } = made(...options);
    const key = parseDeployKey(text);
    assert.is(key.publicLine, readFileSync(`${path}.pub`, 'utf8').split(' ').slice(0, 2).join(' '));
    const [bits, fingerprint] = keygen('-l', '-f', path).split(' ');
    assert.is(key.fingerprint, fingerprint);
    assert.is(key.bits, Number(bits));
    assert.is(key.type, key.publicLine.split(' ')[0]);
    assert.is(key.text, text);
  });
}

test('line ends, spaces around and a missing last newline are put right', () => {
  for (const options of [
    ['-t', 'ed25519'],
    ['-t', 'rsa', '-b', '2048', '-m', 'PEM'],
  ]) {
    const { text } = made(...options);
    for (const variant of [
      text.replaceAll('\n', '\r\n'),
      text.replaceAll('\n', '\r'),
      text.trimEnd(),
      `\uFEFF\n  ${text}\n\n`,
    ]) {
      assert.is(parseDeployKey(variant).text, text);
    }
  }
});

test('one with a passphrase is named as such, in every form', () => {
  const secret = ['-N', 'a passphrase'];
  const pem = made('-t', 'rsa', '-b', '2048', '-m', 'PEM', ...secret).text;
  for (const text of [
    made('-t', 'ed25519', ...secret).text,
    made('-t', 'ed25519', ...secret, '-Z', 'chacha20-poly1305@openssh.com').text,
    pem,
    pem.replaceAll('\n', '\r\n'),
    made('-t', 'ecdsa', '-m', 'PEM', ...secret).text,
    made('-t', 'rsa', '-b', '2048', '-m', 'PKCS8', ...secret).text,
  ]) {
    assert.is(refusal(text), 'the deploy key is encrypted with a passphrase, which nobody could type here');
  }
});

test('a public key is named as such', () => {
  const { path } = made('-t', 'ed25519');
  const rsa = made('-t', 'rsa', '-b', '2048').path;
  for (const text of [
    readFileSync(`${path}.pub`, 'utf8'),
    readFileSync(`${rsa}.pub`, 'utf8'),
    keygen('-e', '-f', `${rsa}.pub`),
    keygen('-e', '-m', 'PEM', '-f', `${rsa}.pub`),
    keygen('-e', '-m', 'PKCS8', '-f', `${rsa}.pub`),
    'sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t',
  ]) {
    assert.is(refusal(text), 'the deploy key is a public key; the private one is needed');
  }
});

test('weak ones are named as such', () => {
  const weak = 'the deploy key is weak: RSA with 1024 bits, less than 2048';
  assert.is(refusal(made('-t', 'rsa', '-b', '1024').text), weak);
  assert.is(refusal(made('-t', 'rsa', '-b', '1024', '-m', 'PEM').text), weak);
  const dsa = join(folder, 'dsa');
  execFileSync('openssl', ['dsaparam', '-genkey', '-noout', '-out', dsa, '1024'], { stdio: 'ignore' });
  const pem = execFileSync('openssl', ['pkey', '-in', dsa, '-traditional']).toString();
  assert.match(refusal(pem), /^the deploy key is a DSA key, which is weak/);
});

test('other forms and types are named as such', () => {
  assert.match(refusal(made('-t', 'rsa', '-b', '2048', '-m', 'PKCS8').text), 'in the form PKCS#8');
  assert.match(refusal('PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n'), "in PuTTY's form");
  const curve = execFileSync('openssl', ['ecparam', '-name', 'secp256k1', '-genkey', '-noout']).toString();
  assert.match(refusal(curve), 'is of a type that cannot be used');
});

test('one that is cut or altered is malformed', () => {
  const whole = [made('-t', 'ed25519'), made('-t', 'rsa', '-b', '2048'), made('-t', 'ecdsa', '-m', 'PEM')];
  const malformed = 'the deploy key is malformed or incomplete';
  for (const { text } of whole) {
    const lines = text.trimEnd().split('\n');
    for (const cut of [
      lines.slice(1),
      lines.slice(0, -1),
      [...lines.slice(0, -2), ...lines.slice(-1)],
      [...lines.slice(0, 1), ...lines.slice(2)],
      [lines[0], lines.at(-1)],
      [lines[0], '', lines.at(-1)],
      [lines.join(' ')],
    ]) {
      assert.is(refusal(cut.join('\n')), malformed);
    }
  }
  for (const text of ['', ' \n', 'hello', '-----BEGIN OPENSSH PRIVATE KEY-----', '\u0000\u0001']) {
    assert.is(refusal(text), malformed);
  }
});

test('no single altered byte of a private half passes', () => {
  for (const options of [
    ['-t', 'ed25519'],
    ['-t', 'ecdsa'],
  ]) {
    const lines = made(...options)
      .text.trim()
      .split('\n');
    const blob = Buffer.from(lines.slice(1, -1).join(''), 'base64');
    const fine = parseDeployKey(lines.join('\n'));
    for (let position = 0; position < blob.length; position += 1) {
      const altered = Buffer.from(blob);
      altered[position] = (altered[position] ?? 0) ^ 1;
      const text = [lines[0], altered.toString('base64'), lines.at(-1)].join('\n');
      let key;
      try {
        key = parseDeployKey(text);
      } catch (error) {
        assert.instance(error, UserError);
        continue;
      }
      // What is left is the copy of the public half outside, and the comment: neither is used.
      assert.is(key.publicLine, fine.publicLine, `byte ${position}`);
    }
  }
});

test.run();
