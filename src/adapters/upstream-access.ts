import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { deployKeyComment, parseDeployKey, type DeployKey } from '../domain/deploy-key';
import { ProcessError, UserError } from '../domain/errors';
import { knownHostName, knownHosts, parseHostKeys, type HostKey } from '../domain/host-keys';
import { printable } from '../domain/paths';
import type { AccessFile, UpstreamAccess } from '../domain/ports';
import { isMissing, readIfThere, syncFolder, writeDurably } from './files';
import { run, runWithin, type Environment } from './process';

export interface UpstreamAccessOptions {
  /** Of the pipeline; it has to exist. */
  folder: string;
  pipeline: string;
  env: Environment;
  /** Milliseconds for a scan. */
  scanTimeout?: number;
}

/** Where a pipeline's keys are: `deploy-key` with its public half beside it, and `known_hosts`. */
export function accessFiles(folder: string): { key: string; publicKey: string; knownHosts: string } {
  return {
    key: join(folder, 'deploy-key'),
    publicKey: join(folder, 'deploy-key.pub'),
    knownHosts: join(folder, 'known_hosts'),
  };
}

/** The keys of a pipeline as files that only Dokku's user may read. */
export class FileUpstreamAccess implements UpstreamAccess {
  private readonly files: ReturnType<typeof accessFiles>;

  constructor(private readonly has: UpstreamAccessOptions) {
    this.files = accessFiles(has.folder);
  }

  async deployKey(): Promise<DeployKey | undefined> {
    const text = await readIfThere(this.files.key);
    if (text === undefined) return undefined;
    try {
      return parseDeployKey(text.toString());
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      throw new UserError(`${this.files.key} cannot be used: ${error.message}`, {
        remedy: `Store another one: \`ssh HOST flight-launch:setup ${this.has.pipeline} --deploy-key < FILE\`.`,
        cause: error,
      });
    }
  }

  async makeDeployKey(): Promise<DeployKey> {
    const { folder, env } = this.has;
    const aside = await mkdtemp(join(folder, 'deploy-key-'));
    try {
      const path = join(aside, 'key');
      await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', this.comment, '-f', path], { env });
      const key = parseDeployKey(await readFile(path, 'utf8'));
      await this.saveDeployKey(key);
      return key;
    } finally {
      await rm(aside, { recursive: true, force: true });
    }
  }

  async saveDeployKey(key: DeployKey): Promise<void> {
    await writeDurably(this.files.key, key.text);
    await writeDurably(this.files.publicKey, `${key.publicLine} ${this.comment}\n`);
  }

  async scan(host: string, port: number): Promise<HostKey[]> {
    const { env, scanTimeout = 30_000 } = this.has;
    const name = knownHostName(host, port);
    const unseen = (why: string, cause?: unknown) =>
      new UserError(`${name} shows no host key${why === '' ? '' : `: ${printable(why)}`}`, { cause });
    try {
      // -T is for each connection, of which there are several.
      const { stdout, stderr } = await runWithin(
        scanTimeout,
        'ssh-keyscan',
        ['-T', '10', '-p', String(port), host],
        { env },
      );
      const keys = parseHostKeys(stdout).map((key) => ({ ...key, name }));
      if (keys.length === 0) throw unseen(complaint(stderr));
      return keys;
    } catch (error) {
      if (!(error instanceof ProcessError)) throw error;
      const { timedOut, stderr } = error.failure;
      throw unseen(timedOut ? `it does not answer within ${scanTimeout / 1000} s` : complaint(stderr), error);
    }
  }

  async hostKeys(): Promise<HostKey[]> {
    return parseHostKeys((await readIfThere(this.files.knownHosts))?.toString() ?? '');
  }

  async pinHostKeys(keys: readonly HostKey[]): Promise<void> {
    await writeDurably(this.files.knownHosts, knownHosts(keys));
  }

  async forgetHostKeys(): Promise<void> {
    await rm(this.files.knownHosts, { force: true });
    await syncFolder(this.has.folder);
  }

  async examine(): Promise<AccessFile[]> {
    const { key, knownHosts } = this.files;
    const isKey = async () => {
      try {
        return (await this.deployKey()) !== undefined;
      } catch (error) {
        if (error instanceof UserError) return false;
        throw error;
      }
    };
    const areHostKeys = async () => (await this.hostKeys()).length > 0;
    return [
      { name: 'deploy-key', path: key, state: await stateOf(key, isKey) },
      { name: 'known_hosts', path: knownHosts, state: await stateOf(knownHosts, areHostKeys) },
    ];
  }

  private get comment(): string {
    return deployKeyComment(this.has.pipeline);
  }
}

async function stateOf(path: string, isWhole: () => Promise<boolean>): Promise<AccessFile['state']> {
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) return 'exposed';
  } catch (error) {
    if (isMissing(error)) return 'missing';
    throw error;
  }
  return (await isWhole()) ? 'fine' : 'damaged';
}

/** What ssh-keyscan complains of, without its remarks on versions. */
function complaint(stderr: string): string {
  return stderr.split('\n').find((line) => line !== '' && !line.startsWith('#')) ?? '';
}

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
