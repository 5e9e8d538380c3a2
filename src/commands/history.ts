import type { HistoryEntry } from '../domain/build';
import { describeJob } from '../domain/job';
import { formatAge, formatDuration } from '../domain/units';
import { unfinishedJob } from '../operations/job-runs';
import { parseArguments, wantsJson } from './arguments';
import type { Command } from './command';
import { readPipeline } from './pipeline-argument';

const usage = 'history [NAME] [--format json]';

export const history: Command = {
  usage,
  about: 'List deploys and promotes and rollbacks and releases',
  help: ['The newest last: when, what, who, build, commit, version, image, result and how long it took.'],
  async run(services, args) {
    const given = parseArguments(`flight-launch:${usage}`, args, { optional: ['NAME'], values: ['format'] });
    const json = wantsJson(given);
    const { name } = await readPipeline(services, 'history', given.positional('NAME'));
    const { store, terminal, clock } = services;
    const entries = await store.history(name);
    const job = (await unfinishedJob(services, name))?.job;
    if (json) {
      terminal.print(JSON.stringify({ entries: entries.map(toJson), underWay: job ?? null }));
      return undefined;
    }
    terminal.header(`History of pipeline ${name}`);
    for (const entry of entries) terminal.detail(describe(entry, clock.now()));
    if (job !== undefined) terminal.detail(`under way: ${describeJob(job)}, by ${job.by.name}`);
    return undefined;
  },
};

function toJson(entry: HistoryEntry): object {
  const { format: _, at, ...rest } = entry;
  return { at: new Date(at).toISOString(), ...rest };
}

function describe(entry: HistoryEntry, now: number): string {
  const { at, kind, app, build, commit, version, by, result, durationMs, image } = entry;
  const when = new Date(at)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, ' UTC');
  const who = by.fingerprint === undefined ? by.name : `${by.name} (${by.fingerprint})`;
  const what = `${kind} ${result} on ${app}: ${build}, commit ${commit.slice(0, 8)}${version === undefined ? '' : `, version ${version}`}`;
  const from = image === undefined ? '' : `, image ${image.replace('sha256:', '').slice(0, 12)}`;
  return `${when} (${formatAge(now, at)}) ${what}${from}, by ${who}, took ${formatDuration(durationMs)}`;
}
