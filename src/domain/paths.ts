import { posix } from 'node:path';

/** A relative path in its shortest form: `a/./b/` becomes `a/b`, `./` becomes `.`. */
export function normalizePath(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

/** Whether a normalised path is `folder` or lies below it. Compares segments, so `clients` is not in `client` (I10). */
export function isInside(path: string, folder: string): boolean {
  return folder === '.' || path === folder || path.startsWith(`${folder}/`);
}

/** A value of unknown type as shown in an error: short, and without control characters. */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  return `${printable(JSON.stringify(value), 80)} (${value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value})`;
}

/** A short text from outside in quotation marks, as shown in an error. */
export function quoted(text: string): string {
  return printable(JSON.stringify(text), 100);
}

/** Text from outside as shown on a terminal: control characters escaped, at most `max` characters. */
export function printable(text: string, max = 200): string {
  const escaped = text.replace(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return escaped.length > max ? `${escaped.slice(0, max)}…` : escaped;
}
