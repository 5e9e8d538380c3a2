import { stageOf } from '../domain/pipeline';
import type { Services } from '../domain/ports';
import { appContainers, recordDeploy } from '../operations/live';
import { applyRetention, findRemovable } from '../operations/retention';

/**
 * Dokku's `post-deploy APP PORT IP TAG`: notes that the build went live. It fires for restarts and configuration changes
 * too, which have another build id or none: then there is nothing to note. Whatever goes wrong here must not reject the
 * push, since the new release serves already (H19); the caller turns every error into a warning.
 */
export async function postDeploy(services: Services, args: readonly string[]): Promise<void> {
  const [app = ''] = args;
  const { store, terminal, env } = services;
  const note = await store.note(app);
  if (note === undefined || note.buildId !== env.DOKKU_BUILD_ID) return;
  const pipeline = await store.pipelineOf(app);
  if (pipeline === undefined) return;
  const containers = await appContainers(services, app);
  const record = await store.build(pipeline, note.build);
  // The trigger also comes where Dokku was told to skip the deploy.
  if (record === undefined || !containers.some(({ build }) => build === note.build)) return;
  await recordDeploy(services, pipeline, stageOf(await store.pipeline(pipeline), app), record);
  await store.removeNote(app);
  terminal.step(`flight-launch: build ${note.build} is live on ${app}`);
  await applyRetention(services, pipeline, await findRemovable(services, pipeline));
}
