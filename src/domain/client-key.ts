import { createHash } from 'node:crypto';

/** Raised when the meaning of a key or of an artifact changes, so that older artifacts are not taken. */
const format = 1;

/** Everything that can change a built client, and nothing else: not the commit, the time or the app. */
export interface ClientKeyParts {
  folder: { path: string; tree: string };
  inputs: readonly { path: string; id: string }[];
  imageId: string;
  installCommand: string;
  buildCommand: string;
  output: readonly string[];
  env: Readonly<Record<string, string>>;
  network: boolean;
}

/** Key of the artifact: SHA-256, 64 hex digits. */
export function clientKey(parts: ClientKeyParts): string {
  return hash({
    format,
    folder: [parts.folder.path, parts.folder.tree],
    inputs: sorted(parts.inputs.map(({ path, id }) => [path, id])),
    image: parts.imageId,
    install: parts.installCommand,
    build: parts.buildCommand,
    output: parts.output,
    env: sorted(Object.entries(parts.env)),
    network: parts.network,
  });
}

/** Hash of all that can change the install image: SHA-256, 64 hex digits. A change of source is none of it. */
export function installHash(parts: {
  folder: string;
  imageId: string;
  installCommand: string;
  files: readonly { path: string; id: string; mode: string }[];
}): string {
  return hash({
    format,
    folder: parts.folder,
    image: parts.imageId,
    install: parts.installCommand,
    files: sorted(parts.files.map(({ path, id, mode }) => [path, id, mode])),
  });
}

/** Digest of one variable's value: lets a later promote compare values without anyone storing them. */
export function valueDigest(value: string): string {
  return createHash('sha256').update(value).digest('hex');
}

function hash(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}

function sorted<T extends readonly string[]>(rows: readonly T[]): T[] {
  return [...rows].sort((a, b) => (a.join('\0') < b.join('\0') ? -1 : 1));
}
