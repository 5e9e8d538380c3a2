import { printable } from '../domain/paths';
import type { RetentionPlan } from '../domain/retention';
import { applyRetention, findRemovable } from '../operations/retention';
import { parseArguments } from './arguments';
import type { Command } from './command';
import { readPipeline } from './pipeline-argument';

const usage = 'prune [NAME] [--dry-run]';

export const prune: Command = {
  usage,
  about: 'Remove stored builds that are not kept for rollback',
  help: ['The setting `keep` says how many live builds of each app stay. Every deploy prunes as well.'],
  async run(services, args) {
    const given = parseArguments(`flight-launch:${usage}`, args, { optional: ['NAME'], flags: ['dry-run'] });
    const { name } = await readPipeline(services, 'prune', given.positional('NAME'));
    const { locks, terminal } = services;
    await locks.pipeline(name, 'prune', async () => {
      const plan = await findRemovable(services, name);
      terminal.header(`${given.flag('dry-run') ? 'Would remove' : 'Removing'} from pipeline ${name}`);
      for (const line of describe(plan)) terminal.detail(line);
      if (!given.flag('dry-run')) await applyRetention(services, name, plan);
    });
  },
};

function describe(plan: RetentionPlan): string[] {
  const lines = [
    ...plan.builds.map((build) => `build ${build.name} (${build.commit.slice(0, 8)})`),
    ...plan.artifacts.map((key) => `client ${key.slice(0, 12)}`),
    ...plan.installImages.map((tag) => `dependencies ${tag.slice(0, 12)}`),
    ...plan.orphanImages.map((name) => `image of build ${printable(name)}, of which nothing else is left`),
    ...plan.failedLogs.map((name) => `log of failed build ${printable(name)}`),
  ];
  return lines.length === 0 ? ['nothing'] : lines;
}
