import { UserError } from './errors';
import { printable } from './paths';
import type { TreeEntry } from './ports';
import { formatBytes } from './units';

/** An entry as it stands in a tar's header, nothing checked. */
export interface RawEntry {
  name: string;
  type: string;
  /** Bytes of content that follow. */
  size: number;
  /** Permission bits. */
  mode: number;
  /** Where a link points. */
  target: string;
}

/** An entry that keeps the rules. Paths are relative to the archive's root, without `.`, `..` or empty segments. */
export type Entry =
  | { kind: 'folder'; path: string }
  | { kind: 'file'; path: string; size: number; executable: boolean }
  /** `target` is relative to the link's folder and stays inside the archive. */
  | { kind: 'symlink'; path: string; target: string }
  /** `target` is the path of a file that came before; `size` is that file's. */
  | { kind: 'hardlink'; path: string; target: string; size: number };

export interface ArchiveRules {
  /** Names the archive in messages, for example `the built client`. */
  subject: string;
  /** One line: what to do about an entry that is refused. */
  remedy: string;
  /** A folder that every name has to begin with and that is taken off; the archive's root where absent. */
  root?: string;
  maxEntries: number;
  /** Content of all files, links counted as what they stand for. */
  maxBytes: number;
  /** One line: what to do where `maxBytes` is passed. */
  sizeRemedy: string;
}

export const maxEntries = 200_000;
const maxDepth = 100;
// Below PATH_MAX (4096) with room for the folder that an archive is unpacked into.
const maxPathBytes = 2048;
// NAME_MAX of every Linux file system.
const maxSegmentBytes = 255;

/**
 * Checks the entries of one archive in their order. One set of rules for both directions, the sources that go into
 * a container and the output that comes out of it: either side may be hostile.
 *
 * Names that differ only by case or Unicode normalisation are allowed (I25): git and every file system of a Linux
 * host keep them apart.
 */
export class ArchiveChecker {
  readonly #rules: ArchiveRules;
  readonly #seen = new Map<string, { kind: Entry['kind']; size: number }>();
  #entries = 0;
  #bytes = 0;
  #files = 0;

  constructor(rules: ArchiveRules) {
    this.#rules = rules;
  }

  /** Files and links so far. */
  get files(): number {
    return this.#files;
  }

  /**
   * @returns the entry made plain, or undefined for the archive's root itself
   * @throws UserError that names the entry and the rule that it breaks
   */
  check(raw: RawEntry): Entry | undefined {
    this.#entries += 1;
    if (this.#entries > this.#rules.maxEntries) {
      throw this.#error(`holds more than ${this.#rules.maxEntries.toLocaleString('en')} entries`);
    }
    const path = this.#withoutRoot(this.#plainPath(raw.name, raw.name), raw.name);
    if (path === '') {
      if (raw.type === 'directory') return undefined;
      throw this.#error(`is ${describeType(raw.type)}, it has to be a folder`);
    }
    this.#requireFolders(path, raw.name);
    const entry = this.#typed(raw, path);
    this.#remember(entry, raw.name);
    return entry;
  }

