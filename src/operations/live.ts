import { buildLabel, type BuildRecord } from '../domain/build';
import { liveBuild, type AppContainer, type Live } from '../domain/live';
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
    return [{ process, id, running, image, build: labels[buildLabel] }];
  });
}

/**
 * What is live on an app. Where the containers carry a build that no hook could note as live, its record is brought up
 * to date: Docker is the truth.
 */
export async function findLive(services: Services, pipeline: string, app: string): Promise<Live> {
  const { store } = services;
  const live = liveBuild(await appContainers(services, app), await store.builds(pipeline));
  if (live.state !== 'build' || live.record === undefined || live.record.liveAt !== undefined) return live;
  return { ...live, record: await noteLive(services, pipeline, app, live.record) };
}

/** Records that a build went live on an app, and in the history. */
export async function noteLive(
  { store, clock }: Services,
  pipeline: string,
  app: string,
  record: BuildRecord,
): Promise<BuildRecord> {
  const at = clock.now();
  const noted = { ...record, liveAt: at };
  await store.saveBuild(pipeline, noted);
  await store.appendHistory(pipeline, {
    format: 1,
    at,
    kind: 'deploy',
    app,
    build: record.name,
    commit: record.commit,
    ...(record.captured === undefined ? {} : { image: record.captured.image }),
    by: record.by,
    result: 'live',
    durationMs: at - record.startedAt,
  });
  return noted;
}
