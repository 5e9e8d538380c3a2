import type { Readable } from 'node:stream';
import type { StartedImage } from './app-image';
import type { ArtifactRecord, BuildRecord, DeployNote, HistoryEntry } from './build';
import type { ImageBuild } from './captured-image';
import type { Artifact, ClientBuild } from './client-build';
import type { Changes, CommitLine } from './changes';
import type { DeployKey } from './deploy-key';
import type { DiskRoom } from './disk-room';
import type { ImageLayers } from './disk-use';
import type { ExitStatus } from './errors';
import type { HostKey } from './host-keys';
import type { JobRecord, JournalEntry } from './job';
import type { Pipeline } from './pipeline';
import type { ReleaseEntry, ReleaseRecord } from './release';

/** What people read. Lines carry Dokku's own prefixes; the log for machines is kept apart. */
export interface Terminal {
  /** `=====> text` */
  header(text: string): void;
  /** `-----> text` */
  step(text: string): void;
  /** Seven spaces, then the text; a report's line, or a line of a build's log. */
  detail(text: string): void;
  /** ` !     text` on standard error. */
  warn(text: string): void;
  /** Bare text on standard output, for `--format json` and single values. */
  print(text: string): void;
  /**
   * Prints `-----> label`, runs the work, and prints how long it took. While the work runs and nothing else was
   * printed for ten seconds, a line tells that it still does.
   */
  timed<T>(label: string, work: () => Promise<T>): Promise<T>;
}

/** An entry of a commit's tree, as `git ls-tree` tells it. */
export interface TreeEntry {
  mode: '100644' | '100755' | '120000' | '040000' | '160000';
  type: 'blob' | 'tree' | 'commit';
  /** Object id, 40 (SHA-1) or 64 hex digits. */
  id: string;
  /** From the root of the repository, `/` between folders. */
  path: string;
}

/** A tar stream that is only good once `done` has resolved: the producer may fail after the last byte. */
export interface TarSource {
  stream: Readable;
  done: Promise<void>;
  /** Files and links that have to arrive; a stream that ends sooner was cut (H10). */
  expected: number;
}

/** The pushed commit, read only; works in git's quarantine (H9). */
export interface Source {
  readonly commit: string;
  /** The entry at a path, or undefined where the commit has none. */
  entry(path: string): Promise<TreeEntry | undefined>;
  /** All files, links and submodules at or below the paths, in git's order. */
  entries(paths: readonly string[]): Promise<TreeEntry[]>;
  /** The whole content of a file. @throws UserError where it is larger than `maxBytes` */
  read(entry: TreeEntry, maxBytes: number): Promise<Buffer>;
  /** The files at or below the paths as a tar, names from the root of the repository, attributes not applied. */
  archive(paths: readonly string[]): Promise<TarSource>;
}

export interface ClientBuilder {
  /** The id (`sha256:…`) of an image, pulled where it is absent. @throws UserError where it cannot be had */
  resolveImage(reference: string): Promise<string>;
  /**
   * Builds the client in containers and writes the artifact to `target` (created, mode 0600).
   * @param log receives everything that the build printed, sanitised for a terminal
   * @throws UserError where the build fails, with its last lines in `details`
   */
  build(plan: ClientBuild, source: Source, target: string, log: (line: string) => void): Promise<Artifact>;
}

export interface ImageInfo {
  /** `sha256:…` */
  id: string;
  labels: Readonly<Record<string, string>>;
}

export interface ContainerInfo {
  id: string;
  running: boolean;
  /** Id of its image. */
  image: string;
  labels: Readonly<Record<string, string>>;
}

