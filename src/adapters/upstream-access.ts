/** How ssh reaches an upstream. */
export interface SshAccess {
  /** Path of the private key. */
  key: string;
  /** Path of the file that pins the host keys. */
  knownHosts: string;
  /** Seconds to wait for the connection. */
  connectTimeout?: number;
}

/**
 * The value of `GIT_SSH_COMMAND` (git(1)) that reaches an upstream by these two files alone: no configuration, agent or
 * key of the system's user has a say, nothing is ever asked, and a host that goes silent is given up within a minute.
 * git runs it through a shell.
 */
export function sshCommand({ key, knownHosts, connectTimeout = 15 }: SshAccess): string {
  const options = {
    // Not -i: where that file is missing, ssh tries the user's own keys.
    IdentityFile: `"${sshPath(key)}"`,
    IdentitiesOnly: 'yes',
    IdentityAgent: 'none',
    BatchMode: 'yes',
    PreferredAuthentications: 'publickey',
    PasswordAuthentication: 'no',
    KbdInteractiveAuthentication: 'no',
    StrictHostKeyChecking: 'yes',
    UserKnownHostsFile: `"${sshPath(knownHosts)}"`,
    GlobalKnownHostsFile: '/dev/null',
    // Only what setup pinned, under the upstream's own name; ssh neither adds to it nor asks for its address.
    UpdateHostKeys: 'no',
    CheckHostIP: 'no',
    ConnectTimeout: String(connectTimeout),
    ServerAliveInterval: '15',
    ServerAliveCountMax: '4',
    LogLevel: 'ERROR',
  };
  const words = ['ssh', '-F', '/dev/null', '-a', '-x'];
  for (const [name, value] of Object.entries(options)) words.push('-o', `${name}=${value}`);
  return words.map(shellWord).join(' ');
}

/** ssh expands `%` in its paths (ssh_config(5), TOKENS). */
function sshPath(path: string): string {
  return path.replaceAll('%', '%%');
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
