import { buildLabel, commitLabel, type BuildRecord } from '../domain/build';
import { UserError } from '../domain/errors';
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
    return [{ process, id, running, image, build: labels[buildLabel], commit: labels[commitLabel] }];
  });
}

/**
 * What is live on an app. Where the containers carry a build that no hook could note as live, its record is brought up
 * to date: Docker is the truth.
 */
export async function findLive(services: Services, pipeline: string, app: string): Promise<Live> {
  const live = liveBuild(await appContainers(services, app), []);
  if (live.state !== 'build') return live;
  const record = await readableRecord(services, pipeline, live.build);
  if (record === undefined || record.liveAt !== undefined) return { ...live, record };
  return { ...live, record: await noteLive(services, pipeline, app, record) };
}

/** A damaged record hides nothing: the labels tell what is live without it. */
async function readableRecord(
  { store, terminal }: Services,
  pipeline: string,
  build: string,
): Promise<BuildRecord | undefined> {
  try {
    return await store.build(pipeline, build);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    terminal.warn(error.message);
    return undefined;
  }
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
