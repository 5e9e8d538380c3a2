import { blockBytes, nameOf, paddingBytes } from './tar-format';

/** Types whose header announces no content, whatever size it names. */
const withoutContent = new Set(['1', '2', '3', '4', '5', '6']);

/**
 * Lets a tar of any common dialect through byte by byte, less some entries. It is for layers of images, which others
 * wrote and Docker reads: what it does not drop stays as it is, so that an archive without such entries keeps its digest.
 */
export class TarFilter {
  #dropped = false;
  /** Header that is not complete yet. */
  #block = Buffer.alloc(0);
  /** Headers that tell of the entry to come, and go the way that it goes. */
  #held: Buffer[] = [];
  #extension: { type: string; size: number; body: Buffer[] } | undefined;
  #name: string | undefined;
  #size: number | undefined;
  /** Bytes of content and padding until the next header, and whether they are let through. */
  #left = 0;
  #passes = true;

  /** @param unwanted of a path without `./` before and `/` behind it */
  constructor(private readonly unwanted: (path: string) => boolean) {}

  get dropped(): boolean {
    return this.#dropped;
  }

  /** @returns what is let through, in pieces */
  *push(chunk: Buffer): Generator<Buffer> {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#left > 0) {
        const piece = rest.subarray(0, this.#left);
        rest = rest.subarray(piece.length);
        this.#left -= piece.length;
        if (this.#extension !== undefined) this.#extend(this.#extension, piece);
        else if (this.#passes) yield piece;
        continue;
      }
      const missing = blockBytes - this.#block.length;
      this.#block = Buffer.concat([this.#block, rest.subarray(0, missing)]);
      rest = rest.subarray(missing);
      if (this.#block.length < blockBytes) return;
      const block = this.#block;
      this.#block = Buffer.alloc(0);
      yield* this.#header(block);
    }
  }

  /** To be called after the last byte. @throws Error where the archive was cut */
  end(): void {
    if (this.#left > 0 || this.#block.length > 0 || this.#held.length > 0) throw new Error('a layer was cut');
  }

  *#header(block: Buffer): Generator<Buffer> {
    if (block.every((byte) => byte === 0)) {
      yield block;
      return;
    }
    if (block.toString('latin1', 257, 262) !== 'ustar') throw new Error('a layer is no tar that can be read');
    const type = block[156] === 0 ? '0' : String.fromCharCode(block[156] ?? 0);
    const size = number(block.subarray(124, 136));
    if (['x', 'g', 'L', 'K'].includes(type)) {
      this.#held.push(block);
      this.#extension = { type, size, body: [] };
      this.#left = size + paddingBytes(size);
      return;
    }
    const path = (this.#name ?? nameOf(block).toString()).replace(/^(?:\.?\/)+/, '').replace(/\/+$/, '');
    this.#passes = !this.unwanted(path);
    if (this.#passes) yield Buffer.concat([...this.#held, block]);
    else this.#dropped = true;
    const content = withoutContent.has(type) ? 0 : (this.#size ?? size);
    this.#left = content + paddingBytes(content);
    this.#held = [];
    this.#name = this.#size = undefined;
  }

  #extend(extension: { type: string; size: number; body: Buffer[] }, piece: Buffer): void {
    this.#held.push(piece);
    extension.body.push(piece);
    if (this.#left > 0) return;
    const body = Buffer.concat(extension.body).subarray(0, extension.size);
    if (extension.type === 'L') this.#name = body.toString().replace(/\0.*$/s, '');
    if (extension.type === 'x') {
      const records = paxRecords(body);
      this.#name = records.get('path') ?? this.#name;
      const size = records.get('size');
      if (size !== undefined) this.#size = Number(size);
    }
    this.#extension = undefined;
  }
}

/** Octal digits, or base-256 with the first bit set. */
function number(field: Buffer): number {
  if (((field[0] ?? 0) & 0x80) === 0)
    return parseInt(field.toString('latin1').replace(/[\0 ]+$/, '') || '0', 8);
  return field.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0);
}

/** `length key=value\n`, the length that of all of it. */
function paxRecords(body: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  for (let rest = body; rest.length > 0;) {
    const length = parseInt(rest.toString('latin1', 0, 20), 10);
    if (!(length > 0 && length <= rest.length))
      throw new Error('an extended header of a layer has a wrong length');
    const [, key = '', value = ''] = /^\d+ ([^=]+)=(.*)\n$/s.exec(rest.toString('utf8', 0, length)) ?? [];
    records.set(key, value);
    rest = rest.subarray(length);
  }
  return records;
}
