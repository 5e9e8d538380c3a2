import { constants, createReadStream, createWriteStream } from 'node:fs';
import { copyFile, lstat, mkdir, symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, type Header } from 'tar-stream';
import {
  ArchiveChecker,
  checkNotLfsPointer,
  lfsPointerMaxBytes,
  maxEntries,
  type ArchiveRules,
  type Entry,
} from '../domain/archive-rules';
import { UserError } from '../domain/errors';
import { printable } from '../domain/paths';
import { freeSpace, isDiskFull } from '../domain/host-failure';
import { endOfArchive, paddingBytes, tarHeader, TarFraming, type Owner } from '../domain/tar-format';
import { isMissing } from './files';

export interface TarEntry {
  entry: Entry;
  /** Content of a file; has to be read before the next entry is asked for, or it is dropped. */
  content: AsyncIterable<Buffer>;
}

/**
 * Reads a tar entry by entry, all checked; memory stays flat.
 * @throws UserError for the first thing that breaks a rule of the format or of the entries
 */
export async function* readTar(source: Readable, rules: ArchiveRules): AsyncGenerator<TarEntry> {
  const framing = new TarFraming(rules.subject);
  let damage: unknown;
  const watched = (step: () => void, done: (error?: Error | null) => void): void => {
    try {
      step();
      done();
    } catch (error) {
      damage = error;
      done(error instanceof Error ? error : new Error(String(error)));
    }
  };
  const guard = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      watched(() => {
        framing.push(chunk);
        this.push(chunk);
      }, done);
    },
    flush(done) {
      watched(() => {
        framing.end();
      }, done);
    },
  });
  const entries = extract();
  const fed = pipeline(source, guard, entries);
  // It is awaited at the end; until then the iterator tells of a failure.
  fed.catch(() => undefined);
  const checker = new ArchiveChecker(rules);
  try {
    for await (const found of entries) {
      const entry = checker.check(raw(found.header));
      if (entry !== undefined) yield { entry, content: found as AsyncIterable<Buffer> };
      found.resume();
    }
    await fed;
  } catch (error) {
    // What tar-stream says of a stream that the guard ended is a consequence.
    throw error instanceof UserError ? error : (damage ?? error);
  } finally {
    source.destroy();
  }
}

// The declared types leave out that a header without a link has null for one.
function raw({ name, type, size, mode, linkname }: Omit<Header, 'linkname'> & { linkname: string | null }) {
  return { name, type, size, mode, target: linkname ?? '' };
}

/** Writes tar streams whose entries all have one owner; folders are added before what lies in them. */
export class TarWriter {
  readonly #folders = new Set<string>();

  /** @param prefix folder that everything is put below, itself added; none where empty */
  constructor(
    private readonly owner: Owner,
    private readonly prefix = '',
  ) {}

