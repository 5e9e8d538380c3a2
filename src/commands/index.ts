import type { Command } from './command';
import { diff } from './diff';
import { doctor } from './doctor';
import { finish } from './finish';
import { helpCommand } from './help';
import { history } from './history';
import { list } from './list';
import { logs } from './logs';
import { promote } from './promote';
import { prune } from './prune';
import { release } from './release';
import { report } from './report';
import { rollback } from './rollback';
import { set } from './set';
import { setup } from './setup';
import { status } from './status';
import { unlink } from './unlink';

/** By verb; `subcommands/` has a file of each name. */
export const commands: Readonly<Record<string, Command>> = {
  help: helpCommand(() => commands),
  diff,
  doctor,
  finish,
  history,
  list,
  logs,
  promote,
  prune,
  release,
  report,
  rollback,
  set,
  setup,
  status,
  unlink,
};
