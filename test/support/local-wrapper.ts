import { execa } from 'execa';
import { resolve } from 'node:path';
import type { Result, TestHost } from './host';
import type { Monorepo } from './monorepo';

/** What `bin/flight-launch` has to run under. */
export const shells = [['dash'], ['bash', '--posix'], ['busybox', 'sh']] as const;

const program = resolve('bin/flight-launch');

/** `bin/flight-launch` as it is run in a checkout whose remotes are on a host. */
export class LocalWrapper {
  constructor(
    private readonly host: TestHost,
    private readonly checkout: Monorepo,
  ) {}

  start(shell: readonly string[], args: readonly string[], cwd = this.checkout.folder) {
    const [file = 'sh', ...options] = shell;
    return execa(file, [...options, program, ...args], { ...this.#options(cwd), stdin: 'ignore' });
  }

  run(shell: readonly string[], ...args: string[]): Promise<Result> {
    return ended(this.start(shell, args));
  }

  /** By dash in a terminal in which somebody types a line for each question. */
  startTyped(answers: readonly string[], ...args: string[]) {
    const command = ['dash', program, ...args].join(' ');
    return execa('script', ['--quiet', '--return', '--command', command, '/dev/null'], {
      ...this.#options(this.checkout.folder),
      input: answers.map((answer) => `${answer}\n`).join(''),
    });
  }

  runTyped(answers: readonly string[], ...args: string[]): Promise<Result> {
    return ended(this.startTyped(answers, ...args));
  }

  #options(cwd: string) {
    const env = {
      GIT_SSH_COMMAND: this.host.gitSsh,
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_NOSYSTEM: '1',
    };
    return { cwd, env, reject: false, all: true, timeout: 300_000 } as const;
  }
}

/** What `start` and `startTyped` give. */
interface Running extends PromiseLike<{
  exitCode?: number | undefined;
  all: string;
  stdout: string;
  stderr: string;
}> {
  readonly all: NodeJS.ReadableStream;
  readonly exitCode: number | null;
}

/** Waits for its end. */
export async function ended(running: Running): Promise<Result> {
  const { exitCode, all, stdout, stderr } = await running;
  return { status: exitCode ?? -1, output: all.replaceAll('\r\n', '\n'), stdout, stderr };
}

/**
 * Lets ssh end as it does where a connection is lost, once a job goes on without it.
 * @param command what the host was told, as a regular expression
 */
export async function loseConnection(running: Running, command: string): Promise<void> {
  let soFar = '';
  running.all.on('data', (chunk: Buffer) => (soFar += chunk.toString()));
  while (!soFar.includes('it goes on if this connection breaks')) {
    if (running.exitCode !== null) throw new Error(`it ended with ${running.exitCode}:\n${soFar}`);
    await new Promise((next) => setTimeout(next, 50));
  }
  const { stdout } = await execa('pgrep', ['-x', '-f', `ssh .*flight-launch:${command}`]);
  // Its status is 255 then, too.
  process.kill(Number(stdout.trim()), 'SIGTERM');
}
