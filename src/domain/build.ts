import { z } from 'zod';

const hex64 = z.string().regex(/^[0-9a-f]{64}$/);
const person = z.object({ name: z.string(), fingerprint: z.string().optional() });

/** Who started it: the name of the ssh key and its fingerprint. */
export type Person = z.output<typeof person>;

/** One deploy of one app. Written when the client is in place; grows as the deploy goes on. */
export const buildRecord = z.object({
  format: z.literal(1),
  name: z.string(),
  app: z.string(),
  commit: z.string().regex(/^[0-9a-f]{40,64}$/),
  /** As the repository's own version files tell it. */
  version: z.string().optional(),
  by: person,
  /** Milliseconds since the epoch, like all times in records. */
  startedAt: z.number(),
  client: z.object({
    folder: z.string(),
    key: hex64,
    sha256: hex64,
    installHash: hex64,
    /** Digest of the value of each variable that the build could read; null where the app has not set it. */
    env: z.record(z.string(), hex64.nullable()),
  }),
  server: z.object({ folder: z.string(), public: z.string() }),
  captured: z
    .object({
      at: z.number(),
      builder: z.string(),
      image: z.string(),
      reference: z.string(),
      /**
       * Dokku's port mappings (`scheme:host:container`, separated by spaces) that the builder detected in the image;
       * empty where there are none, and each app has the mapping to its own port.
       */
      ports: z.string(),
    })
    .optional(),
  /** When it went live on each stage last. */
  live: z.object({ staging: z.number().optional(), production: z.number().optional() }),
});

export type BuildRecord = z.output<typeof buildRecord>;

/** What a deploy that is under way leaves for its later hooks; gone when it went live or failed in our hands. */
export const deployNote = z.object({
  format: z.literal(1),
  app: z.string(),
  build: z.string(),
  buildId: z.string(),
  workTree: z.string(),
  commit: z.string(),
  /** Process id of the Dokku command, and when that process started; a reused id is another process (F40). */
  process: z.object({ pid: z.number(), startedAt: z.string() }),
  startedAt: z.number(),
  placed: z.boolean(),
  /** Dokku's own environment, before a builder mixes the app's configuration into it (H17). */
  env: z.record(z.string(), z.string()),
});

export type DeployNote = z.output<typeof deployNote>;

/** What is known of a stored artifact. */
export const artifactRecord = z.object({
  format: z.literal(1),
  key: hex64,
  sha256: hex64,
  bytes: z.number(),
  files: z.number(),
  output: z.string(),
  builtAt: z.number(),
  durationMs: z.number(),
});

export type ArtifactRecord = z.output<typeof artifactRecord>;

/** One line of a pipeline's history. */
export const historyEntry = z.object({
  format: z.literal(1),
  at: z.number(),
  kind: z.enum(['deploy', 'promote', 'rollback', 'release']),
  /** The job, for what runs as one. */
  job: z.string().optional(),
  app: z.string(),
  build: z.string(),
  commit: z.string(),
  version: z.string().optional(),
  image: z.string().optional(),
  by: person,
  result: z.enum(['live', 'put-back', 'mixed']),
  durationMs: z.number(),
});

export type HistoryEntry = z.output<typeof historyEntry>;

/** What a line of the history tells of the build that it is about. */
export function historyOf({ name, commit, version, captured }: BuildRecord) {
  return {
    build: name,
    commit,
    ...(version === undefined ? {} : { version }),
    ...(captured === undefined ? {} : { image: captured.image }),
  };
}

/** The labels that make a build recognisable on images and containers. */
export const buildLabel = 'com.flight-launch.build';
export const commitLabel = 'com.flight-launch.commit';

/**
 * Name of a new build. Dokku uses one build id for several deploys of a `ps:rebuild --all` or of a push of two refs
 * (H26), so the name holds the app, and a number where the id comes again.
 */
export function buildName(app: string, buildId: string, taken: (name: string) => boolean): string {
  const first = `${app}.${buildId}`;
  if (!taken(first)) return first;
  for (let number = 2; ; number++) {
    const name = `${first}-${String(number)}`;
    if (!taken(name)) return name;
  }
}
