import type { DeployNote } from '../domain/build';
import { UserError } from '../domain/errors';
import type { Services } from '../domain/ports';

/**
 * The note of the deploy that a later hook belongs to.
 * @throws UserError where the client was not placed in this work tree
 */
export async function placedNote({ store }: Services, app: string, workTree: string): Promise<DeployNote> {
  const note = await store.note(app);
  if (note?.placed === true && note.workTree === workTree) return note;
  throw new UserError(`the client of ${app} was not placed in ${workTree}, so this build would serve none`, {
    remedy: 'Push again; if that does not help, see `dokku flight-launch:report`.',
  });
}
