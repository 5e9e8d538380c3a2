import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DetachedJobs } from '../../src/adapters/jobs';
import { systemProcesses } from '../../src/adapters/processes';
import { FileReleases } from '../../src/adapters/releases';
import { UserError } from '../../src/domain/errors';
import { inScratch } from '../support/scratch';
import { assert, rejects, suite } from '../support/suite';

const test = suite('records of jobs and releases');

const job = '20170415-093012';
const version = '201704.15';
const entry = { format: 1, at: 1, step: 'started', process: { pid: 7, startedAt: 'boot:1' } } as const;

test('one that is damaged is refused, with its path and what to do', () =>
  inScratch(async (root) => {
    const releases = new FileReleases(root);
    const jobs = new DetachedJobs({ root, program: ['', ''], env: {}, processes: systemProcesses });
    const files: [file: string, read: () => Promise<unknown>][] = [
      [`jobs/${job}/job.json`, () => jobs.list('shop')],
      [`jobs/${job}/journal.ndjson`, () => jobs.journal('shop', job)],
      [`jobs/${job}/journal.ndjson`, () => jobs.append('shop', job, entry)],
      [`releases/${version}/release.json`, () => releases.list('shop')],
      [`releases/${version}/journal.ndjson`, () => releases.journal('shop', version)],
    ];
    // Damage before the last line, and a torn line after it.
    for (const content of ['{"format": 1, "na\n{"fo', '{"format": 2}\n{"fo']) {
      for (const [file, read] of files) {
        const path = join(root, 'pipelines/shop', file);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, content);
        const error = await rejects(read(), UserError);
        assert.is(error.message, `${path} is damaged, or was written by another version of flight-launch`);
        assert.match(error.remedy ?? '', /^Update the plugin, or move that file away/);
        assert.is(readFileSync(path, 'utf8'), content);
      }
    }
  }));

test('F27 what is added after a torn line takes its place', () =>
  inScratch(async (root) => {
    const jobs = new DetachedJobs({ root, program: ['', ''], env: {}, processes: systemProcesses });
    const path = join(root, 'pipelines/shop/jobs', job, 'journal.ndjson');
    mkdirSync(dirname(path), { recursive: true });
    await jobs.append('shop', job, entry);
    appendFileSync(path, '{"format":1,"at":2,"st');
    const next = { ...entry, at: 3 };
    await jobs.append('shop', job, next);
    assert.equal(await jobs.journal('shop', job), [entry, next]);
    assert.is(readFileSync(path, 'utf8').split('\n').length, 3);
  }));

test.run();
