import { closeSync, readlinkSync } from 'node:fs';
import { isMissing } from './files';

/** Descriptor of Dokku's deploy lock (`acquire_advisory_lock` in its common functions). */
const deployLock = 200;

/**
 * Closes our copy of the descriptor of Dokku's deploy lock: a child that outlives the deploy would keep the app locked
 * (H18). Dokku itself goes on holding the lock. `sh` cannot do it, its descriptors have one digit.
 */
export function closeDeployLock(): void {
  let target: string;
  try {
    target = readlinkSync(`/proc/self/fd/${String(deployLock)}`);
  } catch (error) {
    if (isMissing(error)) return;
    throw error;
  }
  if (target.includes('.deploy.lock')) closeSync(deployLock);
}
