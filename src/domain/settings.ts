import { UsageError } from './errors';
import { quoted } from './paths';
import { parseBytes, parseDuration } from './units';

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
}

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
    allowed: 'a duration between 5s and 6h, such as `15m`',
    accepts: (value) => {
      const duration = parseDuration(value);
      return duration !== undefined && duration >= 5 && duration <= 6 * 3600;
    },
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
  // A proxy that is refused may hold a password all the same.
  const shown = name === 'proxy' ? value.replace(/[^/]*@/s, 'REDACTED@') : value;
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
  };
}

/** A setting's value as a report shows it: a proxy's password is nobody's business. */
export function displaySetting(name: SettingName, value: string): string {
  if (name !== 'proxy' || value === '') return value;
  const url = new URL(value);
  if (url.password !== '') url.password = 'REDACTED';
  return url.toString();
}
