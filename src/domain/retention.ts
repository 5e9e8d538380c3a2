import type { BuildRecord } from './build';
import { stages } from './pipeline';

export interface Stored {
  builds: readonly BuildRecord[];
  /** Keys of the artifacts. */
  artifacts: readonly string[];
  /** Hashes of the install images, as their tags spell them. */
  installImages: readonly string[];
  /** Names of the builds of captured images, where nothing else of the build is left. */
  orphanImages: readonly string[];
  /** Names of builds that left a log without a record: failed ones. The newest last. */
  failedLogs: readonly string[];
}

export interface RetentionPlan {
  builds: BuildRecord[];
  artifacts: string[];
  installImages: string[];
  orphanImages: string[];
  failedLogs: string[];
}

const failedLogsKept = 20;

/**
 * What may go: everything but the last `keep` builds of each stage that went live, whatever runs or is being deployed
 * now, and what those were made of. The newest artifact and install image stay too: the next push likely needs them.
 * @param inUse names of builds that containers carry or that are under way
 */
export function planRetention(stored: Stored, keep: number, inUse: ReadonlySet<string>): RetentionPlan {
  const newestFirst = [...stored.builds].sort((a, b) => b.startedAt - a.startedAt);
  const kept = new Set(inUse);
  for (const stage of stages) {
    const live = stored.builds.filter((build) => build.live[stage] !== undefined);
    live.sort((a, b) => (b.live[stage] ?? 0) - (a.live[stage] ?? 0));
    for (const build of live.slice(0, keep)) kept.add(build.name);
  }
  const keptBuilds = newestFirst.filter((build, index) => kept.has(build.name) || index === 0);
  const artifacts = new Set(keptBuilds.map((build) => build.client.key));
  const installs = keptBuilds.map((build) => build.client.installHash);
  return {
    builds: newestFirst.filter((build) => !keptBuilds.includes(build)),
    artifacts: stored.artifacts.filter((key) => !artifacts.has(key)),
    installImages: stored.installImages.filter((tag) => !installs.some((hash) => hash.startsWith(tag))),
    orphanImages: stored.orphanImages.filter((name) => !inUse.has(name)),
    failedLogs: stored.failedLogs.slice(0, -failedLogsKept),
  };
}
