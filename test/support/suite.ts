import { writeFileSync } from 'node:fs';
import { suite as uvuSuite, type Callback, type Test } from 'uvu';
import * as assert from 'uvu/assert';

export { assert };

/** What happened to one suite; `test/run.js` reads an array of these and decides. */
export interface SuiteReport {
  name: string;
  /** `.run()` was called. */
  queued: boolean;
  declared: number;
  /** Tests set aside with `.skip`. */
  skipped: number;
  /** Tests singled out with `.only`. */
  singled: number;
  passed: number;
  failed: number;
  hooksStarted: number;
  hooksFinished: number;
  /** One line a hook that threw. */
  hookErrors: string[];
}

const reports: SuiteReport[] = [];

// Written on exit, whatever led to it: a test that leaves the process early shows as tests that never finished.
const reportFile = process.env.FLIGHT_LAUNCH_TEST_REPORT;
if (reportFile !== undefined) {
  process.on('exit', () => {
    writeFileSync(reportFile, JSON.stringify(reports));
  });
  // How the runner ends a file that takes too long; handlers of `exit` get their turn.
  process.once('SIGTERM', () => process.exit(143));
}

/**
 * uvu's `suite`, watched: uvu drops errors of hooks, takes a suite without `.run()` for no suite, and calls a run of
 * nothing a success. Every test file imports this one.
 * @param context handed to each hook and test of the suite
 */
export function suite<T extends object = Record<string, unknown>>(name: string, context?: T): Test<T> {
  const report: SuiteReport = {
    name,
    queued: false,
    declared: 0,
    skipped: 0,
    singled: 0,
    passed: 0,
    failed: 0,
    hooksStarted: 0,
    hooksFinished: 0,
    hookErrors: [],
  };
  reports.push(report);

  const inner = uvuSuite<T>(name, context);

  const watchedTest =
    (handler: Callback<T>): Callback<T> =>
    async (state) => {
      try {
        await handler(state);
        report.passed += 1;
      } catch (error) {
        report.failed += 1;
        throw printable(asError(error));
      }
    };

  const watchedHook =
    (kind: string, handler: Callback<T>): Callback<T> =>
    async (state) => {
      report.hooksStarted += 1;
      try {
        await handler(state);
      } catch (error) {
        const where = state.__test__ === '' ? kind : `${kind}, at "${state.__test__}"`;
        report.hookErrors.push(`${where}: ${asError(error).message}`);
        console.error(`\n${name}: ${where} threw\n${String(asError(error).stack)}`);
        throw asError(error);
      } finally {
        report.hooksFinished += 1;
      }
    };

  const test = (title: string, handler: Callback<T>): void => {
    report.declared += 1;
    inner(title, watchedTest(handler));
  };

  return Object.assign(test, {
    only(title: string, handler: Callback<T>): void {
      report.declared += 1;
      report.singled += 1;
      inner.only(title, watchedTest(handler));
    },
    skip(): void {
      report.skipped += 1;
    },
    before: hook('before'),
    after: hook('after'),
    run(): void {
      report.queued = true;
      inner.run();
    },
  });

  function hook(kind: 'before' | 'after') {
    const once = (handler: Callback<T>): void => {
      inner[kind](watchedHook(kind, handler));
    };
    const each = (handler: Callback<T>): void => {
      inner[kind].each(watchedHook(`${kind}.each`, handler));
    };
    return Object.assign(once, { each });
  }
}

/**
 * Waits for a promise to reject and returns its error.
 * @param expected a class that the error must be an instance of, or a pattern that its message must match
 */
export async function rejects<E extends Error = Error>(
  promise: Promise<unknown>,
  expected?: (new (...args: never[]) => E) | RegExp,
): Promise<E> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => asError(reason),
  );
  if (error === undefined) assert.unreachable('expected the promise to reject');
  if (expected instanceof RegExp) assert.match(String(error?.message), expected);
  else if (expected !== undefined) assert.instance(error, expected);
  return error as E;
}

/** uvu takes `details` of an error for a text of its own; a list, as UserError has, would break its output. */
function printable(error: Error): Error {
  if (!('details' in error) || !Array.isArray(error.details)) return error;
  const shown = new Error([error.message, ...error.details.map(String)].join('\n'));
  if (error.stack !== undefined) shown.stack = error.stack;
  return shown;
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(`thrown: ${String(reason)}`);
}
