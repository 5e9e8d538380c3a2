import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { appendFile, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { finished, pipeline as pipe } from 'node:stream/promises';
import { z } from 'zod';
import {
  artifactRecord,
  buildRecord,
  deployNote,
  historyEntry,
  type ArtifactRecord,
  type BuildRecord,
  type DeployNote,
  type HistoryEntry,
} from '../domain/build';
import { UserError } from '../domain/errors';
import type { Pipeline } from '../domain/pipeline';
import type { Store, Terminal } from '../domain/ports';
import { settingNames } from '../domain/settings';
import { isMissing, namesIn, readIfThere, syncFolder, writeDurably } from './files';
import { readRecord, writeRecord } from './records';

const pipelineFile = z.object({
  format: z.literal(1),
  name: z.string(),
  staging: z.string(),
  production: z.string(),
  settings: z.partialRecord(z.enum(settingNames), z.string()),
});

/**
 * Our files: `apps/<app>` names the app's pipeline, `pipelines/<name>` has everything of a pipeline, `deploys/<app>` the
 * note of the deploy that is under way. Not Dokku's property store, which loses everything when an app named like the
 * plugin is destroyed (H16).
 */
export class FileStore implements Store {
  /** Damaged records that were told. */
  private readonly told = new Set<string>();

  constructor(
    private readonly root: string,
    private readonly terminal: Pick<Terminal, 'warn'>,
  ) {}

  async pipelines(): Promise<string[]> {
    return (await namesIn(join(this.root, 'pipelines'))).sort();
  }

  async pipeline(name: string): Promise<Pipeline> {
    const file = await readRecord(pipelineFile, this.settingsPath(name));
    if (file === undefined) throw new UserError(`there is no pipeline ${name}`);
    const { format: _, ...pipeline } = file;
    return pipeline;
  }

  async savePipeline(pipeline: Pipeline): Promise<void> {
    for (const folder of ['artifacts', 'builds']) {
      await mkdir(this.path(pipeline.name, folder), { recursive: true, mode: 0o700 });
    }
    await writeRecord(this.settingsPath(pipeline.name), { format: 1, ...pipeline });
  }

  async removePipeline(name: string): Promise<string | undefined> {
    const history = this.path(name, 'history.ndjson');
    const aside = join(this.root, 'unlinked', `${name}.history.ndjson`);
    const text = await readIfThere(history);
    if (text !== undefined) {
      await mkdir(join(this.root, 'unlinked'), { recursive: true, mode: 0o700 });
      await appendFile(aside, text, { mode: 0o600, flush: true });
    }
    await rm(this.path(name), { recursive: true, force: true });
    await syncFolder(join(this.root, 'pipelines'));
    return text === undefined ? undefined : aside;
  }

  async pipelineOf(app: string): Promise<string | undefined> {
    return (await readIfThere(join(this.root, 'apps', app)))?.toString().trim();
  }

  async link(app: string, pipeline: string): Promise<void> {
    await mkdir(join(this.root, 'apps'), { recursive: true });
    // Readable for all: the shims look at it before anything else.
    await writeDurably(join(this.root, 'apps', app), `${pipeline}\n`, 0o644);
  }

  async unlink(app: string): Promise<void> {
    await rm(join(this.root, 'apps', app), { force: true });
    await this.removeNote(app);
  }

  async builds(pipeline: string): Promise<BuildRecord[]> {
    const files = (await namesIn(this.path(pipeline, 'builds'))).filter((name) => name.endsWith('.json'));
    const records = await Promise.all(
      files.map((file) => this.readableBuild(pipeline, file.slice(0, -'.json'.length))),
    );
    return records.filter((record) => record !== undefined);
  }

  build(pipeline: string, name: string): Promise<BuildRecord | undefined> {
    return readRecord(buildRecord, this.recordPath(pipeline, name));
  }

  async readableBuild(pipeline: string, name: string): Promise<BuildRecord | undefined> {
    try {
      return await this.build(pipeline, name);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      if (!this.told.has(error.message))
        this.terminal.warn(`${error.message}; it is kept, and left out here`);
      this.told.add(error.message);
      return undefined;
    }
  }

  async saveBuild(pipeline: string, build: BuildRecord): Promise<void> {
    await writeRecord(this.recordPath(pipeline, build.name), build);
  }

  async removeBuild(pipeline: string, name: string): Promise<void> {
    for (const suffix of buildSuffixes)
      await rm(this.path(pipeline, 'builds', `${name}${suffix}`), { force: true });
  }

  async buildNames(pipeline: string): Promise<string[]> {
    return [...(await this.buildFiles(pipeline)).keys()].sort();
  }

  async unrecordedBuilds(pipeline: string): Promise<string[]> {
    const builds = [...(await this.buildFiles(pipeline))];
    return builds.flatMap(([name, suffixes]) => (suffixes.includes('.json') ? [] : [name])).sort();
  }

  async hasServerTree(pipeline: string, build: string): Promise<boolean> {
    return (await sizeOf(this.serverTreePath(pipeline, build))) > 0;
  }

  serverTreePath(pipeline: string, build: string): string {
    return this.path(pipeline, 'builds', `${build}.server.tar`);
  }

  async withLog<T>(
    pipeline: string,
    build: string,
    work: (line: (text: string) => void) => Promise<T>,
  ): Promise<T> {
    const file = await open(this.path(pipeline, 'builds', `${build}.log`), 'a', 0o600);
    const stream = file.createWriteStream();
    const written = finished(stream);
    // Told at the end: a full disk must not end the process in the middle of a build (F32).
    written.catch(() => undefined);
    let result: T;
    try {
      result = await work((text) => void stream.write(`${text}\n`));
    } catch (error) {
      stream.end();
      await written.catch((second: unknown) => {
        this.terminal.warn(`The log of build ${build} is not complete: ${String(second)}`);
      });
      throw error;
    }
    stream.end();
    await written;
    return result;
  }

  async artifacts(pipeline: string): Promise<string[]> {
    const files = await namesIn(this.path(pipeline, 'artifacts'));
    return files.filter((name) => name.endsWith('.json')).map((name) => name.slice(0, -'.json'.length));
  }

  artifact(pipeline: string, key: string): Promise<ArtifactRecord | undefined> {
    return readRecord(artifactRecord, this.path(pipeline, 'artifacts', `${key}.json`));
  }

  async artifactIntact(pipeline: string, record: ArtifactRecord): Promise<boolean> {
    const hash = createHash('sha256');
    try {
      await pipe(createReadStream(this.artifactPath(pipeline, record.key)), hash);
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
    return hash.digest('hex') === record.sha256;
  }

  async saveArtifact(pipeline: string, record: ArtifactRecord, builtAt: string): Promise<void> {
    const file = await open(builtAt, 'r');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(builtAt, this.artifactPath(pipeline, record.key));
    await writeRecord(this.path(pipeline, 'artifacts', `${record.key}.json`), record);
  }

  async removeArtifact(pipeline: string, key: string): Promise<void> {
    // The record first: an artifact without one is not taken.
    await rm(this.path(pipeline, 'artifacts', `${key}.json`), { force: true });
    await rm(this.artifactPath(pipeline, key), { force: true });
  }

  artifactPath(pipeline: string, key: string): string {
    return this.path(pipeline, 'artifacts', `${key}.tar`);
  }

  partialArtifactPath(pipeline: string, build: string): string {
    return this.path(pipeline, 'artifacts', `${build}.partial`);
  }

  note(app: string): Promise<DeployNote | undefined> {
    return readRecord(deployNote, join(this.root, 'deploys', `${app}.json`));
  }

  async notes(): Promise<DeployNote[]> {
    const files = (await namesIn(join(this.root, 'deploys'))).filter((name) => name.endsWith('.json'));
    const notes = await Promise.all(
      files.map((name) => readRecord(deployNote, join(this.root, 'deploys', name))),
    );
    return notes.filter((note) => note !== undefined);
  }

  async saveNote(note: DeployNote): Promise<void> {
    await mkdir(join(this.root, 'deploys'), { recursive: true, mode: 0o700 });
    await writeRecord(join(this.root, 'deploys', `${note.app}.json`), note);
  }

  async removeNote(app: string): Promise<void> {
    await rm(join(this.root, 'deploys', `${app}.json`), { force: true });
  }

  async appendHistory(pipeline: string, entry: HistoryEntry): Promise<void> {
    // The newline comes first as well: a torn last line of a crash must not swallow this one (F27).
    const path = this.path(pipeline, 'history.ndjson');
    const torn = await endsWithoutNewline(path);
    await appendFile(path, `${torn ? '\n' : ''}${JSON.stringify(entry)}\n`, { mode: 0o600, flush: true });
  }

  async history(pipeline: string): Promise<HistoryEntry[]> {
    const text = (await readIfThere(this.path(pipeline, 'history.ndjson')))?.toString() ?? '';
    return text.split('\n').flatMap((line) => {
      const entry = parseLine(line);
      return entry === undefined ? [] : [entry];
    });
  }

  async diskUse(pipeline: string): Promise<number> {
    let bytes = 0;
    for (const folder of ['artifacts', 'builds']) {
      for (const name of await namesIn(this.path(pipeline, folder))) {
        bytes += await sizeOf(this.path(pipeline, folder, name));
      }
    }
    return bytes;
  }

  /** What there is of each build, by suffix. */
  private async buildFiles(pipeline: string): Promise<Map<string, string[]>> {
    const found = new Map<string, string[]>();
    for (const file of await namesIn(this.path(pipeline, 'builds'))) {
      const suffix = buildSuffixes.find((candidate) => file.endsWith(candidate));
      if (suffix === undefined) continue;
      const name = file.slice(0, -suffix.length);
      found.set(name, [...(found.get(name) ?? []), suffix]);
    }
    return found;
  }

  private recordPath(pipeline: string, build: string): string {
    return this.path(pipeline, 'builds', `${build}.json`);
  }

  private settingsPath(name: string): string {
    return this.path(name, 'settings.json');
  }

  private path(pipeline: string, ...rest: string[]): string {
    return join(this.root, 'pipelines', pipeline, ...rest);
  }
}

/** Undefined for a line that a crash tore (F27). */
function parseLine(line: string): HistoryEntry | undefined {
  try {
    return historyEntry.safeParse(JSON.parse(line)).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const buildSuffixes = ['.json', '.server.tar', '.log'];

/** Zero for a file that was removed meanwhile. */
async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return 0;
    throw error;
  }
}

async function endsWithoutNewline(path: string): Promise<boolean> {
  const size = await sizeOf(path);
  if (size === 0) return false;
  const file = await open(path, 'r');
  try {
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
    return buffer.toString() !== '\n';
  } finally {
    await file.close();
  }
}
