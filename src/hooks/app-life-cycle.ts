import { describeJob } from '../domain/job';
import { stageOf } from '../domain/pipeline';
import type { Services } from '../domain/ports';
import { notEnded, unfinishedJob } from '../operations/job-runs';
import { refuseWhileDeployed } from '../operations/live';

/** `pre-delete APP`: an app is not taken away below the deploy, promote or rollback that is at work on it. */
export async function preDelete(services: Services, args: readonly string[]): Promise<void> {
  const [app = ''] = args;
  await refuseWhileDeployed(services, app);
  const pipeline = await services.store.pipelineOf(app);
  const unfinished = pipeline === undefined ? undefined : await unfinishedJob(services, pipeline);
  if (unfinished?.running === true) throw notEnded(services, unfinished.job);
}

/** `post-delete APP`: the app leaves its pipeline; the records and the history stay. */
export async function postDelete({ store, terminal }: Services, args: readonly string[]): Promise<void> {
  const [app = ''] = args;
  const pipeline = await store.pipelineOf(app);
  if (pipeline === undefined) return;
  await store.unlink(app);
  terminal.step(
    `${app} left pipeline ${pipeline}, whose records stay; \`dokku flight-launch:unlink ${pipeline}\` removes them`,
  );
}

/**
 * `post-app-rename-setup OLD NEW`: the app keeps its place under its new name. Dokku destroys the old app afterwards,
 * which must find nothing of ours.
 */
export async function postAppRenameSetup(services: Services, args: readonly string[]): Promise<void> {
  const { store, terminal } = services;
  const [oldApp = '', newApp = ''] = args;
  const name = await store.pipelineOf(oldApp);
  if (name === undefined) return;
  await waitForJob(services, name, oldApp, newApp);
  const pipeline = await store.pipeline(name);
  const stage = stageOf(pipeline, oldApp);
  await store.savePipeline({ ...pipeline, [stage]: newApp });
  await store.link(newApp, name);
  await store.unlink(oldApp);
  terminal.step(`${newApp} is now the ${stage} app of pipeline ${name}`);
}

/**
 * Dokku would destroy the old app below a job that is at work on it. It is too late to refuse: plugins before ours have
 * moved what they store to the new name, and Dokku would not move it back.
 */
async function waitForJob(
  services: Services,
  pipeline: string,
  oldApp: string,
  newApp: string,
): Promise<void> {
  const { dokku, jobs, terminal } = services;
  const unfinished = await unfinishedJob(services, pipeline);
  if (unfinished?.running !== true) return;
  terminal.step(`Waiting until ${describeJob(unfinished.job)} has ended`);
  await jobs.follow(pipeline, unfinished.job.id);
  // The configuration was copied in the middle of the job, and Dokku builds the renamed app without setting this.
  const revision = await dokku.revisionVariable(oldApp);
  if (revision === '') return;
  await dokku.setConfig(newApp, revision, (await dokku.config(oldApp))[revision] ?? null);
}

/** `post-app-clone-setup OLD NEW`: a clone is in no pipeline, and says so. */
export async function postAppCloneSetup(
  { store, terminal }: Services,
  args: readonly string[],
): Promise<void> {
  const [oldApp = '', newApp = ''] = args;
  const pipeline = await store.pipelineOf(oldApp);
  if (pipeline === undefined) return;
  terminal.warn(
    `${newApp} is in no pipeline: it is built without the client of ${oldApp} (pipeline ${pipeline}).`,
  );
}
