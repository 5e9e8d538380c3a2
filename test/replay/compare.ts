import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { After, Call } from './recordings';

/** One fact in which the miniature host and the recording disagree. */
export interface Difference {
  scenario: string;
  /** `after`, or the trigger in whose call the fact was noted. */
  where: string;
  field: string;
  recorded: unknown;
  here: unknown;
}

/** A difference that is there on purpose: `test/host/deviations.json`. */
export interface Deviation {
  reason: string;
  field: string;
  where?: string[];
  scenarios?: string[];
  /** For the field `envNames`: the names that may be missing here, or be more than recorded. */
  names?: string[];
}

export function readDeviations(): Deviation[] {
  return JSON.parse(readFileSync('test/host/deviations.json', 'utf8')) as Deviation[];
}

/** Compares what happened, call by call. */
export function compareCalls(
  scenario: string,
  recorded: readonly Call[],
  here: readonly Call[],
): Difference[] {
  const differences: Difference[] = [];
  for (const [expected, actual] of align(recorded, here)) {
    if (expected === undefined || actual === undefined) {
      const where = (expected ?? actual)?.trigger ?? '';
      differences.push({
        scenario,
        where,
        field: 'order',
        recorded: expected && [expected.trigger, ...expected.args].join(' '),
        here: actual && [actual.trigger, ...actual.args].join(' '),
      });
      continue;
    }
    differences.push(...compareCall(scenario, expected, actual));
  }
  return differences;
}

function compareCall(scenario: string, expected: Call, actual: Call): Difference[] {
  const where = expected.trigger;
  const differences: Difference[] = [];
  for (const field of ['args', 'cwd', 'user', 'stdin', 'fd200', 'wd'] as const) {
    if (isDeepStrictEqual(expected[field], actual[field])) continue;
    differences.push({ scenario, where, field, recorded: expected[field], here: actual[field] });
  }
  for (const [name, value] of Object.entries(expected.env)) {
    if (actual.env[name] === value) continue;
    differences.push({ scenario, where, field: `env ${name}`, recorded: value, here: actual.env[name] });
  }
  for (const name of expected.envNames) {
    if (actual.envNames.includes(name)) continue;
    differences.push({ scenario, where, field: 'envNames', recorded: name, here: undefined });
  }
  for (const name of actual.envNames) {
    if (expected.envNames.includes(name)) continue;
    differences.push({ scenario, where, field: 'envNames', recorded: undefined, here: name });
  }
  return differences;
}

/** Compares what was left afterwards. */
export function compareAfter(scenario: string, recorded: After, here: After): Difference[] {
  return (Object.keys(recorded) as (keyof After)[])
    .filter((field) => !isDeepStrictEqual(recorded[field], here[field]))
    .map((field) => ({ scenario, where: 'after', field, recorded: recorded[field], here: here[field] }));
}

/** Pairs the calls of both sides in order; a call that only one side has stands alone. */
function align(left: readonly Call[], right: readonly Call[]): [Call | undefined, Call | undefined][] {
  // Longest common subsequence of the triggers' names, from the end.
  const length = left.map(() => new Array<number>(right.length + 1).fill(0));
  length.push(new Array<number>(right.length + 1).fill(0));
  const at = (row: number, column: number): number => length[row]?.[column] ?? 0;
  for (let row = left.length - 1; row >= 0; row -= 1) {
    for (let column = right.length - 1; column >= 0; column -= 1) {
      const same = left[row]?.trigger === right[column]?.trigger;
      const line = length[row];
      if (line === undefined) continue;
      line[column] = same ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1));
    }
  }
  const pairs: [Call | undefined, Call | undefined][] = [];
  let row = 0;
  let column = 0;
  while (row < left.length || column < right.length) {
    const [one, other] = [left[row], right[column]];
    if (one !== undefined && one.trigger === other?.trigger) {
      pairs.push([one, other]);
      row += 1;
      column += 1;
    } else if (other === undefined || (one !== undefined && at(row + 1, column) >= at(row, column + 1))) {
      pairs.push([one, undefined]);
      row += 1;
    } else {
      pairs.push([undefined, other]);
      column += 1;
    }
  }
  return pairs;
}

export function covers(deviation: Deviation, difference: Difference): boolean {
  if (deviation.field !== difference.field) return false;
  if (deviation.where !== undefined && !deviation.where.includes(difference.where)) return false;
  if (deviation.scenarios !== undefined && !deviation.scenarios.includes(difference.scenario)) return false;
  if (deviation.names === undefined) return true;
  return deviation.names.includes(String(difference.recorded ?? difference.here));
}

export function describe({ where, field, recorded, here }: Difference): string {
  const show = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value));
  return `${where}: ${field}: recorded ${show(recorded)}, here ${show(here)}`;
}
