import { pushRepository, startedReference, type StartedImage } from './app-image';
import type { BuildRecord } from './build';
import { valueDigest } from './client-key';
import { neededDisk } from './disk-room';
import { exitStatus, UserError, type ExitStatus } from './errors';
import type { AppContainer, Live } from './live';
import type { Pipeline } from './pipeline';

type Configuration = Readonly<Record<string, string>>;

/** What is known of production, as far as it has to be set up rightly. */
export interface ProductionFacts {
  pipeline: Pipeline;
  productionExists: boolean;
  buildDir: string;
  scheduler: string;
  /** Undefined where production does not exist. */
  startedImage: StartedImage | undefined;
  /** Bytes free for our files. */
  freeDisk: number;
}

/** All that the decision about a promote or rollback rests on. */
export interface PromotionFacts extends ProductionFacts {
  /** The build that is wanted; undefined where it was not found. */
  build: BuildRecord | undefined;
  /** Whether its captured image and its server tree are there. */
  image: boolean;
  serverTree: boolean;
  /** Whether its commit is in the repository of an app. */
  commit: boolean;
  /** Whether the push that brings its commit has not ended, though the build may be live. */
  arriving: boolean;
  /** Whether production runs that build already, with every process that it has to have. */
  isThere: boolean;
  stagingConfig: Configuration;
  productionConfig: Configuration;
}

export interface PromotionPlan {
  /** Undefined where production is on it already. */
  build: BuildRecord | undefined;
  /** Repository of a registry that Dokku pushes the release to, undefined where it pushes none. */
  pushedTo: string | undefined;
  warnings: string[];
}

/** Variables that frameworks read while they build: where they differ, production would get staging's build. */
const buildTimeVariables = ['RAILS_ENV', 'RACK_ENV', 'NODE_ENV', 'BUNDLE_WITHOUT', 'ASSET_HOST'];

/**
 * Decides whether a build can be put on production.
 * @throws UserError that lists every reason why not
 */
export function planPromotion(facts: PromotionFacts): PromotionPlan {
  const { pipeline, build } = facts;
  const problems =
    build === undefined
      ? [`nothing to promote is live on ${pipeline.staging}`]
      : [...buildProblems(facts, build), ...environmentProblems(facts, build)];
  problems.push(...productionProblems(facts, build?.server.folder));
  if (build !== undefined && isToCome(facts) && problems.length === 1) {
    throw new UserError(toCome(build), {
      remedy: 'Wait until it has, and try again.',
      exit: exitStatus.locked,
    });
  }
  if (problems.length > 0 || build === undefined) throw refused(facts, problems);
  return {
    build: facts.isThere ? undefined : build,
    pushedTo: facts.startedImage === undefined ? undefined : pushRepository(facts.startedImage),
    warnings: buildTimeWarnings(facts),
  };
}

function refused(facts: PromotionFacts, problems: readonly string[]): UserError {
  const exit: ExitStatus = facts.productionExists ? exitStatus.failed : exitStatus.noSuchApp;
  return new UserError(`${facts.pipeline.production} stays as it is: this build cannot be put on it`, {
    details: problems,
    remedy: 'Mend what is listed and try again; nothing was changed.',
    exit,
  });
}

function buildProblems(facts: PromotionFacts, build: BuildRecord): string[] {
  const problems: string[] = [];
  const { captured, live } = build;
  if (live.staging === undefined && live.production === undefined) {
    problems.push(`build ${build.name} never went live; only what passed its checks can go to production`);
  }
  if (captured === undefined || !facts.image) {
    problems.push(`the image of build ${build.name} is gone; push its commit again`);
  }
  if (!facts.serverTree)
    problems.push(`the server files of build ${build.name} are gone; push its commit again`);
  if (isToCome(facts)) problems.push(toCome(build));
  else if (!facts.commit) {
    problems.push(
      `commit ${build.commit.slice(0, 8)} of build ${build.name} is in no repository any more; push it again`,
    );
  }
  return problems;
}

/** A build is live before its push has ended, and until then its commit is out of reach. */
function isToCome({ commit, arriving }: PromotionFacts): boolean {
  return arriving && !commit;
}

