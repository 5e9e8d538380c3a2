import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Releases } from '../domain/ports';
import { releaseEntry, releaseRecord, type ReleaseEntry, type ReleaseRecord } from '../domain/release';
import { namesIn } from './files';
import { appendToJournal, readJournal } from './journal';
import { readRecord, writeRecord } from './records';

/** `pipelines/<name>/releases/<version>/` with `release.json` and `journal.ndjson`. */
export class FileReleases implements Releases {
  constructor(private readonly root: string) {}

  async list(pipeline: string): Promise<ReleaseRecord[]> {
    const versions = await namesIn(this.path(pipeline));
    const records = await Promise.all(versions.map((version) => this.read(pipeline, version)));
    return records.filter((record) => record !== undefined).sort((a, b) => a.createdAt - b.createdAt);
  }

  read(pipeline: string, version: string): Promise<ReleaseRecord | undefined> {
    return readRecord(releaseRecord, this.path(pipeline, version, 'release.json'));
  }

  async create(pipeline: string, record: ReleaseRecord): Promise<void> {
    const folder = this.path(pipeline, record.version);
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // The record comes last: without it the folder is none.
    await writeRecord(join(folder, 'release.json'), record);
  }

  journal(pipeline: string, version: string): Promise<ReleaseEntry[]> {
    return readJournal(releaseEntry, this.path(pipeline, version, 'journal.ndjson'));
  }

  append(pipeline: string, version: string, entry: ReleaseEntry): Promise<void> {
    return appendToJournal(releaseEntry, this.path(pipeline, version, 'journal.ndjson'), entry);
  }

  private path(pipeline: string, ...rest: string[]): string {
    return join(this.root, 'pipelines', pipeline, 'releases', ...rest);
  }
}
