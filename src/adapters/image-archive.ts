import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { TarFilter } from '../domain/tar-filter';
import { run, stream, type Environment } from './process';

const manifest = z.tuple([z.object({ Config: z.string(), Layers: z.array(z.string()) })]);
/** Of an image's configuration, what names its layers; all else is passed on. */
const configuration = z.looseObject({ rootfs: z.looseObject({ diff_ids: z.array(z.string()) }) });

/**
 * Rewrites what `docker save` writes: all layers but the last lose the entries that are unwanted, and the image gets a
 * new name. Layers without such entries stay as they are, so that engines and registries that have them keep them.
 * @param work gets the new archive, as `docker load` takes it
 */
export async function withoutFiles(
  saved: Readable,
  unwanted: (path: string) => boolean,
  reference: string,
  env: Environment,
  work: (archive: Readable) => Promise<void>,
): Promise<void> {
  // Nobody else may read it: it holds what is to be taken out.
  const folder = await mkdtemp(join(tmpdir(), 'flight-launch-'));
  try {
    await run('tar', ['--extract', `--directory=${folder}`], { env, input: saved });
    const [{ Config, Layers }] = manifest.parse(await json(join(folder, 'manifest.json')));
    const config = configuration.parse(await json(join(folder, Config)));
    const digests = new Map<string, string>();
    for (const [index, layer] of Layers.slice(0, -1).entries()) {
      // Equal layers are links to one file.
      const file = await realpath(join(folder, layer));
      const digest = digests.get(file) ?? (await rewrite(file, unwanted));
      if (digest === undefined) continue;
      digests.set(file, digest);
      config.rootfs.diff_ids[index] = digest;
    }
    const described = [{ Config: 'config.json', RepoTags: [reference], Layers }];
    await writeFile(join(folder, 'config.json'), JSON.stringify(config));
    await writeFile(join(folder, 'manifest.json'), JSON.stringify(described));
    const names = ['manifest.json', 'config.json', ...new Set(Layers)];
    const packed = stream('tar', ['--create', '--dereference', `--directory=${folder}`, ...names], { env });
    packed.stderr.resume();
    await work(packed.stdout);
    await packed.done;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @returns the digest of what was left in its place, undefined where nothing had to go */
async function rewrite(file: string, unwanted: (path: string) => boolean): Promise<string | undefined> {
  const filter = new TarFilter(unwanted);
  const hash = createHash('sha256');
  for await (const piece of filtered(file, filter)) hash.update(piece);
  if (!filter.dropped) return undefined;
  const aside = `${file}.rewritten`;
  await pipeline(filtered(file, new TarFilter(unwanted)), createWriteStream(aside));
  await rename(aside, file);
  return `sha256:${hash.digest('hex')}`;
}

async function* filtered(file: string, filter: TarFilter): AsyncGenerator<Buffer> {
  for await (const chunk of createReadStream(file)) yield* filter.push(chunk as Buffer);
  filter.end();
}

async function json(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, 'utf8'));
}
