import { writeSync } from 'node:fs';
import { hasCode } from '../domain/errors';
import type { Clock, Terminal } from '../domain/ports';
import { formatDuration } from '../domain/units';

const heartbeatMs = 10_000;

/** Dokku's prefixes (`dokku_log_*` in its common functions). */
export class DokkuTerminal implements Terminal {
  private lastWrite = 0;

  constructor(
    private readonly clock: Clock,
    private readonly quiet: boolean,
  ) {}

  header(text: string): void {
    if (!this.quiet) this.write(1, `=====> ${text}\n`);
  }

  step(text: string): void {
    if (!this.quiet) this.write(1, `-----> ${text}\n`);
  }

  detail(text: string): void {
    this.write(1, `       ${text}\n`);
  }

  warn(text: string): void {
    this.write(2, ` !     ${text}\n`);
  }

  print(text: string): void {
    this.write(1, `${text}\n`);
  }

  async timed<T>(label: string, work: () => Promise<T>): Promise<T> {
    const start = this.clock.now();
    this.step(label);
    const heartbeat = setInterval(() => {
      if (this.clock.now() - this.lastWrite < heartbeatMs - 500) return;
      this.detail(`still running (${formatDuration(this.clock.now() - start)})`);
    }, heartbeatMs / 10);
    try {
      const result = await work();
      this.detail(`done in ${formatDuration(this.clock.now() - start)}`);
      return result;
    } finally {
      clearInterval(heartbeat);
    }
  }

  private write(descriptor: number, text: string): void {
    this.lastWrite = this.clock.now();
    writeAll(descriptor, text);
  }
}

/**
 * Writes synchronously: what is printed last before an exit must arrive. Nobody listening any more is no reason to
 * stop a deploy (F41), so EPIPE is ignored; a full pipe is waited for.
 */
export function writeAll(descriptor: number, content: string | Buffer): void {
  let bytes = Buffer.from(content);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(descriptor, bytes));
    } catch (error) {
      if (hasCode(error, 'EPIPE')) return;
      if (!hasCode(error, 'EAGAIN')) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    }
  }
}
