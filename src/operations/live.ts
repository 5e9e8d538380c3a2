import { appImage } from '../domain/app-image';
import { buildLabel, commitLabel, historyOf, type BuildRecord, type DeployNote } from '../domain/build';
import { exitStatus, UserError } from '../domain/errors';
import { liveBuild, type AppContainer, type Live } from '../domain/live';
import type { Pipeline, Stage } from '../domain/pipeline';
import { howFar } from '../domain/promotion';
import type { Services } from '../domain/ports';
import { formatAge } from '../domain/units';

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

/** The build that the image carries from which Dokku starts the app's next containers. */
export async function imageBuild(
  { docker }: Pick<Services, 'docker'>,
  app: string,
): Promise<string | undefined> {
  return (await docker.image(appImage(app)))?.labels[buildLabel];
}

/** The deploy that is under way; a note whose process has gone was left by one that failed, and is removed. */
export async function deployUnderWay(
  { store, processes }: Pick<Services, 'store' | 'processes'>,
  app: string,
): Promise<DeployNote | undefined> {
  const note = await store.note(app);
  if (note === undefined) return undefined;
  if (await processes.isRunning(note.process)) return note;
  await store.removeNote(app);
  return undefined;
}

/** @throws UserError (exit 4) that says who is deploying the app */
export async function refuseWhileDeployed(
  services: Pick<Services, 'store' | 'processes' | 'clock'>,
  app: string,
): Promise<void> {
  const note = await deployUnderWay(services, app);
  if (note === undefined) return;
  const { SSH_NAME: by = 'somebody' } = note.env;
  const since = formatAge(services.clock.now(), note.startedAt);
  throw new UserError(`${app} is being deployed (build ${note.build}) by ${by}, begun ${since}`, {
    remedy: 'Wait until that has ended and try again.',
    exit: exitStatus.locked,
  });
}

/**
 * Waits for releases of an app that others began: `config:set` and the like take no lock, and Dokku does not keep two
 * releases of an app apart (H22). They give the app's image its name anew and start containers of it.
 * @returns whether there were any
 */
export async function waitForReleases(
  services: Pick<Services, 'dokku' | 'terminal' | 'sleep'>,
  app: string,
): Promise<boolean> {
  return waitWhile(services, `Waiting for another release of ${app} to end`, () =>
    services.dokku.isReleasing(app),
  );
}

/** Waits for something to end, and says so where there is anything to wait for. @returns whether there was */
export async function waitWhile(
  { terminal, sleep }: Pick<Services, 'terminal' | 'sleep'>,
  label: string,
  goesOn: () => Promise<boolean>,
): Promise<boolean> {
  if (!(await goesOn())) return false;
  await terminal.timed(label, async () => {
    while (await goesOn()) await sleep(500);
  });
  return true;
}

/**
 * Whether production runs a build with every process that it has to have. Where the last job left a mixture, processes
 * may be missing that Dokku does not expect, so it is never taken for whole.
 */
export async function runsFully(
  services: Pick<Services, 'dokku' | 'docker' | 'store'>,
  { name, production }: Pipeline,
  build: string,
): Promise<boolean> {
  const running = (await appContainers(services, production)).filter((container) => container.running);
  const image = await imageBuild(services, production);
  if (howFar(running, [], build, image) !== 'all') return false;
  const expected = await services.dokku.processes(production, process.pid);
  const last = (await services.store.history(name)).findLast(({ app }) => app === production);
  return howFar(running, expected, build, image) === 'all' && last?.result !== 'mixed';
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
  // A build of the other app came by a promote, whose job notes it once it is live in full.
  if (record.app !== app) return { ...live, record };
  return { ...live, record: await recordDeploy(services, pipeline, stage, record) };
}

/** For an app without a running process: the build that it would start, which was released there. */
export async function releasedBuild(
  services: Pick<Services, 'docker' | 'store'>,
  pipeline: string,
  app: string,
  stage: Stage,
): Promise<BuildRecord | undefined> {
  const build = await imageBuild(services, app);
  const record = build === undefined ? undefined : await services.store.readableBuild(pipeline, build);
  return record?.live[stage] === undefined ? undefined : record;
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
