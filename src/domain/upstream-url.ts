import { UsageError } from './errors';
import { quoted } from './paths';

/** Where the code of a pipeline comes from. */
export type UpstreamUrl = SshUrl | HttpsUrl;

export interface SshUrl {
  kind: 'ssh';
  /** Undefined for the name of Dokku's own system user, which ssh takes then. */
  user: string | undefined;
  /** A name or address in lower case, an IPv6 address without brackets. */
  host: string;
  port: number;
  /** As given, for git. */
  url: string;
}

export interface HttpsUrl {
  kind: 'https';
  host: string;
  /** As given, for git, credentials included. */
  url: string;
  /** Without user and password, either of which may be an access token. */
  shown: string;
}

/** None begins with `-`, nor holds what ssh, git or a shell could take for anything else. */
const userPart = '[A-Za-z0-9_][A-Za-z0-9_.+-]*';
const hostPart = '[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?|\\[[0-9A-Fa-f:.]+\\]';
const sshForm = new RegExp(`^ssh://(?:(${userPart})@)?(${hostPart})(?::([0-9]{1,5}))?(/.*)$`, 'i');
const scpForm = new RegExp(`^(${userPart})@(${hostPart})():(.*)$`);
const httpsForm = new RegExp(`^https://([^/@]*@)?(${hostPart})(?::([0-9]{1,5}))?(/.*)$`, 'i');

const refusedSchemes = new Map([
  ['http', 'http is not encrypted'],
  ['ftp', 'ftp is not encrypted'],
  ['git', "git's own protocol is not encrypted"],
  ['file', 'it is a file of this host'],
]);

/**
 * Reads the URL of an upstream: encrypted, and reached over the network. Where git expects a URL, it also takes commands
 * (`ext::`, I76), options (I77) and files of this host.
 * @throws UsageError that shows no password and no token
 */
export function parseUpstreamUrl(text: string): UpstreamUrl {
  const refused = (problem: string) =>
    new UsageError(`the upstream cannot be ${quoted(withoutCredentials(text))}: ${problem}`, {
      remedy: 'Use `ssh://git@HOST/PATH`, `git@HOST:PATH` or `https://HOST/PATH`.',
    });
  if (text.startsWith('-')) throw refused('git would take it for an option');
  if (!/^[\x21-\x7e]{1,2000}$/.test(text))
    throw refused('it takes 1 to 2000 printable ASCII characters, no spaces');
  if (/^[A-Za-z0-9+.-]+::/.test(text)) throw refused('git would run a program for it');
  const scheme = /^([A-Za-z0-9+.-]+):\/\/|^file:/.exec(text)?.[0].replace(/:.*/, '').toLowerCase();
  const form =
    scheme === undefined ? scpForm : scheme === 'ssh' ? sshForm : scheme === 'https' ? httpsForm : undefined;
  if (form === undefined) throw refused(refusedSchemes.get(scheme ?? '') ?? 'there is no such protocol');
  const match = form.exec(text);
  if (match === null) throw refused(whyMalformed(scheme, text));
  const [, user, bracketed = '', portGiven, path = ''] = match;
  const problem = whyNoPath(path) ?? whyNoPort(portGiven);
  if (problem !== undefined) throw refused(problem);
  const host = bracketed.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  if (scheme === 'https')
    return {
      kind: 'https',
      host,
      url: text,
      shown: text.replace(user ?? '', user === undefined ? '' : 'REDACTED@'),
    };
  return {
    kind: 'ssh',
    user,
    host,
    port: Number(portGiven === undefined || portGiven === '' ? 22 : portGiven),
    url: text,
  };
}

function whyMalformed(scheme: string | undefined, text: string): string {
  if (scheme === undefined) {
    return text.includes('@')
      ? 'it is malformed'
      : 'it names no user and host, or it is a folder of this host';
  }
  if (scheme === 'ssh' && /^ssh:\/\/[^/]*:[^/]*@/i.test(text)) return 'over ssh there is no password';
  return 'it is malformed';
}

function whyNoPath(path: string): string | undefined {
  if (/^\/*$/.test(path)) return 'it names no repository';
  // git refuses it as well: it could be an option of the program on the other side.
  if (path.startsWith('-')) return 'its path begins with `-`';
  if (/["'\\`$<>|;&*?#{}()[\]^!]/.test(path)) return 'its path holds a character with a meaning of its own';
  // git decodes it.
  if (/%(?![2-9a-f][0-9a-f])|%7f/i.test(path))
    return 'its path holds a `%` that stands for no printable character';
  return undefined;
}

function whyNoPort(port: string | undefined): string | undefined {
  if (port === undefined || port === '') return undefined;
  return Number(port) >= 1 && Number(port) <= 65_535 ? undefined : 'a port is between 1 and 65535';
}

/** For a terminal or a log: as given, but for the credentials of one over https. */
export function shownUrl(url: UpstreamUrl): string {
  return url.kind === 'https' ? url.shown : url.url;
}

/** Of a text that may be no URL at all. The user of an ssh URL is no secret. */
function withoutCredentials(text: string): string {
  if (new RegExp(`^(?:ssh://)?${userPart}@[^@]*$`, 'i').test(text)) return text;
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, '$1REDACTED@');
}
