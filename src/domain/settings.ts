import { branchRule, isBranchName } from './branch-name';
import { UsageError } from './errors';
import { quoted } from './paths';
import { parseBytes, parseDuration } from './units';
import { versionSchemes, type VersionScheme } from './version';

/** Settings of a pipeline as stored: only those that were set, as the user wrote them. */
export type StoredSettings = Partial<Record<SettingName, string>>;

/** Settings in force, defaults filled in. */
export interface Settings {
  clientImage: string | undefined;
  /** Bytes. */
  memory: number;
  cpus: number;
  processes: number;
  /** Seconds. */
  buildTimeout: number;
  /** Bytes. */
  outputLimit: number;
  /** Bytes. */
  logLimit: number;
  caFile: string | undefined;
  proxy: string | undefined;
  keep: number;
  upstream: string | undefined;
  /** Seconds. */
  upstreamTimeout: number;
  developBranch: string;
  masterBranch: string;
  /** A branch, `staging` for what staging runs, or undefined. */
  releaseFrom: string | undefined;
  versionScheme: VersionScheme;
  committerName: string;
  /** Undefined for one that is made of Dokku's user and the host's name. */
  committerEmail: string | undefined;
  signing: Signing;
}

const signings = ['none', 'deploy-key'] as const;
/** What signs the commits and tags of a release. */
export type Signing = (typeof signings)[number];

export type SettingName = keyof typeof definitions;

interface Definition {
  about: string;
  fallback: string;
  allowed: string;
  /** Whether a value is acceptable; bounds keep a slip such as `2` for `2g` from failing every build. */
  accepts: (value: string) => boolean;
}

const bytesBetween = (low: string, high: string) => ({
  allowed: `a size between ${low} and ${high}, such as \`${low}\``,
  accepts: (value: string) => {
    const bytes = parseBytes(value);
    return bytes !== undefined && bytes >= (parseBytes(low) ?? 0) && bytes <= (parseBytes(high) ?? 0);
  },
});

const wholeBetween = (low: number, high: number) => ({
  allowed: `a whole number between ${String(low)} and ${String(high)}`,
  accepts: (value: string) => /^[0-9]{1,7}$/.test(value) && Number(value) >= low && Number(value) <= high,
});

const durationBetween = (low: string, high: string, example: string) => ({
  allowed: `a duration between ${low} and ${high}, such as \`${example}\``,
  accepts: (value: string) => {
    const duration = parseDuration(value);
    return (
      duration !== undefined &&
      duration >= (parseDuration(low) ?? 0) &&
      duration <= (parseDuration(high) ?? 0)
    );
  },
});

const oneOf = (values: readonly string[]) => ({
  allowed: values.map((value) => `\`${value}\``).join(' or '),
  accepts: (value: string) => values.includes(value),
});

const branch = { allowed: `a branch such as \`develop\`: ${branchRule}`, accepts: isBranchName };