/** The Docker engine. Every method throws UserError where the engine does not answer. */
export interface Docker {
  /** Version of the engine. */
  version(): Promise<string>;
  /** What is free where the engine keeps its data; undefined where that is no folder of this host. */
  room(): Promise<DiskRoom | undefined>;
  /** Undefined where there is no such image. */
  image(reference: string): Promise<ImageInfo | undefined>;
  /** Those of the containers that exist, in the order given. */
  containers(ids: readonly string[]): Promise<ContainerInfo[]>;
  /** Builds from a context sent on standard input and returns the image's id. */
  build(build: ImageBuild): Promise<string>;
  /** References (`repository:tag`) of the images of one repository. */
  imagesOf(repository: string): Promise<string[]>;
  /** Every image of the engine, those that only a build cache holds included. */
  allImages(): Promise<ImageLayers[]>;
  tag(image: string, reference: string): Promise<void>;
  /** Names a copy of an image whose layers, but for the last one, lack the files whose paths are unwanted. */
  tagWithout(image: string, unwanted: (path: string) => boolean, reference: string): Promise<void>;
  /** Removes an image's reference; absent is fine. */
  removeImage(reference: string): Promise<void>;
  /** Takes a name off an image, whatever containers were made of it; absent is fine. */
  untag(reference: string): Promise<void>;
  /** Ids of the running containers that carry all the labels. */
  running(labels: Readonly<Record<string, string>>): Promise<string[]>;
  /** Stops a container for good; absent is fine. */
  stop(id: string): Promise<void>;
  /** Removes a volume; absent is fine. */
  removeVolume(name: string): Promise<void>;
}

/** Dokku as seen by a plugin: triggers, its own command line for what has no trigger, and its files. */
export interface Dokku {
  appExists(app: string): Promise<boolean>;
  createApp(app: string): Promise<void>;
  /** Branch whose push deploys the app, computed from app, global and built-in value. */
  deployBranch(app: string): Promise<string>;
  setDeployBranch(app: string, branch: string): Promise<void>;
  setBuildDir(app: string, folder: string): Promise<void>;
  /** Configuration of the app with the global one below it. Values are secrets: they go nowhere but into a build. */
  config(app: string): Promise<Readonly<Record<string, string>>>;
  /** `CONTAINER.<process>.<n>` files of the app: process (`web.1`) and container id. */
  containers(app: string): Promise<{ process: string; id: string }[]>;
  /** Folder that the app is built from; empty for the whole repository. App and global setting computed. */
  buildDir(app: string): Promise<string>;
  scheduler(app: string): Promise<string>;
  /** The image that Dokku starts the app from. */
  startedImage(app: string): Promise<StartedImage>;
  /** A property of a core plugin as Dokku stores it, null where it is not set. */
  property(plugin: string, app: string, key: string): Promise<string | null>;
  /** Sets or, with null, deletes it. */
  setProperty(plugin: string, app: string, key: string, value: string | null): Promise<void>;
  /** Sets or, with null, unsets a variable without a restart. */
  setConfig(app: string, name: string, value: string | null): Promise<void>;
  /** Name of the variable that holds the revision; empty where the app has none. */
  revisionVariable(app: string): Promise<string>;
  /**
   * The processes (`web.1`) that a deploy starts: as scaled, less those that its Procfile does not have.
   * @param dokkuPid `DOKKU_PID` of that deploy, under which Dokku keeps its Procfile until it went live
   */
  processes(app: string, dokkuPid: number): Promise<string[]>;
  newBuildId(): Promise<string>;
  /** Dokku's mapping for an app that names no port: its own proxy port, which another app has not, to port 5000. */
  ownPorts(app: string): Promise<string>;
  setDetected(app: string, builder: string, ports: string): Promise<void>;
  /** Tells Dokku's plugins of a tree that is about to be deployed; cwd is the tree. @throws ProcessError */
  announceTree(app: string, tree: string, commit: string): Promise<void>;
  setDeploySource(app: string, type: string, metadata: string): Promise<void>;
  /**
   * Releases `dokku/<app>:latest`: configuration, tasks, checks, switch. Its output goes to ours. It runs in a session of
   * its own, which `builds:cancel` may kill.
   * @returns its exit status, which says little (H20): look at the containers
   */
  release(app: string, started: (pid: number) => Promise<void>): Promise<number>;
  /** Starts containers of `dokku/<app>:latest` as released before, without tasks. */
  redeploy(app: string, started: (pid: number) => Promise<void>): Promise<number>;
  /**
   * Whether a release of the app is under way, whoever began it: `config:set`, `ps:restart`, `ps:scale` and `ps:start`
   * take no lock (H22).
   */
  isReleasing(app: string): Promise<boolean>;
  /** Builds and deploys the app's deploy branch as it is in its repository, as `ps:rebuild` does. */
  receive(app: string, started: (pid: number) => Promise<void>): Promise<number>;
  /** Removes what a deploy that failed left of Procfile, app.json and the like (`<file>.<DOKKU_PID>*`). */
  removeLeftovers(app: string, dokkuPid: number): Promise<void>;

