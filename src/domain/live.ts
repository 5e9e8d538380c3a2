import type { BuildRecord } from './build';

/** A container that Dokku counts as part of the running app (`CONTAINER.<process>.<n>`). */
export interface AppContainer {
  /** `web.1` */
  process: string;
  id: string;
  running: boolean;
  /** Id of its image. */
  image: string;
  /** Value of `com.flight-launch.build`; undefined for what was not deployed through us. */
  build: string | undefined;
  /** Value of `com.flight-launch.commit`, for when the build's record is lost. */
  commit?: string | undefined;
}

export type Live =
  | { state: 'not-deployed' }
  /** All processes carry the same build; `record` is undefined where its record was lost or removed. */
  | { state: 'build'; build: string; record: BuildRecord | undefined }
  /** Deployed, but not through flight-launch. */
  | { state: 'foreign' }
  /** Processes run different things: a deploy stopped half-way (H24). */
  | { state: 'mixed'; builds: { process: string; build: string | undefined }[] };

/** What is live, from the labels of the containers alone: they are the truth, our records a cache of it. */
export function liveBuild(containers: readonly AppContainer[], records: readonly BuildRecord[]): Live {
  const [first] = containers;
  if (first === undefined) return { state: 'not-deployed' };
  if (containers.some((container) => container.build !== first.build)) {
    return { state: 'mixed', builds: containers.map(({ process, build }) => ({ process, build })) };
  }
  if (first.build === undefined) return { state: 'foreign' };
  return {
    state: 'build',
    build: first.build,
    record: records.find((record) => record.name === first.build),
  };
}