function toCome({ app, commit, name }: BuildRecord): string {
  return `the push of commit ${commit.slice(0, 8)} to ${app}, build ${name}, has not ended`;
}

/** The client's JavaScript holds the values that it was built with, so production's have to be the same. */
function environmentProblems({ pipeline, productionConfig }: PromotionFacts, build: BuildRecord): string[] {
  const different = Object.entries(build.client.env)
    .filter(([name, digest]) => {
      const value = productionConfig[name];
      return (value === undefined ? null : valueDigest(value)) !== digest;
    })
    .map(([name]) => name);
  if (different.length === 0) return [];
  return [
    `the client was built with other values than ${pipeline.production} has: ${different.join(', ')}; make them equal on both apps and push again, or let the server tell the client`,
  ];
}

/**
 * What is wrong with production before anything is put on it.
 * @param folder the server's folder in the repository, where it is known
 */
export function productionProblems(facts: ProductionFacts, folder: string | undefined): string[] {
  const problems = facts.productionExists
    ? setupProblems(facts, folder)
    : [`the app ${facts.pipeline.production} does not exist`];
  if (facts.freeDisk < neededDisk) problems.push('the disk is nearly full; free some space');
  return problems;
}

function setupProblems(
  { pipeline, buildDir, scheduler, startedImage }: ProductionFacts,
  folder: string | undefined,
): string[] {
  const problems: string[] = [];
  const app = pipeline.production;
  if (folder !== undefined && buildDir !== (folder === '.' ? '' : folder)) {
    problems.push(
      `the build-dir of ${app} is ${buildDir === '' ? 'not set' : buildDir}; run \`dokku builder:set ${app} build-dir ${folder}\``,
    );
  }
  const pushed = startedImage !== undefined && pushRepository(startedImage) !== undefined;
  if (scheduler !== 'docker-local') {
    problems.push(
      `${app} is run by the scheduler ${scheduler}, ${pushed ? 'whose containers this host does not see: it could not be told what is live' : 'which cannot take an image of this host'}`,
    );
  } else if (startedImage !== undefined && startedImage.server !== '' && !pushed) {
    problems.push(
      `Dokku would start ${app} from ${startedReference(startedImage)}, which nothing makes; run \`dokku registry:set ${app} push-on-release true\`, or unset its server`,
    );
  }
  return problems;
}

function buildTimeWarnings({ pipeline, stagingConfig, productionConfig }: PromotionFacts): string[] {
  return buildTimeVariables
    .filter((name) => stagingConfig[name] !== productionConfig[name])
    .map(
      (name) =>
        `${name} differs between ${pipeline.staging} and ${pipeline.production}; the build was made with that of the app it was pushed to`,
    );
}

/** How far a release got. */
export type Switched = 'all' | 'none' | 'some';

/**
 * Looks at every container (H24): a deploy that failed may have switched some processes, or not have started one that
 * was not there before.
 * @param expected processes (`web.1`) that the release has to leave
 * @param image the build that the app's image carries, where nothing says that its release failed; it counts for an app
 * of which no process has to run, since no container tells of that
 */
export function howFar(
  containers: readonly AppContainer[],
  expected: readonly string[],
  build: string,
  image?: string,
): Switched {
  if (containers.length === 0 && expected.length === 0) return image === build ? 'all' : 'none';
  const switched = containers.filter((container) => container.build === build).map(({ process }) => process);
  if (switched.length === 0) return 'none';
  const all =
    switched.length === containers.length && expected.every((process) => switched.includes(process));
  return all ? 'all' : 'some';
}

/**
 * Builds that production can go back to, the newest first: they were live there, and their image is kept.
 * @param images references of the captured images that exist
 */
export function rollbackCandidates(
  builds: readonly BuildRecord[],
  live: Live,
  images: ReadonlySet<string>,
): BuildRecord[] {
  const current = live.state === 'build' ? live.build : undefined;
  return builds
    .filter((build) => build.live.production !== undefined && build.name !== current)
    .filter((build) => build.captured !== undefined && images.has(build.captured.reference))
    .sort((a, b) => (b.live.production ?? 0) - (a.live.production ?? 0));
}