  #typed(raw: RawEntry, path: string): Entry {
    switch (raw.type) {
      case 'directory':
        return { kind: 'folder', path };
      case 'file':
        if (!Number.isSafeInteger(raw.size) || raw.size < 0)
          throw this.#refuse(raw.name, 'has no valid size');
        // Setuid, setgid and sticky bits are dropped with all others but this one (I23).
        return { kind: 'file', path, size: raw.size, executable: (raw.mode & 0o100) !== 0 };
      case 'symlink':
        return { kind: 'symlink', path, target: this.#linkTarget(raw, path) };
      case 'link': {
        const target = this.#withoutRoot(this.#plainPath(raw.target, raw.name), raw.name);
        const found = this.#seen.get(target);
        if (found?.kind !== 'file' && found?.kind !== 'hardlink') {
          throw this.#refuse(
            raw.name,
            `is a hard link to ${quote(raw.target)}, which is no file that came before it`,
          );
        }
        return { kind: 'hardlink', path, target, size: found.size };
      }
      default:
        throw this.#refuse(
          raw.name,
          `is ${describeType(raw.type)}; only files, folders and links are allowed`,
        );
    }
  }

  /**
   * `..` may stand only at the front, where it counts real folders: no entry lies below a link. Behind a name it
   * could count the folders of another link's target, and a chain of links that each look harmless leaves the root.
   */
  #linkTarget(raw: RawEntry, path: string): string {
    const rule = (text: string): UserError =>
      this.#refuse(raw.name, `is a symlink to ${quote(raw.target)}, ${text}`);
    const problem = unreadable(raw.target);
    if (raw.target === '') throw rule('which is empty');
    if (problem !== undefined) throw rule(`which holds ${problem}`);
    if (raw.target.startsWith('/')) throw rule('an absolute path; only relative ones stay inside');
    const segments = raw.target.split('/').filter((segment) => segment !== '' && segment !== '.');
    const named = segments.findIndex((segment) => segment !== '..');
    const ups = named === -1 ? segments.length : named;
    if (segments.includes('..', ups)) throw rule('where ".." follows a name');
    if (ups > path.split('/').length - 1) throw rule('which leads outside');
    if (segments.some(isGitFolder)) throw rule('a folder of git');
    return raw.target;
  }

  #plainPath(name: string, shown: string): string {
    const problem = unreadable(name);
    if (problem !== undefined) throw this.#refuse(shown, `holds ${problem} in its name`);
    if (name.startsWith('/')) throw this.#refuse(shown, 'has an absolute name');
    const trimmed = name.replace(/^(?:\.\/)+/, '').replace(/\/$/, '');
    if (trimmed === '.' || (trimmed === '' && name !== '')) return '';
    const segments = trimmed.split('/');
    if (segments.includes('..')) throw this.#refuse(shown, 'has ".." in its name');
    if (segments.includes('') || segments.includes('.')) {
      throw this.#refuse(shown, 'has an empty or "." segment in its name');
    }
    if (segments.some(isGitFolder)) throw this.#refuse(shown, 'lies in a folder of git');
    if (segments.length > maxDepth) throw this.#refuse(shown, `lies more than ${maxDepth} folders deep`);
    if (Buffer.byteLength(trimmed) > maxPathBytes) {
      throw this.#refuse(shown, `has a name of more than ${maxPathBytes} bytes`);
    }
    if (segments.some((segment) => Buffer.byteLength(segment) > maxSegmentBytes)) {
      throw this.#refuse(shown, `has a part of more than ${maxSegmentBytes} bytes in its name`);
    }
    return trimmed;
  }

  #withoutRoot(path: string, shown: string): string {
    const { root } = this.#rules;
    if (root === undefined || path === '') return path;
    if (path === root) return '';
    // With the slash: a sibling such as `dist-other` shares the prefix only (I10).
    if (path.startsWith(`${root}/`)) return path.slice(root.length + 1);
    throw this.#refuse(shown, `does not lie in ${quote(root)}`);
  }

  #requireFolders(path: string, shown: string): void {
    for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) {
      const parent = path.slice(0, slash);
      const found = this.#seen.get(parent);
      if (found === undefined) this.#seen.set(parent, { kind: 'folder', size: 0 });
      else if (found.kind !== 'folder') {
        throw this.#refuse(shown, `lies below ${quote(parent)}, which is ${describeKind(found.kind)}`);
      }
    }
  }

  #remember(entry: Entry, shown: string): void {
    const before = this.#seen.get(entry.path);
    if (before !== undefined && !(before.kind === 'folder' && entry.kind === 'folder')) {
      throw this.#refuse(shown, `comes twice, first as ${describeKind(before.kind)}`);
    }
    const size = entry.kind === 'file' || entry.kind === 'hardlink' ? entry.size : 0;
    this.#seen.set(entry.path, { kind: entry.kind, size });
    if (entry.kind !== 'folder') this.#files += 1;
    this.#bytes += size;
    if (this.#bytes > this.#rules.maxBytes) {
      throw this.#error(
        `is larger than its limit of ${formatBytes(this.#rules.maxBytes)}`,
        this.#rules.sizeRemedy,
      );
    }
  }

  #refuse(name: string, rule: string): UserError {
    return new UserError(`Entry ${quote(name)} of ${this.#rules.subject} ${rule}`, {
      remedy: this.#rules.remedy,
    });
  }

  #error(rule: string, remedy = this.#rules.remedy): UserError {
    return new UserError(`${capital(this.#rules.subject)} ${rule}`, { remedy });
  }
}

/**
 * Refuses what git keeps of the client without its content.
 * @param entries of the commit, at or below the paths that a build reads
 * @param folder of the client, checked already to exist
 * @throws UserError for a submodule (I39) or where the client's folder is itself a link (I36)
 */
export function checkTree(entries: readonly TreeEntry[], folder: string): void {
  for (const { mode, path } of entries) {
    if (mode === '160000') {
      throw new UserError(`${quote(path)} is a submodule, whose files a push does not bring`, {
        remedy: 'Commit the files themselves, or install them as a package.',
      });
    }
    if (path === folder && mode !== '040000') {
      throw new UserError(
        `The client's folder ${quote(path)} is ${mode === '120000' ? 'a symlink' : 'a file'}`,
        {
          remedy: 'Name the real folder as `client.folder` in flight-launch.json.',
        },
      );
    }
  }
}

/** A pointer is smaller than this (git-lfs, docs/spec.md). */
export const lfsPointerMaxBytes = 1024;
const lfsPointerStart = 'version https://git-lfs.github.com/spec/';

/** @throws UserError where the content is a Git LFS pointer, which would be built instead of the file (I40) */
export function checkNotLfsPointer(path: string, content: Buffer): void {
  if (!content.subarray(0, lfsPointerStart.length).equals(Buffer.from(lfsPointerStart))) return;
  throw new UserError(`${quote(path)} is a Git LFS pointer, and the file itself is not in the push`, {
    remedy: 'Keep it in git itself (`git lfs untrack`, then commit it), or load it while building.',
  });
}

/** A name from outside in quotes, fit for a terminal (I27, I28). */
function quote(name: string): string {
  return `"${printable(name)}"`;
}

function unreadable(name: string): string | undefined {
  if (name.includes('\0')) return 'a NUL';
  // Decoders put it where bytes are no UTF-8; `adapters/tar.ts` refuses those before they are decoded.
  if (name.includes('\ufffd')) return 'bytes that are not UTF-8';
  if (/[\u0001-\u001f\u007f-\u009f]/.test(name)) return 'a control character';
  return undefined;
}

function isGitFolder(segment: string): boolean {
  return segment.toLowerCase() === '.git';
}

function describeKind(kind: Entry['kind']): string {
  return { folder: 'a folder', file: 'a file', symlink: 'a symlink', hardlink: 'a hard link' }[kind];
}

function describeType(type: string): string {
  const known: Record<string, string> = {
    file: 'a file',
    directory: 'a folder',
    symlink: 'a symlink',
    link: 'a hard link',
    fifo: 'a named pipe',
    'character-device': 'a device',
    'block-device': 'a device',
  };
  return known[type] ?? `of type ${quote(type)}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