  /** @throws UserError (exit 1) where the caller may not use the app with this command (H14) */
  authorize(command: string, apps: readonly string[]): Promise<void>;
}

/** Our files below `data/flight-launch`. All writes are atomic and durable. */
export interface Store {
  pipelines(): Promise<string[]>;
  /** @throws UserError where the pipeline's settings cannot be read */
  pipeline(name: string): Promise<Pipeline>;
  savePipeline(pipeline: Pipeline): Promise<void>;
  /** Removes settings, records, artifacts and logs; the history is kept aside. Returns where. */
  removePipeline(name: string): Promise<string | undefined>;
  /** The pipeline of an app, or undefined. */
  pipelineOf(app: string): Promise<string | undefined>;
  link(app: string, pipeline: string): Promise<void>;
  unlink(app: string): Promise<void>;

  /** All that can be read; each of the others is told in one warning. */
  builds(pipeline: string): Promise<BuildRecord[]>;
  /** @throws UserError where the record is damaged */
  build(pipeline: string, name: string): Promise<BuildRecord | undefined>;
  /** As `build`, but undefined for a damaged record, which is told in one warning. */
  readableBuild(pipeline: string, name: string): Promise<BuildRecord | undefined>;
  saveBuild(pipeline: string, build: BuildRecord): Promise<void>;
  removeBuild(pipeline: string, name: string): Promise<void>;
  /** Names of all builds that left a record, a log or a server tree. */
  buildNames(pipeline: string): Promise<string[]>;
  /** Those of them without a record, damaged or not: they failed, or are under way. */
  unrecordedBuilds(pipeline: string): Promise<string[]>;
  hasServerTree(pipeline: string, build: string): Promise<boolean>;
  serverTreePath(pipeline: string, build: string): string;
  /**
   * Runs the work with a function that writes a line to a build's log. A log that could not be written fails the work
   * when that has ended, but never in place of its own error.
   */
  withLog<T>(pipeline: string, build: string, work: (line: (text: string) => void) => Promise<T>): Promise<T>;

  artifacts(pipeline: string): Promise<string[]>;
  artifact(pipeline: string, key: string): Promise<ArtifactRecord | undefined>;
  /** Whether the stored tar is what its record says. */
  artifactIntact(pipeline: string, record: ArtifactRecord): Promise<boolean>;
  saveArtifact(pipeline: string, record: ArtifactRecord, builtAt: string): Promise<void>;
  removeArtifact(pipeline: string, key: string): Promise<void>;
  artifactPath(pipeline: string, key: string): string;
  /** A path beside the artifacts for one that is being built. */
  partialArtifactPath(pipeline: string, build: string): string;

  note(app: string): Promise<DeployNote | undefined>;
  notes(): Promise<DeployNote[]>;
  saveNote(note: DeployNote): Promise<void>;
  removeNote(app: string): Promise<void>;

  appendHistory(pipeline: string, entry: HistoryEntry): Promise<void>;
  /** The oldest first; a torn line is left out. */
  history(pipeline: string): Promise<HistoryEntry[]>;
  /** Bytes on disk of a pipeline's files. */
  diskUse(pipeline: string): Promise<number>;
}

