import type { Changes } from '../domain/changes';
import { UserError } from '../domain/errors';
import { isInside, printable } from '../domain/paths';
import type { Services } from '../domain/ports';
import { formatAge, formatCount } from '../domain/units';
import { pendingChanges } from '../operations/changes';
import { parseArguments, wantsJson } from './arguments';
import type { Command } from './command';
import { readPipeline } from './pipeline-argument';

const usage = 'diff [NAME] [--format json]';

export const diff: Command = {
  usage,
  about: 'Show what a promote would bring to production',
  help: ['Commits and changed files between what is live on production and on staging.'],
  async run(services, args) {
    const given = parseArguments(`flight-launch:${usage}`, args, { optional: ['NAME'], values: ['format'] });
    const json = wantsJson(given);
    const pipeline = await readPipeline(services, 'diff', given.positional('NAME'));
    const pending = await pendingChanges(services, pipeline);
    if (pending.changes === undefined) {
      throw new UserError(`there is nothing to compare: ${pending.reason}`, {
        remedy: 'Both apps need a live build of flight-launch; `dokku flight-launch:status` shows them.',
      });
    }
    if (json) services.terminal.print(JSON.stringify(pending.changes));
    else show(services, pending.changes, pending.clientFolder);
    return undefined;
  },
};

function show({ terminal, clock }: Services, changes: Changes, clientFolder: string): void {
  const line = ({ id, author, subject, at }: Changes['added'][number]) =>
    `${id.slice(0, 8)} ${printable(author, 30)}: ${printable(subject, 72)} (${formatAge(clock.now(), at)})`;
  terminal.header(`${formatCount(changes.added.length, 'commit')} would come to production`);
  for (const commit of changes.added) terminal.detail(line(commit));
  if (changes.removed.length > 0) {
    terminal.header(`${formatCount(changes.removed.length, 'commit')} of production would go`);
    for (const commit of changes.removed) terminal.detail(line(commit));
  }
  const client = changes.files.filter(({ path }) => isInside(path, clientFolder));
  for (const [title, files] of [
    ['Client', client],
    ['Server and others', changes.files.filter((file) => !client.includes(file))],
  ] as const) {
    terminal.header(`${title}: ${formatCount(files.length, 'file')}`);
    for (const { status, path } of files) terminal.detail(`${status} ${printable(path)}`);
  }
}
