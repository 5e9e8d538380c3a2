import { execa } from 'execa';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { delimiter, join } from 'node:path';

/**
 * What an upstream can do wrong:
 * - `protect` refuses the refs, as a protected branch does; what else is pushed along is accepted, unless `--atomic`
 * - `hang` takes every connection and never answers git; `hang-push` takes a push and never answers it
 * - `lose-answer` accepts a push, then the connection dies before the reply
 * - `reset` lets the connection die once the push has arrived, and accepts nothing
 * - `read-only` refuses to be pushed to at all, a dry run included, as for a key without write access
 */
export type Fault = 'none' | 'protect' | 'hang' | 'hang-push' | 'lose-answer' | 'reset' | 'read-only';

/**
 * The upstream of a monorepo: a bare repository behind an sshd of its own on a loopback port, reached as GitHub would
 * be, by key alone. Its branch is `master`. It serves any host on this machine, a real Dokku as well.
 */
export class TestUpstream {
  /** What git calls it. */
  readonly url: string;
  /** The bare repository: a test pushes to it by this path, past sshd and its faults. */
  readonly folder: string;

  readonly #stopAtExit = () => this.stop();

  private constructor(
    private readonly root: string,
    readonly port: number,
  ) {
    this.folder = join(root, 'monorepo.git');
    this.url = `ssh://${userInfo().username}@127.0.0.1:${port}${this.folder}`;
    // Also where the runner ends this file.
    process.once('exit', this.#stopAtExit);
  }

  /** @param name shown in the path of the repository */
  static async start(name: string): Promise<TestUpstream> {
    const root = mkdtempSync(join(tmpdir(), `flight-launch-upstream-${name}-`));
    for (let attempt = 1; ; attempt += 1) {
      const upstream = new TestUpstream(root, await freePort());
      upstream.#write();
      try {
        upstream.#listen();
        return upstream;
      } catch (error) {
        // Another may have taken the port meanwhile.
        if (attempt < 5) process.removeListener('exit', upstream.#stopAtExit);
        else throw error;
      }
    }
  }

  /** Ends it, open connections included, and removes the repository. */
  stop(): void {
    process.removeListener('exit', this.#stopAtExit);
    this.#end();
    rmSync(this.root, { recursive: true, force: true });
  }

  /** Runs git in the bare repository; returns standard output without its last newline. */
  async git(...args: string[]): Promise<string> {
    return (await execa('git', args, { cwd: this.folder, env: identity })).stdout;
  }

  /** Lets a key in. @param publicKey a line as `ssh-keygen` writes it */
  authorize(publicKey: string): void {
    appendFileSync(join(this.root, 'authorized_keys'), `${publicKey.trim()}\n`);
  }

  /** Lets no key in any more. */
  authorizeNone(): void {
    writeFileSync(join(this.root, 'authorized_keys'), '');
  }

  /**
   * Behaves badly until told otherwise.
   * @param refs full names: only pushes that touch one of them; of any push where none is named. `protect` needs some
   */
  fail(fault: Fault, ...refs: string[]): void {
    if (fault === 'protect' && refs.length === 0) throw new Error('name the refs to protect');
    // The refs first: a push may come at any time.
    writeFileSync(join(this.root, 'refs'), refs.map((ref) => `${ref}\n`).join(''));
    writeFileSync(join(this.root, 'fault'), `${fault}\n`);
  }

  /**
   * Runs a shell script in the bare repository before the next push is told which refs there are. One that fails is run
   * again before the push after that: it can wait so for its moment, past dry runs and the first of several pushes.
   */
  onPush(script: string): void {
    writeFileSync(join(this.root, 'on-push'), `set -e\n${script}\n`);
  }

  /** Whether the script of `onPush` is through. */
  get pushSeen(): boolean {
    return !existsSync(join(this.root, 'on-push'));
  }

  /** `SHA256:…` of its host key, as `ssh-keygen -l` shows it. */
  get hostFingerprint(): string {
    const shown = execFileSync('ssh-keygen', ['-l', '-f', join(this.root, 'host_key.pub')]).toString();
    return shown.split(' ')[1] ?? '';
  }

  /** Makes it another server to those who pinned its host key, as after a change or with someone in between. */
  changeHostKey(): void {
    this.#end();
    for (const file of ['host_key', 'host_key.pub']) rmSync(join(this.root, file));
    this.#makeHostKey();
    this.#listen();
  }

  #write(): void {
    const { root, folder } = this;
    if (!existsSync(folder)) {
      execFileSync('git', ['init', '--quiet', '--bare', '--initial-branch', 'master', folder]);
      execFileSync('git', ['config', 'receive.autogc', 'false'], { cwd: folder });
      this.#makeHostKey();
      mkdirSync(join(folder, 'hooks'), { recursive: true });
      this.fail('none');
      this.authorizeNone();
      this.#script(join(root, 'serve'), serve);
      this.#script(join(folder, 'hooks/pre-receive'), preReceive);
      this.#script(join(folder, 'hooks/update'), update);
    }
    writeFileSync(
      join(root, 'sshd_config'),
      `ListenAddress 127.0.0.1:${this.port}
HostKey ${root}/host_key
PidFile ${root}/sshd.pid
AuthorizedKeysFile ${root}/authorized_keys
AuthenticationMethods publickey
PermitRootLogin yes
StrictModes no
UsePAM ${rootIsLocked() ? 'yes' : 'no'}
PrintMotd no
MaxStartups 100
ForceCommand ${root}/serve
DisableForwarding yes
`,
    );
  }

  #script(path: string, text: string): void {
    const head = `#!/bin/sh\nroot=${this.root}\nPATH=${process.env.PATH ?? ''}${delimiter}/usr/bin:/bin\nexport PATH\n`;
    writeFileSync(path, `${head}${common}${text}`, { mode: 0o755 });
  }

  #makeHostKey(): void {
    const path = join(this.root, 'host_key');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', path]);
  }

