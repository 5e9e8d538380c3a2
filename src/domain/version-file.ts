import { findNodeAtLocation, parseTree } from 'jsonc-parser';
import { isUtf8 } from 'node:buffer';
import { posix } from 'node:path';
import { configurationFile, type Configuration } from './configuration';
import { UserError } from './errors';
import { printable } from './paths';
import { manifestVersion } from './version';

/** Where a version stands in a file of the repository. */
export type VersionFile =
  | { path: string; kind: 'text' }
  /** RFC 6901 */
  | { path: string; kind: 'json'; pointer: string }
  /** A regular expression whose one group is the version. */
  | { path: string; kind: 'pattern'; pattern: string };

/**
 * Those that `flight-launch.json` names, else those that such a repository usually has. A release writes all that
 * exist; for `history` and `status` the first that exists counts.
 */
export function versionFiles({ client, server, versionFiles: named }: Configuration): VersionFile[] {
  if (named === undefined) {
    const inServer = server.folder === '.' ? 'VERSION' : `${server.folder}/VERSION`;
    const inClient = (name: string, ...pointers: string[]) =>
      pointers.map((pointer) => ({ path: `${client.folder}/${name}`, kind: 'json', pointer }) as const);
    return [
      ...[...new Set(['VERSION', inServer, `${client.folder}/VERSION`])].map(
        (path) => ({ path, kind: 'text' }) as const,
      ),
      ...inClient('package.json', '/version'),
      // npm keeps the version a second time since lockfile version 2.
      ...inClient('package-lock.json', '/version', '/packages//version'),
      ...inClient('npm-shrinkwrap.json', '/version', '/packages//version'),
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
  return typeof found === 'string' && isShown(found) ? found : undefined;
}

/** What a line could show as a version. */
function isShown(text: string): boolean {
  return /^[\x21-\x7e]{1,64}$/.test(text);
}

function find(file: VersionFile, text: string): unknown {
  switch (file.kind) {
    case 'text':
      return text.trim();
    case 'json':
      return pointed(parse(text)?.value, pathOf(file.pointer));
    case 'pattern':
      return new RegExp(file.pattern, 'mu').exec(text)?.[1];
  }
}

/** Undefined where the text is not JSON, comments included. */
function parse(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function pathOf(pointer: string): string[] {
  return pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function pointed(json: unknown, path: readonly string[]): unknown {
  let value = json;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

/** A version file that is longer than this, in bytes, is none; lockfiles are the long ones. */
export const maxVersionFileBytes = 16 * 1024 ** 2;

const maxPatternFileBytes = 1024 ** 2;

/** npm refuses any version but a semantic one in these. */
const manifests = ['package.json', 'package-lock.json', 'npm-shrinkwrap.json'];

/**
 * Writes the version to all places of one file and leaves every other byte as it is: BOM, line ends, the formatting of
 * JSON. A manifest of npm and its lockfile get the version as `manifestVersion` spells it.
 *
 * A pattern comes from the repository, and one that backtracks without end cannot be interrupted; that files with a
 * pattern are at most 1 MiB bounds only what an innocent one costs.
 * @param places those of one path, at least one
 * @throws UserError that names the file and what is wrong with it: too long, not UTF-8, conflict markers, no version in
 *   the place, or the version that it has already (I78)
 */
export function writeVersion(places: readonly VersionFile[], content: Buffer, version: string): Buffer {
  const path = places[0]?.path ?? '';
  const written = manifests.includes(posix.basename(path)) ? manifestVersion(version) : version;
  const original = decode(path, content);
  const bom = /^\uFEFF?/.exec(original)?.[0] ?? '';
  let text = original.slice(bom.length);
  for (const place of places) {
    const { start, end } = locate(place, text);
    text =
      text.slice(0, start) + (place.kind === 'json' ? JSON.stringify(written) : written) + text.slice(end);
    // Where a pattern fits only versions of another form, or JSON has a key twice.
    if (readVersion(place, text) !== written) {
      throw new UserError(`${path} would not read as ${written} after it is written`);
    }
  }
  if (bom + text === original) throw new UserError(`${path} has the version ${written} already`);
  return Buffer.from(bom + text);
}

function decode(path: string, content: Buffer): string {
  if (content.length > maxVersionFileBytes) throw new UserError(`${path} is too long for a version file`);
  if (!isUtf8(content)) throw new UserError(`${path} is not UTF-8`);
  const text = content.toString();
  if (/^(?:<{7}|>{7})(?: |$)/m.test(text)) throw new UserError(`${path} has conflict markers`);
  return text;
}

interface Range {
  start: number;
  end: number;
}

/**
 * Where the version stands in a text without BOM, quotes of JSON included.
 * @throws UserError where there is none, or more than one
 */
function locate(place: VersionFile, text: string): Range {
  switch (place.kind) {
    case 'text':
      if (readVersion(place, text) === undefined)
        throw new UserError(`${place.path} is not a version in one line`);
      return { start: text.length - text.trimStart().length, end: text.trimEnd().length };
    case 'json':
      return locateJson(place, text);
    case 'pattern':
      return locatePattern(place, text);
  }
}

function locateJson(place: VersionFile & { kind: 'json' }, text: string): Range {
  const json = parse(text);
  if (json === undefined) throw new UserError(`${place.path} is not valid JSON`);
  const path = pathOf(place.pointer);
  const location = path.map((key, depth) =>
    Array.isArray(pointed(json.value, path.slice(0, depth))) ? Number(key) : key,
  );
  const tree = parseTree(text);
  const node = tree === undefined ? undefined : findNodeAtLocation(tree, location);
  if (node === undefined || readVersion(place, text) === undefined) {
    throw new UserError(`${place.path} has no version at ${printable(place.pointer)}`);
  }
  return { start: node.offset, end: node.offset + node.length };
}

function locatePattern(place: VersionFile & { kind: 'pattern' }, text: string): Range {
  if (text.length > maxPatternFileBytes) throw new UserError(`${place.path} is too long for a pattern`);
  const pattern = printable(place.pattern);
  const matches = [...text.matchAll(new RegExp(place.pattern, 'dgmu'))];
  if (matches.length > 1) {
    throw new UserError(`${place.path} has ${String(matches.length)} places that match ${pattern}`);
  }
  const range = matches[0]?.indices?.[1];
  if (range === undefined || readVersion(place, text) === undefined) {
    throw new UserError(`${place.path} has no version that matches ${pattern}`);
  }
  return { start: range[0], end: range[1] };
}

/**
 * What a release writes, and everything that keeps it from doing so.
 * @param contents of those files that exist, by path
 * @param named whether flight-launch.json names the files; of the usual ones those count that exist and hold a version
 */
export function planVersionFiles(
  files: readonly VersionFile[],
  contents: ReadonlyMap<string, Buffer>,
  version: string,
  named: boolean,
): { changes: Map<string, Buffer>; problems: string[] } {
  const changes = new Map<string, Buffer>();
  const problems: string[] = [];
  for (const path of new Set(files.map((file) => file.path))) {
    const content = contents.get(path);
    if (content === undefined) {
      if (named) problems.push(`${path} is named in ${configurationFile} and is no file of the commit`);
      continue;
    }
    const places = files.filter((file) => file.path === path && (named || !lacks(file, content)));
    if (places.length === 0) continue;
    try {
      changes.set(path, writeVersion(places, content, version));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      problems.push(error.message);
    }
  }
  if (changes.size === 0 && problems.length === 0) {
    problems.push(
      `there is no version file: name those of the repository in ${configurationFile}, "versionFiles"`,
    );
  }
  return { changes, problems };
}

/** A `package.json` need not have a version, and neither then has its lockfile. */
function lacks(file: VersionFile, content: Buffer): boolean {
  if (file.kind !== 'json') return false;
  const json = parse(content.toString().replace(/^\uFEFF/, ''));
  return json !== undefined && pointed(json.value, pathOf(file.pointer)) === undefined;
}
