import { fingerprintOf } from './deploy-key';

/** A key by which a server proves who it is. */
export interface HostKey {
  /** The server as `known_hosts` names it. */
  name: string;
  type: string;
  /** In base64. */
  key: string;
  /** `SHA256:…`, as `ssh-keygen -l` and the pages of git hosts show it. */
  fingerprint: string;
}

/** How a server is named in `known_hosts` (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT). */
export function knownHostName(host: string, port: number): string {
  return port === 22 ? host : `[${host}]:${port}`;
}

/**
 * Reads what `ssh-keyscan` printed, or a `known_hosts` file of ours, in the order of key types. Other lines are left out:
 * the output of a scan is a stranger's.
 */
export function parseHostKeys(text: string): HostKey[] {
  const keys = text.split(/\r?\n/).flatMap((line) => {
    const [name = '', type = '', key = '', ...rest] = line.split(' ');
    if (rest.length > 0 || !/^[A-Za-z0-9_[]/.test(name)) return [];
    const blob = Buffer.from(key, 'base64');
    if (!isOfType(blob, type) || blob.toString('base64') !== key) return [];
    return [{ name, type, key, fingerprint: fingerprintOf(blob) }];
  });
  const single = new Map(keys.map((key) => [`${key.name} ${key.type} ${key.key}`, key]));
  return [...single.values()].sort((one, other) => one.type.localeCompare(other.type));
}

/** Whether a key begins with its type, as RFC 4253, section 6.6 has it. */
function isOfType(blob: Buffer, type: string): boolean {
  if (!/^[a-z][a-z0-9@.-]{1,63}$/.test(type) || blob.length < 4 + type.length) return false;
  return blob.readUInt32BE(0) === type.length && blob.toString('latin1', 4, 4 + type.length) === type;
}

/** Content of a `known_hosts` file that lets one server in. */
export function knownHosts(keys: readonly HostKey[]): string {
  return keys.map(({ name, type, key }) => `${name} ${type} ${key}\n`).join('');
}

export interface ChangedHostKey {
  type: string;
  pinned: string;
  found: string;
}

/**
 * The keys that are not what was pinned for the same server, by fingerprint: where both have a key of one type, these
 * have to be the same, and one pinned key has to be there still. A key of another type beside it is no change.
 */
export function changedHostKeys(pinned: readonly HostKey[], found: readonly HostKey[]): ChangedHostKey[] {
  const changed: ChangedHostKey[] = [];
  let same = false;
  for (const before of pinned) {
    const now = found.filter(({ type }) => type === before.type);
    if (now.some(({ key }) => key === before.key)) same = true;
    else if (now[0] !== undefined)
      changed.push({ type: before.type, pinned: before.fingerprint, found: now[0].fingerprint });
  }
  const [before, now] = [pinned[0], found[0]];
  if (changed.length > 0 || same || before === undefined || now === undefined) return changed;
  return [{ type: `${before.type} to ${now.type}`, pinned: before.fingerprint, found: now.fingerprint }];
}