  /** Returns once it listens: only then sshd writes its pid. @throws Error with its log */
  #listen(): void {
    // sshd asks for this folder where it is root, and for its own whole path in any case.
    if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true });
    const sshd = execFileSync('sh', ['-c', 'PATH=$PATH:/usr/sbin:/sbin; command -v sshd']).toString().trim();
    const log = join(this.root, 'sshd.log');
    rmSync(log, { force: true });
    execFileSync(sshd, ['-f', join(this.root, 'sshd_config'), '-E', log]);
    const pidFile = join(this.root, 'sshd.pid');
    const deadline = Date.now() + 30_000;
    while (!existsSync(pidFile) || !readFileSync(pidFile, 'utf8').endsWith('\n')) {
      const said = existsSync(log) ? readFileSync(log, 'utf8') : '';
      if (said.includes('Cannot bind') || Date.now() > deadline)
        throw new Error(`sshd does not start: ${said}`);
      pause(20);
    }
  }

  #end(): void {
    const pidFile = join(this.root, 'sshd.pid');
    if (!existsSync(pidFile)) return;
    const daemon = Number(readFileSync(pidFile, 'utf8'));
    for (const pid of [daemon, ...childrenOf(daemon)]) end(pid);
    rmSync(pidFile, { force: true });
  }
}

const identity = {
  GIT_AUTHOR_NAME: 'Upstream',
  GIT_AUTHOR_EMAIL: 'upstream@example.invalid',
  GIT_COMMITTER_NAME: 'Upstream',
  GIT_COMMITTER_EMAIL: 'upstream@example.invalid',
};

const common = `fault=$(cat "$root/fault")

# The sshd of this connection.
connection() {
  pid=$$
  until case $(cat "/proc/$pid/comm") in sshd*) ;; *) false ;; esac; do
    pid=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status")
  done
  echo "$pid"
}

# The other end sees the connection go without a word.
die() {
  kill -KILL "$(connection)"
}
`;

/** The command of every connection. */
const serve = `
cd "$root/monorepo.git" || exit
case $SSH_ORIGINAL_COMMAND in
  "git-upload-pack '$root/monorepo.git'") service=upload-pack ;;
  "git-receive-pack '$root/monorepo.git'") service=receive-pack ;;
  *) echo "only git is served here, not: $SSH_ORIGINAL_COMMAND" >&2; exit 128 ;;
esac
# Until the other end goes.
[ "$fault" != hang ] || exec cat >/dev/null
[ "$service" = receive-pack ] || exec git upload-pack .
if [ "$fault" = read-only ]; then
  echo 'ERROR: The key you are authenticating with has been marked as read only.' >&2
  exit 1
fi
if [ -e "$root/on-push" ]; then
  if ${Object.entries(identity)
    .map(([name, value]) => `${name}='${value}'`)
    .join(' ')} sh "$root/on-push" >>"$root/on-push.log" 2>&1; then rm "$root/on-push"; fi
fi
[ "$fault" = lose-answer ] || exec git receive-pack .
# The two halves of a push, as over HTTP, so that the answer is ours to lose.
git receive-pack --http-backend-info-refs . || exit
export hit="$root/hit.$$"
git receive-pack --stateless-rpc . >"$root/answer.$$" || exit
[ ! -e "$hit" ] || die
cat "$root/answer.$$"
`;

/** Everything has arrived, nothing is accepted. */
const preReceive = `
touched=
while read -r _ _ ref; do
  if [ ! -s "$root/refs" ] || grep -qxF "$ref" "$root/refs"; then touched=1; fi
done
[ -n "$touched" ] || exit 0
case $fault in
  hang-push)
    pid=$(connection) || exit
    while [ -d "/proc/$pid" ]; do sleep 0.2; done
    exit 1
    ;;
  reset) die; exit 1 ;;
  lose-answer) : >"$hit" ;;
esac
`;

const update = `
if [ "$fault" = protect ] && grep -qxF "$1" "$root/refs"; then
  echo "error: GH006: Protected branch update failed for $1." >&2
  exit 1
fi
`;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Without PAM, sshd refuses an account whose password is locked. Only root can tell, and only root has to. */
function rootIsLocked(): boolean {
  if (userInfo().uid !== 0) return false;
  return readFileSync('/etc/shadow', 'utf8')
    .split('\n')
    .some((line) => line.startsWith('root:!'));
}

function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

function childrenOf(pid: number): number[] {
  const path = `/proc/${pid}/task/${pid}/children`;
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8').split(' ').filter(Boolean).map(Number);
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
