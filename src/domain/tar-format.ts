import type { Entry } from './archive-rules';
import { UserError } from './errors';
import { printable } from './paths';

/**
 * The framing of tar streams: POSIX.1-2017, pax, section "pax Interchange Format". Git and Docker both write it, so
 * nothing but it is accepted: no GNU long names, no sparse files, no older formats.
 */
export const blockBytes = 512;
const maxPaxBytes = 64 * 1024;
// GNU tar and git fill their last record of 10 KiB; more than this is no padding.
const maxTrailingBytes = 1024 * 1024;

const entryTypes = new Set(['0', '1', '2', '3', '4', '5', '6', '7']);
const paxKeys = new Set([
  'atime',
  'comment',
  'ctime',
  'gid',
  'gname',
  'linkpath',
  'mtime',
  'path',
  'size',
  'uid',
  'uname',
]);

/** An archive that ended too soon; whoever produced it may know why. */
export class ArchiveCut extends UserError {}

/**
 * Watches a tar stream go by and refuses what tar-stream reads in silence: wrong checksums, sizes that are no
 * numbers, content where none belongs, names that are not UTF-8, a stream that was cut (H10).
 */
export class TarFraming {
  readonly #subject: string;
  #state: 'header' | 'pax' | 'end' = 'header';
  readonly #block = Buffer.alloc(blockBytes);
  #filled = 0;
  /** Bytes of content and padding until the next header. */
  #skip = 0;
  #zeroBlocks = 0;
  #trailing = 0;
  #empty = true;
  #paxBody: Buffer = Buffer.alloc(0);
  #paxFilled = 0;
  #paxGlobal = false;
  #pax: ReadonlyMap<string, string> | undefined;

  /** @param subject names the archive in messages */
  constructor(subject: string) {
    this.#subject = subject;
  }

  /** @throws UserError at the first byte that breaks a rule, before the entry it belongs to is complete */
  push(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      this.#empty = false;
      rest = rest.subarray(this.#take(rest));
    }
  }

