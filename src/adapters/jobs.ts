import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExitStatus } from '../domain/errors';
import { jobRecord, journalEntry, startMs, type JobRecord, type JournalEntry } from '../domain/job';
import { lastStep } from '../domain/journal';
import type { Jobs, Processes } from '../domain/ports';
import { namesIn, readIfThere } from './files';
import { appendToJournal, readJournal } from './journal';
import { startDetached, type Environment } from './process';
import { readRecord, writeRecord } from './records';
import { writeAll } from './terminal';

interface Dependencies {
  root: string;
  /** Node and the bundle, as this process was started. */
  program: readonly [node: string, bundle: string];
  env: Environment;
  processes: Processes;
}

const pollMs = 200;

/** `pipelines/<name>/jobs/<job>/` with `job.json`, `journal.ndjson` and `log`. */
export class DetachedJobs implements Jobs {
  /** Entries that the journal of a job had when this process started it. */
  private readonly started = new Map<string, number>();

  constructor(private readonly has: Dependencies) {}

  async list(pipeline: string): Promise<JobRecord[]> {
    const records: JobRecord[] = [];
    for (const name of await namesIn(this.path(pipeline))) {
      const record = await readRecord(jobRecord, this.path(pipeline, name, 'job.json'));
      if (record !== undefined) records.push(record);
    }
    return records.sort((a, b) => a.createdAt - b.createdAt);
  }

  journal(pipeline: string, job: string): Promise<JournalEntry[]> {
    return readJournal(journalEntry, this.path(pipeline, job, 'journal.ndjson'));
  }

  append(pipeline: string, job: string, entry: JournalEntry): Promise<void> {
    return appendToJournal(journalEntry, this.path(pipeline, job, 'journal.ndjson'), entry);
  }

  async create(pipeline: string, record: JobRecord): Promise<void> {
    const folder = this.path(pipeline, record.id);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await (await open(join(folder, 'log'), 'a', 0o600)).close();
    await writeRecord(join(folder, 'job.json'), record);
  }

  start(pipeline: string, job: string): Promise<void> {
    return this.launch('job', pipeline, job);
  }

  settle(pipeline: string, job: string): Promise<void> {
    return this.launch('settle', pipeline, job);
  }

  private async launch(entry: 'job' | 'settle', pipeline: string, job: string): Promise<void> {
    this.started.set(job, (await this.journal(pipeline, job)).length);
    const log = await open(this.path(pipeline, job, 'log'), 'a', 0o600);
    try {
      const [node, bundle] = this.has.program;
      startDetached(node, [bundle, entry, pipeline, job], this.has.env, log.fd);
    } finally {
      await log.close();
    }
  }

  async remove(pipeline: string, job: string): Promise<void> {
    await rm(this.path(pipeline, job), { recursive: true, force: true });
  }

  async follow(pipeline: string, job: string, output: 1 | 2 = 1): Promise<ExitStatus | undefined> {
    // A job that is started again has the entries of its earlier process.
    const earlier = this.started.get(job) ?? 0;
    const log = await open(this.path(pipeline, job, 'log'), 'r');
    try {
      const buffer = Buffer.alloc(64 * 1024);
      for (let waited = 0; ; waited += pollMs) {
        // Asked before the log is read, so that what a job prints last is shown.
        const journal = await this.journal(pipeline, job);
        const ended = lastStep(journal, 'ended');
        const gone = await this.isGone(journal.slice(earlier), waited);
        for (let read = await log.read(buffer); read.bytesRead > 0; read = await log.read(buffer)) {
          writeAll(output, buffer.subarray(0, read.bytesRead));
        }
        // Not before its process has gone, which holds the locks until then: the next command finds them free.
        if (gone) return ended?.exit;
        await sleep(pollMs);
      }
    } finally {
      await log.close();
    }
  }

  async show(pipeline: string, job: string): Promise<void> {
    writeAll(1, (await readIfThere(this.path(pipeline, job, 'log'))) ?? Buffer.alloc(0));
  }

  private async isGone(journal: readonly JournalEntry[], waited: number): Promise<boolean> {
    const started = lastStep(journal, 'started');
    if (started === undefined) return waited > startMs;
    return !(await this.has.processes.isRunning(started.process));
  }

  private path(pipeline: string, ...rest: string[]): string {
    return join(this.has.root, 'pipelines', pipeline, 'jobs', ...rest);
  }
}
