import type { Person } from '../domain/build';
import type { Services } from '../domain/ports';

/** Who runs this process, as records tell it. */
export function callerOf({ caller: { name, fingerprint } }: Pick<Services, 'caller'>): Person {
  return { name, ...(fingerprint === undefined ? {} : { fingerprint }) };
}
