/**
 * Everything that a client build in containers needs to know, decided before anything runs.
 * `domain/container-plan.ts` turns it into Docker command lines, `adapters/client-builder.ts` carries it out.
 */
export interface ClientBuild {
  pipeline: string;
  /** Name of the deploy that builds, `<app>.<id>`; labels what is created so that leftovers can be told apart. */
  build: string;
  /** Content key of the artifact, 64 hex digits. */
  key: string;
  image: { reference: string; id: string };
  /** Folder of the client in the repository, for example `client`. */
  folder: string;
  /** Other paths of the repository that the build phase needs. */
  inputs: readonly string[];
  install: {
    command: string;
    /** Hash of all that can change the install image, 64 hex digits; its tag. */
    hash: string;
    /** Paths in the repository of the files that the install phase gets, no folders. */
    files: readonly string[];
  };
  /** Shell command of the build phase. */
  command: string;
  /** Candidate output folders, relative to the client's folder; the first that the build leaves is taken. */
  output: readonly string[];
  /** Allowed environment variables of the app with their values; only the build phase gets them. */
  env: Readonly<Record<string, string>>;
  network: boolean;
  limits: ClientLimits;
  /** Host settings for the install phase (and for the build phase where `network` is allowed). */
  caFile: string | undefined;
  proxy: string | undefined;
}

export interface ClientLimits {
  /** Bytes of memory of one container, swap included. */
  memory: number;
  /** CPUs of one container, fractions allowed. */
  cpus: number;
  /** Processes and threads of one container. */
  processes: number;
  /** Seconds of each phase. */
  timeout: number;
  /** Bytes of the built client, all entries together. */
  output: number;
  /** Bytes of the log of one phase. */
  log: number;
}

/** What a finished build left: the artifact, a tar with plain modes whose entries were all checked. */
export interface Artifact {
  /** Of the tar file, 64 hex digits. */
  sha256: string;
  /** Of the tar file. */
  bytes: number;
  /** Regular files in it. */
  files: number;
  /** The output folder that was found, relative to the client's folder. */
  output: string;
}