  *folder(path: string): Generator<Buffer> {
    const segments = this.#full(path).split('/');
    for (let count = 1; count <= segments.length; count += 1) {
      const folder = segments.slice(0, count).join('/');
      if (folder === '' || this.#folders.has(folder)) continue;
      this.#folders.add(folder);
      yield tarHeader({ kind: 'folder', path: folder }, `${folder}/`, this.owner);
    }
  }

  async *file(path: string, content: Buffer): AsyncGenerator<Buffer> {
    const entry: Entry = { kind: 'file', path, size: content.length, executable: false };
    yield* this.entry(entry, Readable.from([content]));
  }

  async *entry(entry: Entry, content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    if (entry.kind === 'folder') {
      yield* this.folder(entry.path);
      return;
    }
    yield* this.folder(entry.path.split('/').slice(0, -1).join('/'));
    const target =
      entry.kind === 'hardlink' ? this.#full(entry.target) : entry.kind === 'symlink' ? entry.target : '';
    yield tarHeader(entry, this.#full(entry.path), this.owner, target);
    if (entry.kind !== 'file') return;
    yield* content;
    yield Buffer.alloc(paddingBytes(entry.size));
  }

  *end(): Generator<Buffer> {
    yield endOfArchive;
  }

  #full(path: string): string {
    return [this.prefix, path].filter((part) => part !== '').join('/');
  }
}

/** A byte stream of what a generator makes, no faster than it is read. */
export function streamOf(chunks: AsyncIterable<Buffer>): Readable {
  return Readable.from(chunks, { objectMode: false });
}

/** Passes a file's content on; a small one is looked at first (I40). */
export async function* withoutLfsPointers({ entry, content }: TarEntry): AsyncGenerator<Buffer> {
  if (entry.kind !== 'file' || entry.size > lfsPointerMaxBytes) {
    yield* content;
    return;
  }
  const chunks: Buffer[] = [];
  for await (const chunk of content) chunks.push(chunk);
  const whole = Buffer.concat(chunks);
  checkNotLfsPointer(entry.path, whole);
  yield whole;
}

/**
 * Unpacks an artifact into a folder below `root` without ever writing through a symlink. Files replace what has
 * their name; modified times are those of the placing, since servers derive `Last-Modified` from them.
 * @param root a folder that is trusted, the work tree of a deploy
 * @param folder relative to `root`; created where it is missing
 * @returns the files and links that were there before, relative to `folder`
 * @throws UserError where a symlink (I41) or a file is in the way of a folder, or a folder in that of a file
 */
export async function placeArtifact(artifact: string, root: string, folder: string): Promise<string[]> {
  const rules: ArchiveRules = {
    subject: 'the stored client',
    remedy: 'Remove the stored client, or push a changed one, so that it is built again.',
    maxEntries,
    maxBytes: Number.MAX_SAFE_INTEGER,
    sizeRemedy: '',
  };
  const folders = new PlainFolders(root);
  const replaced: string[] = [];
  try {
    await folders.require(folder);
    for await (const item of readTar(createReadStream(artifact), rules)) {
      const path = join(folder, item.entry.path);
      if (item.entry.kind === 'folder') {
        await folders.require(path);
        continue;
      }
      await folders.require(join(path, '..'));
      if (await clear(root, path)) replaced.push(item.entry.path);
      await placeEntry(item, join(root, path), join(root, folder));
    }
  } catch (error) {
    if (isDiskFull(error)) {
      throw new UserError(`The disk is full: the client could not be written to ${printable(folder)}`, {
        remedy: `${freeSpace} and push again.`,
        cause: error,
      });
    }
    throw error;
  }
  return replaced;
}

async function placeEntry({ entry, content }: TarEntry, path: string, base: string): Promise<void> {
  switch (entry.kind) {
    case 'file':
      await pipeline(
        content,
        createWriteStream(path, { flags: 'wx', mode: entry.executable ? 0o755 : 0o644 }),
      );
      break;
    case 'hardlink':
      await copyFile(join(base, entry.target), path, constants.COPYFILE_EXCL);
      break;
    case 'symlink':
      await symlink(entry.target, path);
      break;
    case 'folder':
      break;
  }
}

/** Folders below a root that were made sure to be real ones, each looked at once. */
class PlainFolders {
  readonly #known = new Set<string>(['.']);

  constructor(private readonly root: string) {}

  async require(path: string): Promise<void> {
    if (this.#known.has(path)) return;
    await this.require(join(path, '..'));
    const found = await kindOf(join(this.root, path));
    if (found === 'nothing') await mkdir(join(this.root, path), { mode: 0o755 });
    else if (found !== 'a folder') throw inTheWay(path, found, 'a folder for the built client');
    this.#known.add(path);
  }
}

/** Removes a file or link that stands where one will be placed; tells whether there was one. */
async function clear(root: string, path: string): Promise<boolean> {
  const found = await kindOf(join(root, path));
  if (found === 'nothing') return false;
  if (found === 'a folder') throw inTheWay(path, found, 'a file of the built client');
  await unlink(join(root, path));
  return true;
}

async function kindOf(path: string): Promise<'nothing' | 'a folder' | 'a symlink' | 'a file'> {
  try {
    const stats = await lstat(path);
    return stats.isDirectory() ? 'a folder' : stats.isSymbolicLink() ? 'a symlink' : 'a file';
  } catch (error) {
    if (isMissing(error)) return 'nothing';
    throw error;
  }
}

function inTheWay(path: string, found: string, wanted: string): UserError {
  return new UserError(`${printable(path)} of the server is ${found}, where ${wanted} has to be`, {
    remedy: 'Rename or remove it in the repository, or set `server.public` in flight-launch.json.',
  });
}
