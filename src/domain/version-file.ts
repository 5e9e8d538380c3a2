import type { Configuration } from './configuration';

/** Where a version stands in a file of the repository. */
export type VersionFile =
  | { path: string; kind: 'text' }
  /** RFC 6901 */
  | { path: string; kind: 'json'; pointer: string }
  /** A regular expression whose one group is the version. */
  | { path: string; kind: 'pattern'; pattern: string };

/** Those that `flight-launch.json` names, else those that such a repository usually has; the first that exists counts. */
export function versionFiles({ client, server, versionFiles: named }: Configuration): VersionFile[] {
  if (named === undefined) {
    const inServer = server.folder === '.' ? 'VERSION' : `${server.folder}/VERSION`;
    return [
      ...['VERSION', inServer, `${client.folder}/VERSION`].map((path) => ({ path, kind: 'text' }) as const),
      { path: `${client.folder}/package.json`, kind: 'json', pointer: '/version' },
    ];
  }
  return named.map((entry) => {
    if (typeof entry === 'string') return { path: entry, kind: 'text' };
    const { file: path } = entry;
    return 'pointer' in entry
      ? { path, kind: 'json', pointer: entry.pointer }
      : { path, kind: 'pattern', pattern: entry.pattern };
  });
}

/** The version in a file's text; undefined where there is none that a line could show. */
export function readVersion(file: VersionFile, text: string): string | undefined {
  const found = find(file, text.replace(/^\uFEFF/, ''));
  return typeof found === 'string' && /^[\x21-\x7e]{1,64}$/.test(found) ? found : undefined;
}

function find(file: VersionFile, text: string): unknown {
  switch (file.kind) {
    case 'text':
      return text.trim();
    case 'json':
      return pointed(text, file.pointer);
    case 'pattern':
      return new RegExp(file.pattern, 'mu').exec(text)?.[1];
  }
}

function pointed(text: string, pointer: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  for (const part of pointer.slice(1).split('/')) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}
