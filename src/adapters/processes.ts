import { readFile } from 'node:fs/promises';
import { hasCode } from '../domain/errors';
import type { Processes } from '../domain/ports';
import { isMissing, namesIn } from './files';

/**
 * Start of a process in clock ticks since boot, with the boot's id: field 22 of `/proc/<pid>/stat` (proc(5)). Tells a
 * process from a later one with the same number (F40), also after a reboot (F38).
 */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${String(pid)}/stat`, 'utf8');
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
    // The second field is the program's name in parentheses and may hold spaces.
    const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return ticks === undefined ? undefined : `${boot.trim()}:${ticks}`;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export const systemProcesses: Processes = {
  startOf,
  identify: async (pid) => ({ pid, startedAt: (await startOf(pid)) ?? '' }),
  isRunning: async ({ pid, startedAt }) => (await startOf(pid)) === startedAt,
};

/** The arguments of every process that has any, program included (proc(5)); those that end meanwhile are left out. */
export async function commandLines(): Promise<string[][]> {
  const pids = (await namesIn('/proc')).filter((name) => /^[0-9]+$/.test(name));
  const lines = await Promise.all(pids.map(commandLine));
  return lines.filter((line) => line.length > 0);
}

async function commandLine(pid: string): Promise<string[]> {
  try {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').slice(0, -1);
  } catch (error) {
    if (isMissing(error) || hasCode(error, 'ESRCH')) return [];
    throw error;
  }
}
