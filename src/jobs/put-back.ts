import { appImage, imageNames, startedReference } from '../domain/app-image';
import { buildLabel, type BuildRecord } from '../domain/build';
import type { Before } from '../domain/job';
import type { Services } from '../domain/ports';
import { appContainers, waitForReleases } from '../operations/live';

/** What a job is putting where. */
interface Work {
  services: Services;
  app: string;
  record: BuildRecord;
}

/** All that a failure has to put back (H20). */
export async function noteBefore({ services, app }: Pick<Work, 'services' | 'app'>): Promise<Before> {
  const { dokku, docker } = services;
  const revisionName = await dokku.revisionVariable(app);
  const image = await docker.image(appImage(app));
  return {
    image: image?.id ?? null,
    imageBuild: image?.labels[buildLabel] ?? null,
    revisionName,
    revision: (await dokku.config(app))[revisionName] ?? null,
    detectedBuilder: await dokku.property('builder', app, 'detected'),
    detectedPorts: await dokku.property('ports', app, 'map-detected'),
    sourceImage: await dokku.property('git', app, 'source-image'),
  };
}

/**
 * Puts back what the job changed, and only that, however far it got: where something else has deployed the app
 * meanwhile, nothing of this is ours any more.
 */
export async function putBack(work: Work, before: Before, dokkuPid: number): Promise<void> {
  work.services.terminal.step(`Putting back what ${work.app} was`);
  // A release that began meanwhile may have been of the image that had to go.
  do await putBackOnce(work, before, dokkuPid);
  while (await waitForReleases(work.services, work.app));
}

async function putBackOnce(work: Work, before: Before, dokkuPid: number): Promise<void> {
  const { services, app, record } = work;
  const { docker, dokku } = services;
  await stopStrays(work);
  await dokku.removeLeftovers(app, dokkuPid);
  const image = await docker.image(appImage(app));
  const build = image?.labels[buildLabel] ?? null;
  const ours = build === record.name && image?.id !== before.image;
  const untouched = build === before.imageBuild && (image === undefined) === (before.image === null);
  if (!ours && !untouched) return;
  if (ours) await putBackImage(work, before);
  if (before.revisionName !== '' && (await dokku.config(app))[before.revisionName] === record.commit) {
    await dokku.setConfig(app, before.revisionName, before.revision);
  }
  await dokku.setProperty('builder', app, 'detected', before.detectedBuilder);
  await dokku.setProperty('ports', app, 'map-detected', before.detectedPorts);
  if (before.sourceImage !== null) await dokku.setProperty('git', app, 'source-image', before.sourceImage);
}

/** Containers that a release was starting when it was cancelled: Dokku does not count them, and they would run on. */
async function stopStrays({ services, app, record }: Work): Promise<void> {
  const { docker, dokku } = services;
  const counted = new Set((await dokku.containers(app)).map(({ id }) => id));
  const running = await docker.running({
    'com.dokku.app-name': app,
    'com.dokku.container-type': 'deploy',
    [buildLabel]: record.name,
  });
  for (const id of running) if (!counted.has(id)) await docker.stop(id);
}

async function putBackImage(work: Work, { image }: Before): Promise<void> {
  const { services, app, record } = work;
  const { docker, dokku } = services;
  const started = await dokku.startedImage(app);
  // Where a release got as far as a tag of its own, Dokku starts the app from that from now on, pushed or not. The tag
  // never counts down, so the former image gets it too.
  const tagged = (await docker.image(startedReference(started)))?.labels[buildLabel] === record.name;
  const names = tagged ? imageNames(app, started) : [appImage(app)];
  const former = image === null ? undefined : await formerImage(work, image);
  for (const name of names) await (former === undefined ? docker.untag(name) : docker.tag(former, name));
}

/** An image that nothing runs may have been cleaned up since; what runs is as good. */
async function formerImage({ services, app, record }: Work, image: string): Promise<string | undefined> {
  const running = (await appContainers(services, app)).filter(({ build }) => build !== record.name);
  for (const candidate of [image, ...running.map((container) => container.image)]) {
    if ((await services.docker.image(candidate)) !== undefined) return candidate;
  }
  return undefined;
}
