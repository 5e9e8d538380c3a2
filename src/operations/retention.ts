import { capturedReference, capturedRepository } from '../domain/captured-image';
import { installRepository } from '../domain/container-plan';
import { tagOf } from '../domain/image-reference';
import type { Services } from '../domain/ports';
import { planRetention, type RetentionPlan } from '../domain/retention';
import { effectiveSettings } from '../domain/settings';
import { unfinishedJobs } from './job-runs';
import { buildsOfReleases } from './release-runs';
import { appContainers } from './live';

/** Keeps the commit of a build that was promoted reachable in production's repository. */
export const promotedRef = (build: string) => `refs/flight-launch/builds/${build}`;

/** What retention would remove from a pipeline now. */
export async function findRemovable(services: Services, name: string): Promise<RetentionPlan> {
  const { store, docker } = services;
  const pipeline = await store.pipeline(name);
  const inUse = new Set<string>();
  for (const app of [pipeline.staging, pipeline.production]) {
    for (const { build } of await appContainers(services, app)) if (build !== undefined) inUse.add(build);
  }
  for (const note of await store.notes()) inUse.add(note.build);
  for (const { job } of await unfinishedJobs(services, name))
    if (job.kind !== 'release') inUse.add(job.build);
  for (const build of await buildsOfReleases(services, name)) inUse.add(build);
  const builds = await store.builds(name);
  const left = new Set(await store.buildNames(name));
  return planRetention(
    {
      builds,
      artifacts: await store.artifacts(name),
      installImages: (await docker.imagesOf(installRepository(name))).map(tagOf),
      orphanImages: (await docker.imagesOf(capturedRepository(name)))
        .map(tagOf)
        .filter((tag) => !left.has(tag)),
      failedLogs: (await store.unrecordedBuilds(name)).filter((build) => !inUse.has(build)),
    },
    effectiveSettings(pipeline.settings).keep,
    inUse,
  );
}

/** Removes what a plan names. An artifact that a deploy is using stays. */
export async function applyRetention(
  { store, docker, locks, repository }: Services,
  name: string,
  plan: RetentionPlan,
): Promise<void> {
  const { production } = await store.pipeline(name);
  for (const build of plan.builds) {
    await docker.removeImage(capturedReference(name, build.name));
    if (build.live.production !== undefined) await repository.removeRef(production, promotedRef(build.name));
    await store.removeBuild(name, build.name);
  }
  for (const key of plan.artifacts) {
    await locks.tryArtifact(name, key, 'prune', () => store.removeArtifact(name, key));
  }
  for (const tag of plan.installImages) await docker.removeImage(`${installRepository(name)}:${tag}`);
  for (const build of plan.orphanImages) await docker.removeImage(capturedReference(name, build));
  for (const build of plan.failedLogs) await store.removeBuild(name, build);
}