  /** To be called after the last byte. @throws ArchiveCut where the archive is not complete (I31, I32) */
  end(): void {
    if (this.#state === 'end') return;
    const { message, remedy = '' } = this.#damaged(this.#empty ? 'it is empty' : 'it was cut before its end');
    throw new ArchiveCut(message, { remedy });
  }

  /** Consumes bytes for the state that the stream is in and returns how many. */
  #take(bytes: Buffer): number {
    if (this.#skip > 0) {
      const skipped = Math.min(this.#skip, bytes.length);
      this.#skip -= skipped;
      return skipped;
    }
    if (this.#state === 'end') {
      this.#trailing += bytes.length;
      if (this.#trailing > maxTrailingBytes || bytes.some((byte) => byte !== 0)) {
        throw this.#damaged('data follows its end');
      }
      return bytes.length;
    }
    if (this.#state === 'pax') {
      const copied = bytes.copy(this.#paxBody, this.#paxFilled);
      this.#paxFilled += copied;
      if (this.#paxFilled === this.#paxBody.length) this.#finishPax();
      return copied;
    }
    const copied = bytes.copy(this.#block, this.#filled);
    this.#filled += copied;
    if (this.#filled === blockBytes) {
      this.#filled = 0;
      this.#header(this.#block);
    }
    return copied;
  }

  #header(block: Buffer): void {
    if (block.every((byte) => byte === 0)) {
      this.#zeroBlocks += 1;
      if (this.#zeroBlocks === 2) this.#state = 'end';
      return;
    }
    if (this.#zeroBlocks > 0) throw this.#damaged('data follows its end');
    if (this.#number(block, 148, 8, 'checksum') !== checksum(block))
      throw this.#damaged('a checksum is wrong');
    const magic = block.toString('latin1', 257, 263);
    if (magic !== 'ustar\0' && magic !== 'ustar ') throw this.#damaged('it is of an unknown format');
    for (const [offset, length, field] of [
      [100, 8, 'mode'],
      [108, 8, 'user id'],
      [116, 8, 'group id'],
      [136, 12, 'time'],
    ] as const) {
      this.#number(block, offset, length, field);
    }
    const size = this.#number(block, 124, 12, 'size');
    const type = block[156] === 0 ? '0' : String.fromCharCode(block[156] ?? 0);
    if (type === 'x' || type === 'g') this.#startPax(type, size);
    else this.#entry(block, type, size);
  }

  #entry(block: Buffer, type: string, headerSize: number): void {
    const pax = this.#pax ?? new Map<string, string>();
    this.#pax = undefined;
    const name = pax.get('path') ?? this.#text(nameOf(block), 'a name');
    if (!pax.has('linkpath')) this.#text(cString(block, 157, 100), 'the target of a link');
    const shown = `entry "${printable(name)}"`;
    if (!entryTypes.has(type)) throw this.#damaged(`${shown} is of unknown type "${printable(type)}"`);
    // Docker's own writer leaves `dist/` in the header of `dist/é`, whose name is in the extended one.
    if (type === '0' && name.endsWith('/')) throw this.#damaged(`${shown} is a file named as a folder`);
    const size = pax.has('size') ? Number(pax.get('size')) : headerSize;
    if (headerSize !== 0 && headerSize !== size) throw this.#damaged(`${shown} has two different sizes`);
    if (type !== '0' && size !== 0) throw this.#damaged(`${shown} has content and is no file`);
    this.#skip = size + paddingBytes(size);
  }

  #startPax(type: 'x' | 'g', size: number): void {
    if (size > maxPaxBytes) throw this.#damaged(`an extended header is larger than ${maxPaxBytes} bytes`);
    if (size === 0 || this.#pax !== undefined) throw this.#damaged('an extended header stands alone');
    this.#paxGlobal = type === 'g';
    this.#paxBody = Buffer.alloc(size);
    this.#paxFilled = 0;
    this.#state = 'pax';
  }

  #finishPax(): void {
    const records = this.#paxRecords(this.#paxBody);
    // Git puts the commit into one as a comment; anything else would apply to every entry that follows (I35).
    if (this.#paxGlobal && [...records.keys()].some((key) => key !== 'comment')) {
      throw this.#damaged('a global extended header sets more than a comment');
    }
    if (!this.#paxGlobal) this.#pax = records;
    this.#skip = paddingBytes(this.#paxBody.length);
    this.#paxBody = Buffer.alloc(0);
    this.#state = 'header';
  }

  #paxRecords(body: Buffer): Map<string, string> {
    const records = new Map<string, string>();
    for (let rest = body; rest.length > 0;) {
      const digits = /^[1-9][0-9]{0,5}(?= )/.exec(rest.toString('latin1', 0, 8))?.[0];
      const length = Number(digits);
      if (digits === undefined || length > rest.length || rest[length - 1] !== newline) {
        throw this.#damaged('an extended header has a wrong length');
      }
      const record = rest.subarray(digits.length + 1, length - 1);
      const equals = record.indexOf('=');
      if (equals < 1) throw this.#damaged('an extended header has a record without a key');
      const key = record.toString('latin1', 0, equals);
      this.#checkPaxKey(key, records);
      // Values of vendors are bytes and nobody here reads them.
      records.set(key, paxKeys.has(key) ? this.#paxValue(key, record.subarray(equals + 1)) : '');
      rest = rest.subarray(length);
    }
    return records;
  }

  #checkPaxKey(key: string, before: ReadonlyMap<string, string>): void {
    if (before.has(key)) throw this.#damaged(`an extended header sets "${printable(key)}" twice`);
    if (key.startsWith('GNU.sparse.')) throw this.#damaged('it holds a sparse file');
    if (!paxKeys.has(key) && !/^[A-Z]+\.[ -~]+$/.test(key)) {
      throw this.#damaged(`an extended header sets "${printable(key)}", which is unknown`);
    }
  }

  #paxValue(key: string, bytes: Buffer): string {
    const value = this.#text(bytes, `"${key}" of an extended header`);
    if ((key === 'path' || key === 'linkpath') && (value === '' || value.includes('\0'))) {
      throw this.#damaged(`an extended header has ${value === '' ? 'an empty' : 'a NUL in its'} "${key}"`);
    }
    if (key === 'size' && (!/^[0-9]{1,16}$/.test(value) || !Number.isSafeInteger(Number(value)))) {
      throw this.#damaged(`an extended header has "${printable(value)}" for a size`);
    }
    return value;
  }

  /** Octal digits, or base-256 with the first bit set, as GNU tar and Go write large numbers. */
  #number(block: Buffer, offset: number, length: number, field: string): number {
    const bytes = block.subarray(offset, offset + length);
    if (((bytes[0] ?? 0) & 0x80) === 0) {
      const match = /^ *([0-7]*)[ \0]*$/.exec(bytes.toString('latin1'));
      if (match === null) throw this.#damaged(`a ${field} is no number`);
      return match[1] === '' ? 0 : parseInt(match[1] ?? '', 8);
    }
    if (bytes[0] !== 0x80) throw this.#damaged(`a ${field} is negative`);
    const value = bytes.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0);
    if (!Number.isSafeInteger(value)) throw this.#damaged(`a ${field} is too large`);
    return value;
  }

  #text(bytes: Buffer, what: string): string {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw this.#damaged(`${what} is not UTF-8: "${printable(bytes.toString('latin1'))}"`);
    }
  }

  #damaged(rule: string): UserError {
    return new UserError(`The archive of ${this.#subject} cannot be taken: ${rule}`, {
      remedy: 'Try again; if it stays so, look for unusual files in it.',
    });
  }
}

