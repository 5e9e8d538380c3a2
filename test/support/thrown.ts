import { assert } from './suite';

/** Runs what has to throw, and returns its error, which has to be of the class. */
export function thrown<E extends Error>(work: () => unknown, expected: new (...args: never[]) => E): E {
  let result: unknown;
  try {
    result = work();
  } catch (error) {
    assert.instance(error, expected);
    return error as E;
  }
  throw new Error(`expected ${expected.name}, got ${JSON.stringify(result)}`);
}
