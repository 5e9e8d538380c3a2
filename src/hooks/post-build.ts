import { appImage } from '../domain/app-image';
import { captureImage, labelBuild } from '../domain/captured-image';
import { UserError } from '../domain/errors';
import type { Services } from '../domain/ports';
import { placedNote } from './note';

/**
 * Dokku's `post-build BUILDER APP WD`: keeps the image as it is before any app's configuration or release task gets
 * into it (H3). A failure stops the deploy: what could not be captured could not be promoted or rolled back to.
 */
export async function postBuild(services: Services, args: readonly string[]): Promise<void> {
  const [builder = '', app = '', workTree = ''] = args;
  const { store, docker, terminal, clock } = services;
  const note = await placedNote(services, app, workTree);
  const pipeline = await store.pipelineOf(app);
  const record = pipeline === undefined ? undefined : await store.build(pipeline, note.build);
  if (pipeline === undefined || record === undefined) {
    throw new UserError(`build ${note.build} of ${app} has no record any more`, { remedy: 'Push again.' });
  }
  const built = appImage(app);
  await terminal.timed('Keeping the image for promotion and rollback', async () => {
    await docker.build(labelBuild(built, note.build, note.commit));
    const repositoryEnv =
      builder === 'herokuish' ? await services.workTree.read(workTree, '.env') : undefined;
    const detected = ((await services.dokku.property('ports', app, 'map-detected')) ?? '')
      .replaceAll('\n', ' ')
      .trim();
    const ports = detected === (await services.dokku.ownPorts(app)) ? '' : detected;
    const capture = captureImage({ pipeline, build: note.build, builder, appImage: built }, repositoryEnv);
    const image = await docker.build(capture);
    await store.saveBuild(pipeline, {
      ...record,
      captured: { at: clock.now(), builder, image, reference: capture.tag, ports },
    });
  });
}
