import type { Services } from '../domain/ports';
import { placedNote } from './note';

/** Dokku's `pre-build BUILDER APP WD`: the second gate, since Dokku keeps `core-post-extract` for itself. */
export async function preBuild(services: Services, args: readonly string[]): Promise<void> {
  const [, app = '', workTree = ''] = args;
  await placedNote(services, app, workTree);
}
