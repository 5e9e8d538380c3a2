import { UserError } from './errors';
import { printable } from './paths';
import type { PushResult } from './ports';

/**
 * Parses `git show-ref --dereference`, which follows a tag of a tag to its end.
 * @param prefix the refs that are wanted begin with it; it is left out of their names
 */
export function parseTags(output: string, prefix: string): Map<string, { object: string; commit: string }> {
  const tags = new Map<string, { object: string; commit: string }>();
  for (const line of output.split('\n')) {
    const space = line.indexOf(' ');
    const id = line.slice(0, space);
    const ref = line.slice(space + 1);
    if (space < 0 || !ref.startsWith(prefix)) continue;
    // `^` cannot be part of a ref (git-check-ref-format(1)).
    const name = ref.slice(prefix.length).replace(/\^\{\}$/, '');
    tags.set(name, { object: tags.get(name)?.object ?? id, commit: id });
  }
  return tags;
}

/** Parses `git for-each-ref --format='%(objectname) %(refname)'`; names as `parseTags`. */
export function parseBranches(output: string, prefix: string): Map<string, string> {
  const lines = output.split('\n').filter((line) => line !== '');
  return new Map(
    lines.map((line) => {
      const space = line.indexOf(' ');
      return [line.slice(space + 1 + prefix.length), line.slice(0, space)];
    }),
  );
}

/**
 * Parses what `git merge-tree --write-tree -z --name-only --messages` prints: the tree, the files in conflict, an empty
 * one, then of each message the number of paths, the paths, its kind and its text.
 * @returns the tree, and the paths in conflict; of some conflicts only the message tells them
 */
export function parseMergeTree(output: string): { tree: string; conflicts: string[] } {
  const [tree = '', ...parts] = output.split('\0');
  const end = parts.indexOf('');
  const files = end < 0 ? parts : parts.slice(0, end);
  const told: string[] = [];
  for (let index = end < 0 ? parts.length : end + 1; index < parts.length;) {
    const count = Number(parts[index]);
    if (!(count > 0)) break;
    const paths = parts.slice(index + 1, index + 1 + count);
    if (parts[index + 1 + count]?.startsWith('CONFLICT') === true) told.push(...paths);
    index += count + 3;
  }
  return { tree: tree.trim(), conflicts: [...new Set(files.length > 0 ? files : told)] };
}

/**
 * Tells from `git push --porcelain --atomic` that failed what was refused (git-push(1), OUTPUT). What the server wrote
 * besides (why a branch is protected) goes with the first ref that it refused.
 * @returns undefined where the other side gave no answer, or not for all refs: what it has is not known
 */
export function parseRefusal(stdout: string, stderr: string): PushResult | undefined {
  const refused: { ref: string; reason: string }[] = [];
  let said = saidByServer(stderr);
  for (const line of stdout.split('\n')) {
    const match = /^!\t[^\t]*:([^\t:]+)\t\[([^\]]*)\](?: \((.*)\))?$/.exec(line);
    if (match === null) continue;
    const [, ref = '', summary = '', reason = summary] = match;
    if (summary === 'remote failure') return undefined;
    // Not taken because another one is not.
    if (reason.startsWith('atomic push fail')) continue;
    if (summary === 'remote rejected') {
      refused.push({ ref, reason: [printable(reason), ...said].join('; ') });
      said = [];
    } else {
      refused.push({ ref, reason: reason === 'stale info' ? 'it moved on meanwhile' : printable(reason) });
    }
  }
  return refused.length === 0 ? undefined : { accepted: false, refused };
}

const mostLines = 10;

/** What the server wrote (git puts `remote: ` before it), at most ten lines. */
function saidByServer(stderr: string): string[] {
  return linesOf(stderr)
    .map(
      (line) => /^(?:remote: |error: remote unpack failed: )(?:error: )?(.*)$/.exec(line)?.[1]?.trim() ?? '',
    )
    .filter((line) => line !== '' && !line.startsWith('hook declined to update '))
    .slice(0, mostLines)
    .map((line) => printable(line));
}

function linesOf(text: string): string[] {
  return text
    .split(/[\r\n]+/)
    .map((line) => line.trimEnd())
    .filter((line) => line !== '');
}

/** An upstream as errors name it. */
export interface UpstreamName {
  pipeline: string;
  /** As given, for taking it out of what git prints. */
  url: string;
  /** Without a password. */
  shownUrl: string;
}

interface Kind {
  pattern: RegExp;
  problem: (shownUrl: string) => string;
  /** Over https a token takes the place of the deploy key. */
  remedy: (pipeline: string, https: boolean) => string;
}

const setup = (pipeline: string) => `\`dokku flight-launch:setup ${pipeline}`;