export interface LockHolder {
  /** Name of the ssh key that the work runs for. */
  by: string;
  purpose: string;
  pid: number;
  /** Milliseconds since the epoch. */
  since: number;
}

/** `flock`s on files that are never unlinked (H8). */
export interface Locks {
  /** Runs the work under a pipeline's lock. @throws UserError (exit 4) at once where another holds it */
  pipeline<T>(pipeline: string, purpose: string, work: () => Promise<T>): Promise<T>;
  /**
   * Runs the work under Dokku's own deploy lock of an app, which holds the build's id for `builds:cancel`.
   * @throws UserError (exit 4) at once where a deploy is under way
   */
  deploy<T>(app: string, buildId: string, work: () => Promise<T>): Promise<T>;
  /** Runs the work under the lock of an artifact; waits, telling who holds it. */
  artifact<T>(pipeline: string, key: string, purpose: string, work: () => Promise<T>): Promise<T>;
  /** As `artifact`, but returns undefined at once where another holds it. */
  tryArtifact<T>(
    pipeline: string,
    key: string,
    purpose: string,
    work: () => Promise<T>,
  ): Promise<T | undefined>;
}

/** The work tree that Dokku is about to build. */
export interface WorkTree {
  /** Content of a file at the root, undefined where there is none. */
  read(folder: string, name: string): Promise<Buffer | undefined>;
  /**
   * Writes an artifact below `<root>/<folder>` without ever writing through a link.
   * @returns the files that were there before, relative to the folder
   * @throws UserError for a link or a file in the way
   */
  place(artifact: string, root: string, folder: string): Promise<string[]>;
  /** Writes a tar to a file, whole or not at all. */
  keep(tar: TarSource, path: string): Promise<void>;
  /** Runs the work with a folder that holds a kept tar's content, and that is gone afterwards. */
  unpacked<T>(path: string, work: (folder: string) => Promise<T>): Promise<T>;
  /** Bytes free where our files are. */
  freeDisk(): Promise<number>;
}

/** A process, told from a later one with the same number. */
export interface ProcessIdentity {
  pid: number;
  /** As `Processes.startOf` has it; empty where the process had ended by then. */
  startedAt: string;
}

export interface Processes {
  /** When a process started, in a form that only compares; undefined where it does not exist. */
  startOf(pid: number): Promise<string | undefined>;
  identify(pid: number): Promise<ProcessIdentity>;
  isRunning(process: ProcessIdentity): Promise<boolean>;
}

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
}

/** What machines read: one JSON object a line, never a secret. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Work that goes on when the connection that started it is gone. */
export interface Jobs {
  list(pipeline: string): Promise<JobRecord[]>;
  journal(pipeline: string, job: string): Promise<JournalEntry[]>;
  append(pipeline: string, job: string, entry: JournalEntry): Promise<void>;
  /** Writes the record of a new job. */
  create(pipeline: string, record: JobRecord): Promise<void>;
  /** Starts a job detached: own session, no descriptors of ours but its log. */
  start(pipeline: string, job: string): Promise<void>;
  /** Starts a process that settles a job that was killed; it ends or puts back, and begins nothing. */
  settle(pipeline: string, job: string): Promise<void>;
  remove(pipeline: string, job: string): Promise<void>;
  /**
   * Prints a job's log as it grows, until the job has ended or its process is gone.
   * @param output 1 (the default) for standard output, 2 for standard error, where the log is beside the point
   * @returns its exit status, undefined where it went without an end
   */
  follow(pipeline: string, job: string, output?: 1 | 2): Promise<ExitStatus | undefined>;
  /** Prints what there is of a job's log. */
  show(pipeline: string, job: string): Promise<void>;
}

/** Releases with their journals, which outlive the jobs that run them. */
export interface Releases {
  /** The oldest first. */
  list(pipeline: string): Promise<ReleaseRecord[]>;
  read(pipeline: string, version: string): Promise<ReleaseRecord | undefined>;
  /** Writes the record of a new release, in place of one of that version that was given up. */
  create(pipeline: string, record: ReleaseRecord): Promise<void>;
  journal(pipeline: string, version: string): Promise<ReleaseEntry[]>;
  append(pipeline: string, version: string, entry: ReleaseEntry): Promise<void>;
}

