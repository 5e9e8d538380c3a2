import { createHash, createPublicKey, sign, verify } from 'node:crypto';
import ssh2 from 'ssh2-streams';
import type { ParsedKey } from 'ssh2-streams';
import { UserError } from './errors';

/** A private key that can be stored and used without anybody present. */
export interface DeployKey {
  /** `ssh-ed25519`, `ssh-rsa` or `ecdsa-sha2-nistp256`, `384`, `521`. */
  type: string;
  bits: number;
  /** Type and base64, as `authorized_keys` and the pages of git hosts take it; without a comment. */
  publicLine: string;
  /** `SHA256:…`, as `ssh-keygen -l` shows it. */
  fingerprint: string;
  /** The private key with line ends as ssh takes them. Secret: it goes nowhere but into its file. */
  text: string;
}

/** Below this, RSA counts as weak: NIST SP 800-131A; OpenSSH itself refuses less than 1024. */
const minimalRsaBits = 2048;

const types = /^(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521))$/;

const makeOne = '`ssh-keygen -t ed25519 -N "" -f FILE` makes one; give FILE, not FILE.pub.';

/**
 * Reads a private key in OpenSSH's form, or in PEM form with its type in the first line.
 * @throws UserError that says what is wrong with it, and never quotes any of it
 */
export function parseDeployKey(given: string): DeployKey {
  const text = `${given.replaceAll(/\r\n?/g, '\n').trim()}\n`;
  checkForm(text);
  const key = parse(text);
  if (key.type === 'ssh-dss')
    throw refused('is a DSA key, which is weak and which ssh no longer takes', makeOne);
  if (!types.test(key.type)) throw refused('is of a type that cannot be used here', makeOne);
  const blob = Buffer.from(key.getPublicSSH());
  const bits = bitsOf(key);
  if (key.type === 'ssh-rsa' && bits < minimalRsaBits) {
    throw refused(`is weak: RSA with ${bits} bits, less than ${minimalRsaBits}`, makeOne);
  }
  if (!isWhole(key)) throw malformed();
  return {
    type: key.type,
    bits,
    publicLine: `${key.type} ${blob.toString('base64')}`,
    fingerprint: fingerprintOf(blob),
    text,
  };
}

/** `SHA256:…` of a public key in the form of RFC 4253, section 6.6. */
export function fingerprintOf(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

/** By which a key is told from others where it was added. */
export function deployKeyComment(pipeline: string): string {
  return `flight-launch:${pipeline}`;
}

function refused(problem: string, remedy: string): UserError {
  return new UserError(`the deploy key ${problem}`, { remedy });
}

const malformed = () =>
  refused(
    'is malformed or incomplete',
    'Give the whole file, from its `-----BEGIN` line to its `-----END` line.',
  );

/** What the parser cannot tell apart, or would not say. */
function checkForm(text: string): void {
  if (/^-----BEGIN ENCRYPTED PRIVATE KEY-----$|^Proc-Type: 4,ENCRYPTED$|^DEK-Info:/m.test(text))
    throw encrypted();
  if (
    /^(?:ssh-|ecdsa-|sk-)\S+ |^---- BEGIN SSH2 PUBLIC KEY|^-----BEGIN (?:\w+ )?PUBLIC KEY-----/.test(text)
  ) {
    throw refused('is a public key; the private one is needed', makeOne);
  }
  const otherForm = "`ssh-keygen -p -N '' -f FILE` turns FILE into OpenSSH's form.";
  if (text.startsWith('-----BEGIN PRIVATE KEY-----'))
    throw refused('is in the form PKCS#8, which is not supported', otherForm);
  if (text.startsWith('PuTTY-')) {
    throw refused(
      "is in PuTTY's form, which is not supported",
      '`puttygen FILE -O private-openssh-new -o NEW` converts it.',
    );
  }
}

const encrypted = () =>
  refused(
    'is encrypted with a passphrase, which nobody could type here',
    "`ssh-keygen -p -N '' -f FILE` takes it off.",
  );

function parse(text: string): ParsedKey {
  let result: ReturnType<typeof ssh2.utils.parseKey>;
  try {
    result = ssh2.utils.parseKey(text);
  } catch {
    // Not as a cause: what it tells may hold some of the key.
    throw malformed();
  }
  if (result instanceof Error) {
    // Not as a cause either.
    if (/^Encrypted|cipher|kdf/i.test(result.message)) throw encrypted();
    if (/^Unsupported (?:OpenSSH private key type|private key EC OID)/.test(result.message)) {
      throw refused('is of a type that cannot be used here', makeOne);
    }
    throw malformed();
  }
  if (!Array.isArray(result)) {
    if (result === null) throw malformed();
    return result;
  }
  const [key, second] = result;
  if (key === undefined) throw malformed();
  if (second !== undefined) throw refused('is several keys in one', 'Give one.');
  return key;
}

/** Whether the private half fits the public one: a single wrong character need not break the form. */
function isWhole(key: ParsedKey): boolean {
  const algorithm = key.type === 'ssh-ed25519' ? null : 'sha256';
  const probe = Buffer.from('flight-launch');
  try {
    return verify(algorithm, probe, key.getPublicPEM(), sign(algorithm, probe, key.getPrivatePEM()));
  } catch {
    return false;
  }
}

/** @throws UserError where the public half is none */
function bitsOf(key: ParsedKey): number {
  const curve = /nistp([0-9]+)$/.exec(key.type)?.[1];
  if (curve !== undefined) return Number(curve);
  if (key.type === 'ssh-ed25519') return 256;
  try {
    return createPublicKey(key.getPublicPEM()).asymmetricKeyDetails?.modulusLength ?? 0;
  } catch {
    throw malformed();
  }
}