const definitions = {
  'client-image': {
    about:
      'image for client builds where flight-launch.json names none; {version} is the Node version of the project',
    fallback: 'node:{version}-slim',
    allowed: 'a Docker image such as `node:{version}-slim`',
    accepts: (value) => /^[a-z0-9](?:[A-Za-z0-9._/:@-]|\{version\})*$/.test(value),
  },
  memory: { about: 'memory of a build container', fallback: '2g', ...bytesBetween('64m', '512g') },
  cpus: {
    about: 'CPUs of a build container',
    fallback: '2',
    allowed: 'a number between 0.1 and 256',
    accepts: (value) =>
      /^[0-9]{1,3}(?:\.[0-9]{1,2})?$/.test(value) && Number(value) >= 0.1 && Number(value) <= 256,
  },
  processes: {
    about: 'processes and threads of a build container',
    fallback: '1024',
    ...wholeBetween(16, 65_536),
  },
  'build-timeout': {
    about: 'time for each phase of a client build',
    fallback: '15m',
    ...durationBetween('5s', '6h', '15m'),
  },
  'output-limit': { about: 'size of a built client', fallback: '1g', ...bytesBetween('1k', '64g') },
  'log-limit': { about: 'log of one phase of a client build', fallback: '16m', ...bytesBetween('1k', '1g') },
  'ca-file': {
    about: 'file of further CA certificates on the host, for the install phase',
    fallback: '',
    allowed: 'the absolute path of a file on the host',
    accepts: (value) => /^\/[^\0\n]{1,1000}$/.test(value),
  },
  proxy: {
    about: 'HTTP proxy, for the install phase',
    fallback: '',
    allowed: 'a URL such as `http://proxy.example:3128`',
    accepts: (value) => /^https?:\/\/[^\s"'\\]+$/.test(value) && URL.canParse(value),
  },
  keep: { about: 'live builds of each app kept for rollback', fallback: '5', ...wholeBetween(1, 100) },
  upstream: {
    about: 'git URL that releases are pushed to; setup --upstream sets it',
    fallback: '',
    allowed: 'a git URL such as `git@github.com:example/shop.git`',
    accepts: (value) => /^[\x21-\x7e]{1,2000}$/.test(value),
  },
  'upstream-timeout': {
    about: 'time for each fetch from the upstream and each push to it',
    fallback: '5m',
    ...durationBetween('5s', '1h', '5m'),
  },
  'develop-branch': { about: 'branch that a release is merged into first', fallback: 'develop', ...branch },
  'master-branch': { about: 'branch of what was released, merged into too', fallback: 'master', ...branch },
  'release-from': {
    about: 'branch that is released, or `staging` for the commit that staging runs',
    fallback: '',
    allowed: `\`staging\` or ${branch.allowed}`,
    accepts: isBranchName,
  },
  'version-scheme': {
    about: 'month (YYYYMM.N), day (YYYYMM.DD) or semantic',
    fallback: 'month',
    ...oneOf(versionSchemes),
  },
  'committer-name': {
    about: 'name in the commits and tags of a release',
    fallback: 'flight-launch',
    allowed: 'at most 100 printable characters without `<` and `>`, letters or digits among them',
    // git refuses a name of punctuation only.
    accepts: (value) =>
      /^(?! )[^\p{C}\p{Zl}\p{Zp}<>]{1,100}(?<! )$/u.test(value) && /[\p{L}\p{N}]/u.test(value),
  },
  'committer-email': {
    about: "e-mail address there; without one Dokku's user at the host's name",
    fallback: '',
    allowed: 'an e-mail address such as `releases@example.org`',
    // Brackets: `name[bot]@users.noreply.github.com`.
    accepts: (value) =>
      value.length <= 254 && /^[\w][\w.+=~[\]-]*@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(value),
  },
  signing: {
    about: "what signs a release's commits and tags: none or deploy-key",
    fallback: 'none',
    ...oneOf(signings),
  },
} satisfies Record<string, Definition>;

export const settingNames = Object.keys(definitions) as SettingName[];

/** What a setting is for and its default, for help and reports. */
export function describeSetting(name: SettingName): { about: string; fallback: string; allowed: string } {
  return definitions[name];
}

/** @throws UsageError that lists the settings there are */
export function settingName(text: string): SettingName {
  const name = settingNames.find((known) => known === text);
  if (name !== undefined) return name;
  throw new UsageError(`there is no setting ${quoted(text)}`, {
    details: settingNames.map((known) => `${known}: ${definitions[known].about}`),
    remedy: 'Use one of these.',
  });
}

/** @throws UsageError that says what the setting allows */
export function checkSetting(name: SettingName, value: string): void {
  if (definitions[name].accepts(value)) return;
  // A URL that is refused may hold a password all the same.
  const shown = isUrl(name) ? value.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, '$1REDACTED@') : value;
  throw new UsageError(`${name} cannot be ${quoted(shown)}`, {
    remedy: `It takes ${definitions[name].allowed}.`,
  });
}

/** The settings in force. */
export function effectiveSettings(stored: StoredSettings): Settings {
  const value = (name: SettingName) => stored[name] ?? definitions[name].fallback;
  const bytes = (name: SettingName) => parseBytes(value(name)) ?? 0;
  const optional = (name: SettingName) => (value(name) === '' ? undefined : value(name));
  return {
    clientImage: stored['client-image'],
    memory: bytes('memory'),
    cpus: Number(value('cpus')),
    processes: Number(value('processes')),
    buildTimeout: parseDuration(value('build-timeout')) ?? 0,
    outputLimit: bytes('output-limit'),
    logLimit: bytes('log-limit'),
    caFile: optional('ca-file'),
    proxy: optional('proxy'),
    keep: Number(value('keep')),
    upstream: optional('upstream'),
    upstreamTimeout: parseDuration(value('upstream-timeout')) ?? 0,
    developBranch: value('develop-branch'),
    masterBranch: value('master-branch'),
    releaseFrom: optional('release-from'),
    versionScheme: versionSchemes.find((scheme) => scheme === value('version-scheme')) ?? 'month',
    committerName: value('committer-name'),
    committerEmail: optional('committer-email'),
    signing: signings.find((signing) => signing === value('signing')) ?? 'none',
  };
}

/**
 * A setting's value as a report shows it: a password in a URL is nobody's business, and neither is the user of an
 * upstream over https, which is where access tokens are put as well.
 */
export function displaySetting(name: SettingName, value: string): string {
  if (!isUrl(name)) return value;
  const shown = name === 'upstream' ? value.replace(/^(https?:\/\/)[^/?#]*@/i, '$1REDACTED@') : value;
  return shown.replace(/^([a-z][a-z0-9+.-]*:\/\/[^/?#:@]*):[^/?#]*@/i, '$1:REDACTED@');
}

function isUrl(name: SettingName): boolean {
  return name === 'proxy' || name === 'upstream';
}
