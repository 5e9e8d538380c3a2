/** Raw characters of one line that are looked at; the rest of the line is dropped. */
const maxRawCharacters = 16 * 1024;
const maxShownCharacters = 1000;
/** Shorter ones would black out ordinary text. */
const minSecretCharacters = 4;

/**
 * Turns the raw output of a program into lines that are safe on a terminal (I51): no control sequences, of a line that
 * was redrawn with `\r` the last state, invalid UTF-8 replaced, secrets redacted (I52). Memory stays flat.
 */
export class LogLines {
  readonly #decoder = new TextDecoder();
  readonly #secrets: readonly string[];
  readonly #emit: (line: string) => void;
  #line = '';
  #cut = false;
  #afterReturn = false;

  constructor(emit: (line: string) => void, secrets: readonly string[] = []) {
    this.#emit = emit;
    this.#secrets = secrets
      .flatMap((secret) => secret.split('\n'))
      .filter((secret) => secret.length >= minSecretCharacters)
      // A longer secret may contain a shorter one.
      .sort((a, b) => b.length - a.length);
  }

  write(chunk: Buffer): void {
    this.#take(this.#decoder.decode(chunk, { stream: true }));
  }

  /** Emits what stands after the last line end. */
  end(): void {
    this.#take(this.#decoder.decode());
    if (this.#line !== '') this.#finish();
  }

  #take(text: string): void {
    for (const part of text.split(/(?<=[\r\n])/)) {
      const last = part.at(-1);
      this.#append(last === '\n' || last === '\r' ? part.slice(0, -1) : part);
      if (last === '\n') this.#finish();
      else if (last === '\r') this.#afterReturn = true;
    }
  }

  #append(text: string): void {
    if (text === '') return;
    if (this.#afterReturn) {
      this.#line = '';
      this.#cut = false;
      this.#afterReturn = false;
    }
    const room = maxRawCharacters - this.#line.length;
    if (text.length > room) this.#cut = true;
    this.#line += text.slice(0, room);
  }

  #finish(): void {
    const clean = this.#redact(withoutControls(this.#line)).trimEnd();
    const long = this.#cut || clean.length > maxShownCharacters;
    this.#emit(long ? `${clean.slice(0, maxShownCharacters)}…` : clean);
    this.#line = '';
    this.#cut = false;
    this.#afterReturn = false;
  }

  #redact(line: string): string {
    return this.#secrets.reduce((text, secret) => text.replaceAll(secret, '[REDACTED]'), line);
  }
}

/** Control strings, control sequences and other escapes of ECMA-48, then single controls and what turns text round. */
const controls = new RegExp(
  [
    '(?:\\u001b[\\]PX^_]|[\\u0090\\u0098\\u009d-\\u009f])[^\\u0007\\u001b\\u009c]*(?:\\u0007|\\u001b\\\\|\\u009c|$)',
    '(?:\\u001b\\[|\\u009b)[0-?]*[ -/]*[@-~]?',
    '\\u001b[ -/]*[0-~]?',
    '[\\u0000-\\u0008\\u000a-\\u001f\\u007f-\\u009f]',
    '[\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069]',
  ].join('|'),
  'g',
);

function withoutControls(line: string): string {
  return line.replace(controls, '');
}
