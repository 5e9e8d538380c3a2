import type { Command } from './command';
import { helpCommand } from './help';
import { list } from './list';
import { prune } from './prune';
import { report } from './report';
import { set } from './set';
import { setup } from './setup';
import { status } from './status';
import { unlink } from './unlink';

/** By verb; `subcommands/` has a file of each name. */
export const commands: Readonly<Record<string, Command>> = {
  help: helpCommand(() => commands),
  list,
  prune,
  report,
  set,
  setup,
  status,
  unlink,
};