/** The words of ssh, curl, git and the big hosts; the first that fits. */
const kinds: readonly Kind[] = [
  {
    pattern: /REMOTE HOST IDENTIFICATION HAS CHANGED|host key for .* has changed/i,
    problem: (shownUrl) => `the host key of ${shownUrl} is another than the one that setup noted`,
    remedy: (pipeline) =>
      `Find out why. If it is meant to be, \`dokku flight-launch:set ${pipeline} upstream --unset\` forgets the old one; then ${setup(pipeline)} --upstream URL\` notes the new one.`,
  },
  {
    pattern: /Host key verification failed|host key is known for|No matching host key/i,
    problem: (shownUrl) => `the host key of ${shownUrl} is not known`,
    remedy: (pipeline) => `${setup(pipeline)} --upstream URL\` notes it.`,
  },
  {
    pattern:
      /marked as read only|not allowed to (push|upload)|Permission to \S+ denied|deny updating|denied to deploy key/i,
    problem: (shownUrl) => `${shownUrl} does not let us write`,
    remedy: (pipeline, https) =>
      https
        ? `Give the token in the URL the right to write to the repository, or take one that has it: ${setup(pipeline)} --upstream URL\`.`
        : `Give the deploy key that ${setup(pipeline)}\` shows the right to write to the repository.`,
  },
  {
    pattern:
      /Permission denied|Too many authentication failures|Authentication failed|could not read (Username|Password)|Access denied|error: 40[13]\b/i,
    problem: (shownUrl) => `${shownUrl} does not let us in`,
    remedy: (pipeline, https) =>
      https
        ? `Look at user and token in the URL, and at what the token may do; ${setup(pipeline)} --upstream https://USER:TOKEN@HOST/PATH\` sets others.`
        : `Add the deploy key that ${setup(pipeline)}\` shows to the repository, with the right to write.`,
  },
  {
    pattern:
      /Repository not found|repository '.*' not found|does not appear to be a git repository|could not be found|error: 404\b|not a git repository/i,
    problem: (shownUrl) => `there is no repository at ${shownUrl}, or it is hidden from us`,
    remedy: (pipeline, https) =>
      https
        ? 'Look at the URL; if it is right, let the token in it read the repository, and write to it.'
        : `Look at the URL; if it is right, add the deploy key that ${setup(pipeline)}\` shows to the repository.`,
  },
  {
    pattern: /certificate|\bCAfile\b/i,
    problem: (shownUrl) => `the certificate of ${shownUrl} is not trusted`,
    remedy: () =>
      'If it is of a CA of your own, add that to those of the host (on Debian: /usr/local/share/ca-certificates, then update-ca-certificates).',
  },
  {
    pattern:
      /Could not resolve|Name or service not known|Connection (refused|timed out)|No route to host|Network is unreachable|Failed to connect|Couldn't connect|Could ?n[o']t connect/i,
    problem: (shownUrl) => `${shownUrl} cannot be reached`,
    remedy: () => "Look at the URL, and whether that host is up and this one's network lets us through.",
  },
  {
    pattern:
      /Connection (reset|closed)|Broken pipe|hung up unexpectedly|early EOF|Operation too slow|Operation timed out|Timeout, server|unexpected disconnect|RPC failed|failed to report status/i,
    problem: (shownUrl) => `the connection to ${shownUrl} broke`,
    remedy: () => 'Try again.',
  },
];

/**
 * What a failure of git that talks to an upstream means to people. git and ssh have to speak English (`LC_ALL=C`).
 * @param stderr what git printed; shown without the upstream's password
 */
export function upstreamError({ pipeline, url, shownUrl }: UpstreamName, stderr: string): UserError {
  const text = withoutSecrets(stderr, url, shownUrl);
  const details = linesOf(text)
    .slice(-mostLines)
    .map((line) => printable(line));
  const kind = kinds.find(({ pattern }) => pattern.test(text));
  return new UserError(kind?.problem(shownUrl) ?? `git cannot work with ${shownUrl}`, {
    details,
    remedy:
      kind?.remedy(pipeline, url.startsWith('https:')) ??
      `Look at what git says; ${setup(pipeline)} --upstream URL\` sets another URL.`,
  });
}

/** @param limit as people write it, for instance `5m` */
export function noAnswer({ pipeline, shownUrl }: UpstreamName, limit: string): UserError {
  return new UserError(`${shownUrl} did not answer within ${limit}`, {
    remedy: `Try again; for a large repository \`dokku flight-launch:set ${pipeline} upstream-timeout\` allows more time.`,
  });
}

function withoutSecrets(text: string, url: string, shownUrl: string): string {
  const whole = text.replaceAll(url, shownUrl);
  const password = /^[a-z][a-z0-9+.-]*:\/\/[^/@:]*:([^/@]+)@/i.exec(url)?.[1];
  if (password === undefined) return whole;
  return [password, decoded(password)].reduce((rest, secret) => rest.replaceAll(secret, '[REDACTED]'), whole);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
