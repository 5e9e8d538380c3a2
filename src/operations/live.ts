import { buildLabel, commitLabel, historyOf, type BuildRecord } from '../domain/build';
import { liveBuild, type AppContainer, type Live } from '../domain/live';
import type { Stage } from '../domain/pipeline';
import type { Services } from '../domain/ports';

/** The containers that Dokku counts as the running app, with what they run. */
export async function appContainers(
  { dokku, docker }: Pick<Services, 'dokku' | 'docker'>,
  app: string,
): Promise<AppContainer[]> {
  const listed = await dokku.containers(app);
  const found = await docker.containers(listed.map(({ id }) => id));
  return listed.flatMap(({ process, id }) => {
    const container = found.find((candidate) => candidate.id === id);
    if (container === undefined) return [];
    const { running, image, labels } = container;
    return [{ process, id, running, image, build: labels[buildLabel], commit: labels[commitLabel] }];
  });
}

/**
 * What is live on an app. Where the containers carry a build that no hook or job could note as live, its record is
 * brought up to date: Docker is the truth.
 */
export async function findLive(
  services: Services,
  pipeline: string,
  app: string,
  stage: Stage,
): Promise<Live> {
  const live = liveBuild(await appContainers(services, app), []);
  if (live.state !== 'build') return live;
  // A damaged record hides nothing: the labels tell what is live without it.
  const record = await services.store.readableBuild(pipeline, live.build);
  if (record === undefined || record.live[stage] !== undefined) return { ...live, record };
  // A build of the other app came by a promote, whose job writes the history.
  const note = record.app === app ? recordDeploy : noteLive;
  return { ...live, record: await note(services, pipeline, stage, record) };
}

/** Records that a push or rebuild went live, and in the history. */
export async function recordDeploy(
  services: Services,
  pipeline: string,
  stage: Stage,
  record: BuildRecord,
): Promise<BuildRecord> {
  const at = services.clock.now();
  const noted = await noteLive(services, pipeline, stage, record);
  await services.store.appendHistory(pipeline, {
    format: 1,
    at,
    kind: 'deploy',
    app: record.app,
    ...historyOf(record),
    by: record.by,
    result: 'live',
    durationMs: at - record.startedAt,
  });
  return noted;
}

/** Notes in a build's record that it is live on a stage. */
export async function noteLive(
  { store, clock }: Services,
  pipeline: string,
  stage: Stage,
  record: BuildRecord,
): Promise<BuildRecord> {
  const noted = { ...record, live: { ...record.live, [stage]: clock.now() } };
  await store.saveBuild(pipeline, noted);
  return noted;
}
