import { UserError } from '../domain/errors';
import { describeJob } from '../domain/job';
import { quoted } from '../domain/paths';
import { followJob } from '../operations/job-runs';
import { parseArguments } from './arguments';
import type { Command } from './command';
import { readPipeline } from './pipeline-argument';

const usage = 'logs [JOB] [--pipeline NAME] [--follow]';

export const logs: Command = {
  usage,
  about: 'Show the output of a promote or rollback or release',
  help: ['That of the last job where none is named. With --follow until it ends, with its exit status.'],
  async run(services, args) {
    const given = parseArguments(`flight-launch:${usage}`, args, {
      optional: ['JOB'],
      values: ['pipeline'],
      flags: ['follow'],
    });
    const { name } = await readPipeline(services, 'logs', given.value('pipeline'));
    const jobs = await services.jobs.list(name);
    const wanted = given.positional('JOB');
    const job = wanted === undefined ? jobs.at(-1) : jobs.find(({ id }) => id === wanted);
    if (job === undefined) {
      throw new UserError(
        wanted === undefined
          ? `pipeline ${name} has no job yet`
          : `there is no job ${quoted(wanted)} in pipeline ${name}`,
        {
          details: jobs.slice(-10).map(describeJob),
          remedy: 'Name a job, or leave it out for the last one.',
        },
      );
    }
    if (given.flag('follow')) return followJob(services, name, job);
    // A promote within a release has its output there.
    await services.jobs.show(name, (job.kind === 'release' ? undefined : job.within) ?? job.id);
    return undefined;
  },
};
