import semver from 'semver';
import { UsageError, UserError } from './errors';
import { quoted } from './paths';

export const versionSchemes = ['month', 'day', 'semantic'] as const;
/** What the versions of a pipeline look like: `YYYYMM.N`, `YYYYMM.DD` or semantic versions. */
export type VersionScheme = (typeof versionSchemes)[number];

export const increments = ['patch', 'minor', 'major'] as const;
/** The part of a semantic version that goes up. */
export type Increment = (typeof increments)[number];

/** As many as `history` and `status` show. */
const maxLength = 64;

const rules: Record<VersionScheme, { fits: (text: string) => boolean; about: string }> = {
  month: {
    fits: (text) => /^[1-9][0-9]{3}(?:0[1-9]|1[0-2])\.(?!0+$)[0-9]{1,4}$/.test(text),
    about: 'YYYYMM.N, with N of 1 to 4 digits and not 0, such as `201704.15`',
  },
  day: {
    fits: isDay,
    about: 'YYYYMM.DD, a day of the calendar, such as `201704.05`',
  },
  semantic: {
    fits: isSemantic,
    about: `a semantic version of at most ${String(maxLength)} characters without \`v\`, leading zeros and build metadata, such as \`1.2.3\` or \`1.2.3-rc.1\``,
  },
};

/** @throws UsageError for a text that is no version of the scheme (I66-I74) */
export function checkVersion(scheme: VersionScheme, text: string): void {
  if (rules[scheme].fits(text)) return;
  throw new UsageError(`${quoted(text)} is not a version of the scheme \`${scheme}\``, {
    remedy: `Such a version is ${rules[scheme].about}.`,
  });
}

/**
 * The version after those that there are, or the first.
 * @param taken names of all tags and, without the prefix, of all `release/` branches upstream; what is no version of
 *   the scheme among them does not count
 * @param now milliseconds since the epoch; months and days are those of UTC
 * @param increment for semantic versions, `patch` where not given
 * @throws UsageError for an increment where the scheme has none; UserError where no version is left
 */
export function nextVersion(
  scheme: VersionScheme,
  { taken, now, increment }: { taken: readonly string[]; now: number; increment?: Increment },
): string {
  if (scheme !== 'semantic' && increment !== undefined) {
    throw new UsageError(`versions of the scheme \`${scheme}\` have no increment ${quoted(increment)}`, {
      remedy: 'Use --next alone, or name the version.',
    });
  }
  const versions = taken.filter(rules[scheme].fits);
  const next = following(scheme, versions, new Date(now).toISOString(), increment ?? 'patch');
  if (!rules[scheme].fits(next) || versions.includes(next)) {
    const why = versions.includes(next) ? 'exists' : `is no version of the scheme \`${scheme}\``;
    throw new UserError(`the next version would be ${next}, which ${why}`, {
      remedy: `Name one that does not exist: ${rules[scheme].about}.`,
    });
  }
  return next;
}

function following(
  scheme: VersionScheme,
  versions: readonly string[],
  today: string,
  increment: Increment,
): string {
  const month = today.slice(0, 7).replace('-', '');
  switch (scheme) {
    case 'month':
      return nextOfMonth(month, versions);
    case 'day':
      return `${month}.${today.slice(8, 10)}`;
    case 'semantic': {
      const plain = versions.filter((version) => semver.prerelease(version) === null);
      return new semver.SemVer(semver.rsort(plain)[0] ?? '0.0.0').inc(increment).version;
    }
  }
}

/** The newest version whose N is below 10 shows how the repository writes those: `5` or `05`. */
function nextOfMonth(month: string, versions: readonly string[]): string {
  const newestFirst = versions
    .map((version) => ({ month: version.slice(0, 6), digits: version.slice(7) }))
    .sort((a, b) => Number(b.month) - Number(a.month) || Number(b.digits) - Number(a.digits));
  const highest = newestFirst.find((version) => version.month === month)?.digits ?? '0';
  const width = newestFirst.find(({ digits }) => Number(digits) < 10)?.digits.length ?? 1;
  return `${month}.${String(Number(highest) + 1).padStart(width, '0')}`;
}

/**
 * A version as a `package.json` takes it, which has to be a semantic one: `201704.15` becomes `201704.15.0`,
 * `201704.05` becomes `201704.5.0`. Two spellings of one version are the same there.
 */
export function manifestVersion(version: string): string {
  const match = /^([0-9]+)\.([0-9]+)$/.exec(version);
  return match === null ? version : `${String(Number(match[1]))}.${String(Number(match[2]))}.0`;
}

function isDay(text: string): boolean {
  const match = /^([1-9][0-9]{3})([0-9]{2})\.([0-9]{2})$/.exec(text);
  if (match === null) return false;
  const [year, month, day] = match.slice(1).map(Number) as [number, number, number];
  // A day or month that there is not ends up in another month.
  return new Date(Date.UTC(year, month - 1, day)).getUTCMonth() === month - 1;
}

function isSemantic(text: string): boolean {
  const parsed = semver.parse(text);
  return (
    text.length <= maxLength &&
    // semver itself allows a `v`, spaces around and build metadata, all of which it leaves out here.
    parsed?.version === text &&
    // Numbers that semver could not compare as such stay text there (I68).
    parsed.prerelease.every((part) => typeof part === 'number' || !/^[0-9]+$/.test(part)) &&
    // git takes no ref of this end (I73).
    !text.endsWith('.lock')
  );
}
