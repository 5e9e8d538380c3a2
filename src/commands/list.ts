import { parseArguments, wantsJson } from './arguments';
import type { Command } from './command';
import { visiblePipelines } from './pipeline-argument';

const usage = 'list [--format json]';

export const list: Command = {
  usage,
  about: 'List the pipelines of this host',
  async run(services, args) {
    const given = parseArguments(`flight-launch:${usage}`, args, { values: ['format'] });
    const json = wantsJson(given);
    const pipelines = await visiblePipelines(services, 'list');
    const { terminal } = services;
    if (json) {
      terminal.print(
        JSON.stringify(pipelines.map(({ name, staging, production }) => ({ name, staging, production }))),
      );
      return;
    }
    terminal.header('flight-launch pipelines');
    if (pipelines.length === 0) terminal.detail('none yet; `dokku flight-launch:setup NAME` creates one');
    for (const { name, staging, production } of pipelines)
      terminal.detail(`${name}: ${staging} -> ${production}`);
  },
};