/** Who is calling and with which variables of Dokku; see design of the shims. */
export interface Caller {
  /** Name of the ssh key. */
  name: string;
  fingerprint: string | undefined;
}

/** Everything that commands and hooks do their work with. */
export interface Services {
  caller: Caller;
  /** This host as it calls itself, for the lines that setup prints. */
  hostName: string;
  /** Dokku's system user. */
  systemUser: string;
  /** Our own environment, as the shim left it. */
  env: Readonly<Record<string, string | undefined>>;
  terminal: Terminal;
  log: Log;
  clock: Clock;
  store: Store;
  locks: Locks;
  dokku: Dokku;
  docker: Docker;
  processes: Processes;
  jobs: Jobs;
  releases: Releases;
  workTree: WorkTree;
  /** Milliseconds. */
  sleep: (duration: number) => Promise<void>;
  clientBuilder: (pipeline: string) => ClientBuilder;
  /** The commit as found in an app's repository, or in git's quarantine during a push. */
  source: (app: string, commit: string) => Source;
  repository: Repository;
  /** @throws UserError where the pipeline has no upstream */
  upstream: (pipeline: Pipeline) => Upstream;
  upstreamAccess: (pipeline: string) => UpstreamAccess;
  /**
   * All of our standard input, which only a command has.
   * @throws UserError where there is none, too much, or no end of it
   */
  readInput: () => Promise<string>;
}

/** What two commits give when they are merged: a tree, or the files that conflict. */
export type Merge =
  | { tree: string; conflicts?: undefined }
  | { tree?: undefined; conflicts: { path: string; ours: CommitLine[]; theirs: CommitLine[] }[] };

/** A commit that is to be made; the same specification gives the same id, so that a step can be taken again. */
export interface CommitSpec {
  tree: string;
  parents: readonly string[];
  message: string;
  by: Identity;
  /** Milliseconds since the epoch; author's and committer's date, in UTC. */
  at: number;
  /** Whether it is signed with the pipeline's deploy key. */
  sign: boolean;
}

/** An annotated tag that is to be made; the same specification gives the same id. */
export interface TagSpec {
  name: string;
  commit: string;
  message: string;
  by: Identity;
  at: number;
  sign: boolean;
}

export interface Identity {
  name: string;
  email: string;
}

/** A ref upstream (`refs/heads/x`, `refs/tags/x`) and what it is to be. */
export interface RefUpdate {
  ref: string;
  /** Id of the object that it gets; null removes it. */
  to: string | null;
  /** What it has to be now, null for a ref that must not exist; checked by git on the other side (a lease). */
  from: string | null;
}

/** What became of a push that upstream answered. */
export type PushResult =
  | { accepted: true }
  /** None was taken, since a push is atomic. `reason` is git's or the server's own word, printable. */
  | { accepted: false; refused: { ref: string; reason: string }[] };

/**
 * The repository that a pipeline's code comes from, seen through a bare repository of ours
 * (`pipelines/<name>/repo.git`): `refs/upstream/heads/*` and `refs/upstream/tags/*` as fetched, `refs/flight-launch/*`
 * ours. Whatever talks to the other side throws UserError, naming the upstream (without a password), where it cannot
 * be reached, refuses us, or does not answer within the pipeline's `upstream-timeout`.
 */
