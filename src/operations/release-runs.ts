import { exitStatus, UserError } from '../domain/errors';
import { lastStep } from '../domain/journal';
import type { Services } from '../domain/ports';
import { describeProgress, hasEnded, type Release } from '../domain/release';
import { formatAge } from '../domain/units';
import { unfinishedJob } from './job-runs';

/** The releases of a pipeline that have not ended, the oldest first. */
export async function unfinishedReleases({ releases }: Services, pipeline: string): Promise<Release[]> {
  const all = await Promise.all(
    (await releases.list(pipeline)).map(async (record) => ({
      record,
      journal: await releases.journal(pipeline, record.version),
    })),
  );
  return all.filter(({ journal }) => !hasEnded(journal));
}

/** Builds that a release that has not ended goes on with. */
export async function buildsOfReleases(services: Services, pipeline: string): Promise<string[]> {
  return (await unfinishedReleases(services, pipeline)).flatMap(
    ({ journal }) => lastStep(journal, 'deployed')?.build ?? [],
  );
}

/** Says which release is in the way, how far it got, and how to end it (exit 4). */
export function unfinishedRelease(
  { clock }: Pick<Services, 'clock'>,
  pipeline: string,
  { record: { version, by, createdAt }, journal }: Release,
): UserError {
  return new UserError(
    `release ${version}, begun by ${by.name} ${formatAge(clock.now(), createdAt)}, has not ended: ${describeProgress(journal)}`,
    {
      remedy: `Go on with it: \`dokku flight-launch:release ${version} --resume --pipeline ${pipeline}\`; --abort in place of --resume gives it up.`,
      exit: exitStatus.locked,
    },
  );
}

/** @throws UserError (exit 4) where a release is at work, with who began it and how far it is */
export async function refuseWhileReleasing(services: Services, pipeline: string): Promise<void> {
  const unfinished = await unfinishedJob(services, pipeline);
  if (unfinished?.running !== true || unfinished.job.kind !== 'release') return;
  const { version, by, createdAt, id } = unfinished.job;
  const progress = describeProgress(await services.releases.journal(pipeline, version));
  throw new UserError(
    `release ${version} is under way, started by ${by.name} ${formatAge(services.clock.now(), createdAt)}: ${progress}`,
    {
      remedy: `Wait until it has ended; \`dokku flight-launch:logs ${id} --pipeline ${pipeline} --follow\` shows it.`,
      exit: exitStatus.locked,
    },
  );
}

/** The release of a version, with how far it got. @throws UserError where there is none */
export async function openRelease(
  { releases }: Services,
  pipeline: string,
  version: string,
): Promise<Release> {
  const record = await releases.read(pipeline, version);
  if (record === undefined) {
    const known = (await releases.list(pipeline)).map((release) => release.version);
    throw new UserError(`there is no release ${version} in pipeline ${pipeline}`, {
      ...(known.length === 0 ? {} : { details: [`releases: ${known.slice(-10).join(', ')}`] }),
      remedy: `\`dokku flight-launch:release ${version}\` begins it.`,
    });
  }
  return { record, journal: await releases.journal(pipeline, version) };
}
