import { pino } from 'pino';
import type { Log } from '../domain/ports';

/** Newline-delimited JSON, appended synchronously: in a bundle pino cannot start its worker threads. */
export function openLog(path: string, context: object): Log {
  const destination = pino.destination({ dest: path, append: true, mkdir: true, sync: true, mode: 0o600 });
  return pino({ base: { pid: process.pid, ...context } }, destination);
}