export interface Upstream {
  /** Brings all branches and tags here; what is gone there goes here, too. */
  fetch(): Promise<void>;
  /** Branches as fetched last: commit by name. */
  branches(): Promise<ReadonlyMap<string, string>>;
  /** Tags as fetched last: the object's id, and the commit that it leads to, by name. */
  tags(): Promise<ReadonlyMap<string, { object: string; commit: string }>>;
  /** Whether a commit is here. */
  has(commit: string): Promise<boolean>;
  /** Whether one commit is the other or an ancestor of it. Both have to be here. */
  contains(descendant: string, ancestor: string): Promise<boolean>;
  /** Commits of `to` that `from` has not, the newest first. */
  between(from: string, to: string): Promise<CommitLine[]>;
  /** Brings a commit from an app's repository of this host here, under `refs/flight-launch/taken/<commit>`. */
  take(app: string, commit: string): Promise<void>;
  /** The files of a commit that is here. */
  source(commit: string): Source;
  /** Merges without a work tree (`git merge-tree --write-tree`); the new objects stay here. */
  merge(ours: string, theirs: string): Promise<Merge>;
  /** A tree that is a commit's but for the content of files, which keep their modes. @returns its id */
  treeWith(commit: string, files: ReadonlyMap<string, Buffer>): Promise<string>;
  /** @returns its id */
  commit(spec: CommitSpec): Promise<string>;
  /** Makes the tag's object, not a ref. @returns its id */
  tag(spec: TagSpec): Promise<string>;
  /** Keeps an object reachable under `refs/flight-launch/<name>`; null lets it go. */
  keep(name: string, object: string | null): Promise<void>;
  /** One atomic push. @param dryRun only asks whether it would be taken, as far as upstream tells that beforehand */
  push(updates: readonly RefUpdate[], dryRun?: boolean): Promise<PushResult>;
  /**
   * Pushes a commit onto the deploy branch of an app of this host, whatever was there, in the environment of a user's
   * own push: Dokku deploys it. Its output goes to ours, and it runs in a session of its own.
   * @returns git's exit status
   */
  deploy(
    app: string,
    branch: string,
    commit: string,
    started: (pid: number) => Promise<void>,
  ): Promise<number>;
}

/** A file that the way to an upstream depends on, as it is found. */
export interface AccessFile {
  name: 'deploy-key' | 'known_hosts';
  path: string;
  /** `exposed` where others than its owner may read or write it. */
  state: 'fine' | 'missing' | 'exposed' | 'damaged';
}

/** The keys by which a pipeline reaches its upstream over ssh, and those that the upstream has to show. */
export interface UpstreamAccess {
  /** Undefined where there is none. @throws UserError where it cannot be used */
  deployKey(): Promise<DeployKey | undefined>;
  /** Makes a new one, of ed25519, in place of any there is. */
  makeDeployKey(): Promise<DeployKey>;
  /** Stores a given one in place of any there is. */
  saveDeployKey(key: DeployKey): Promise<void>;
  /** The keys that a server shows now. @throws UserError where it shows none within half a minute */
  scan(host: string, port: number): Promise<HostKey[]>;
  /** The keys that a server has to show; none where none are pinned. */
  hostKeys(): Promise<HostKey[]>;
  pinHostKeys(keys: readonly HostKey[]): Promise<void>;
  /** The next server to be seen is believed. */
  forgetHostKeys(): Promise<void>;
  examine(): Promise<AccessFile[]>;
}

/** What setup looks up and keeps in an app's own repository. */
export interface Repository {
  /** The commit that a branch of the app points at. */
  branch(app: string, branch: string): Promise<string | undefined>;
  /** Keeps a commit reachable under a ref of ours. */
  keep(app: string, ref: string, commit: string): Promise<void>;
  removeRef(app: string, ref: string): Promise<void>;
  has(app: string, commit: string): Promise<boolean>;
  /**
   * Whether a push that has not ended brings a commit to the app: until then git keeps it apart, where no other process
   * finds it. Ask this before `has`, since the push may end in between.
   */
  isArriving(app: string, commit: string): Promise<boolean>;
  /** Brings a commit of one app into the repository of another, under a ref of ours. */
  fetch(from: string, to: string, commit: string, ref: string): Promise<void>;
  moveBranch(app: string, branch: string, commit: string): Promise<void>;
  /** What lies between two commits, whichever of the two apps' repositories they are in. */
  changes(apps: readonly [string, string], from: string, to: string): Promise<Changes>;
}