const newline = 0x0a;

/** Who owns the entries that are written; the source's own ids are never taken. */
export interface Owner {
  uid: number;
  gid: number;
}

// Fixed, so that equal content makes equal archives. The first moment that zip files can hold: tools refuse 1970.
const modifiedSeconds = Date.UTC(1980, 0, 1) / 1000;

/** The header blocks of an entry; a file's content and its padding have to follow. */
export function tarHeader(entry: Entry, path: string, { uid, gid }: Owner, target = ''): Buffer {
  const size = entry.kind === 'file' ? entry.size : 0;
  const records: string[] = [];
  const fitting = (key: string, value: string, max: number): string => {
    if (Buffer.byteLength(value) <= max) return value;
    records.push(paxRecord(key, value));
    return '@pax';
  };
  const name = fitting('path', path, 100);
  const link = fitting('linkpath', target, 100);
  const plainSize = size <= 0o77777777777 ? size : 0;
  if (plainSize !== size) records.push(paxRecord('size', String(size)));
  const type = { file: '0', hardlink: '1', symlink: '2', folder: '5' }[entry.kind];
  const mode = entry.kind === 'folder' || (entry.kind === 'file' && entry.executable) ? 0o755 : 0o644;
  const header = plainHeader({ name, link, size: plainSize, type, mode, uid, gid });
  if (records.length === 0) return header;
  const body = Buffer.from(records.join(''));
  const paxHeader = { name: '@pax', link: '', size: body.length, type: 'x', mode: 0o644, uid, gid };
  return Buffer.concat([plainHeader(paxHeader), body, Buffer.alloc(paddingBytes(body.length)), header]);
}

/** Bytes of zeros that follow so much content. */
export function paddingBytes(size: number): number {
  return (blockBytes - (size % blockBytes)) % blockBytes;
}

export const endOfArchive = Buffer.alloc(2 * blockBytes);

interface PlainHeader {
  name: string;
  link: string;
  size: number;
  type: string;
  mode: number;
  uid: number;
  gid: number;
}

function plainHeader({ name, link, size, type, mode, uid, gid }: PlainHeader): Buffer {
  const block = Buffer.alloc(blockBytes);
  const octal = (value: number, offset: number, length: number): void => {
    block.write(value.toString(8).padStart(length - 1, '0'), offset, 'latin1');
  };
  block.write(name, 0);
  octal(mode, 100, 8);
  octal(uid, 108, 8);
  octal(gid, 116, 8);
  octal(size, 124, 12);
  octal(modifiedSeconds, 136, 12);
  block.write(type, 156, 'latin1');
  block.write(link, 157);
  block.write('ustar\x0000', 257, 'latin1');
  octal(checksum(block), 148, 8);
  return block;
}

/** The length in front of a record counts its own digits. */
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const bytes = Buffer.byteLength(rest);
  let length = bytes + String(bytes).length;
  if (bytes + String(length).length !== length) length = bytes + String(length).length;
  return `${String(length)}${rest}`;
}

/** Sum of the header's bytes, those of the checksum itself counted as spaces. */
function checksum(block: Buffer): number {
  return block.reduce((sum, byte, index) => sum + (index >= 148 && index < 156 ? 0x20 : byte), 0);
}

/** The name as tar-stream puts it together. */
export function nameOf(block: Buffer): Buffer {
  const name = cString(block, 0, 100);
  const isPosix = block.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = isPosix ? cString(block, 345, 155) : Buffer.alloc(0);
  return prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]);
}

function cString(block: Buffer, offset: number, length: number): Buffer {
  const field = block.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return end === -1 ? field : field.subarray(0, end);
}
