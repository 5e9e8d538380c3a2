import { readFile } from 'node:fs/promises';
import type { Processes } from '../domain/ports';
import { isMissing } from './files';

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

export const systemProcesses: Processes = { startOf };
