import { nameCommit } from './changes';
import type { Configuration } from './configuration';
import { exitStatus, UserError, type ExitStatus } from './errors';
import type { Live } from './live';
import { printable } from './paths';
import type { Pipeline } from './pipeline';
import type { Merge, PushResult } from './ports';
import { productionProblems, type ProductionFacts } from './promotion';
import { branchedVersions, releaseBranch } from './release';
import type { Settings } from './settings';
import { manifestVersion } from './version';

/** What is to be released, as far as it is known. */
export type Origin =
  | { from: string; commit: string }
  /** Why there is none, a line each. */
  | { problems: string[] };

/**
 * Decides what to release: what is named, else the setting `release-from`, else what is live on staging if that is the
 * head of develop, since then it was tested and loses nothing.
 * @param named a branch upstream or `staging`
 * @param branches commits by name, upstream
 */
export function chooseOrigin(
  pipeline: Pipeline,
  { developBranch, releaseFrom }: Pick<Settings, 'developBranch' | 'releaseFrom'>,
  named: string | undefined,
  staging: Live,
  branches: ReadonlyMap<string, string>,
): Origin {
  const onStaging = staging.state === 'build' ? staging.record?.commit : undefined;
  const wanted = named ?? releaseFrom;
  if (wanted === 'staging') {
    return onStaging === undefined
      ? { problems: [`no build of flight-launch is live on ${pipeline.staging}, so it cannot be released`] }
      : { from: wanted, commit: onStaging };
  }
  if (wanted !== undefined) {
    const commit = branches.get(wanted);
    return commit === undefined
      ? { problems: [`there is no branch ${wanted} upstream; push it there first`] }
      : { from: wanted, commit };
  }
  const develop = branches.get(developBranch);
  // Told by itself.
  if (develop === undefined) return { problems: [] };
  if (develop === onStaging) return { from: developBranch, commit: develop };
  const live =
    onStaging === undefined ? 'no build of flight-launch is live' : `${onStaging.slice(0, 8)} is live`;
  return {
    problems: [
      `it is not clear what to release: ${live} on ${pipeline.staging}, and ${developBranch} is at ${develop.slice(0, 8)} upstream; say --from ${developBranch} or --from staging`,
    ],
  };
}

/** All that the decision about a release rests on; what could not be found out, because something before it failed, is undefined. */
export interface ReleaseFacts extends ProductionFacts {
  pipeline: Pipeline;
  settings: Settings;
  version: string;
  stagingExists: boolean;
  /** Why upstream could not be read or asked, a line each. */
  upstreamProblems: string[];
  branches: ReadonlyMap<string, string> | undefined;
  tags: ReadonlySet<string> | undefined;
  origin: Origin | undefined;
  configuration: Configuration | undefined;
  /** What is wrong with the repository's settings and version files, a line each. */
  sourceProblems: string[];
  /** Merges of what is released, by branch. */
  merges: ReadonlyMap<string, Merge> | undefined;
  /** What upstream said to a push of the release branch that was only tried. */
  push: PushResult | undefined;
  stagingConfig: Readonly<Record<string, string>>;
  productionConfig: Readonly<Record<string, string>>;
  /** Deploys and releases that are in the way, a line each. */
  underWay: string[];
}

/** @throws UserError that lists every reason why the release cannot begin */
export function checkRelease(facts: ReleaseFacts): void {
  const problems = [
    ...facts.underWay,
    ...appProblems(facts),
    ...facts.upstreamProblems,
    ...nameProblems(facts),
    ...(facts.origin !== undefined && 'problems' in facts.origin ? facts.origin.problems : []),
    ...facts.sourceProblems,
    ...mergeProblems(facts),
    ...pushProblems(facts),
    ...variableProblems(facts),
  ];
  if (problems.length === 0) return;
  const exists = facts.stagingExists && facts.productionExists;
  const exit: ExitStatus = exists ? exitStatus.failed : exitStatus.noSuchApp;
  throw new UserError(`release ${facts.version} cannot begin`, {
    details: problems,
    remedy: 'Mend what is listed and try again; nothing was changed.',
    exit,
  });
}

function appProblems(facts: ReleaseFacts): string[] {
  const { pipeline, stagingExists, configuration } = facts;
  return [
    ...(stagingExists ? [] : [`the app ${pipeline.staging} does not exist`]),
    ...productionProblems(facts, configuration?.server.folder),
  ];
}

function nameProblems({ version, settings, branches, tags }: ReleaseFacts): string[] {
  const problems: string[] = [];
  if (branches === undefined || tags === undefined) return problems;
  for (const name of new Set([settings.developBranch, settings.masterBranch])) {
    if (!branches.has(name)) problems.push(`there is no branch ${name} upstream`);
  }
  const isUsed = (other: string) => manifestVersion(other) === manifestVersion(version);
  const tag = [...tags].find(isUsed);
  if (tag !== undefined) problems.push(`version ${version} is used: upstream has a tag ${tag}`);
  const branched = branchedVersions(branches.keys()).find(isUsed);
  if (branched !== undefined)
    problems.push(`version ${version} is used: upstream has a branch ${releaseBranch(branched)}`);
  // Git keeps a ref as a file: `release` and `release/x` cannot both be.
  if (branches.has('release'))
    problems.push(`upstream has a branch release, so there can be no ${releaseBranch(version)}`);
  return problems;
}

/** What conflicts, for each branch that a release is to be merged into: each file with the commits of both sides. */
export function conflictLines(merges: ReadonlyMap<string, Merge>): string[] {
  return [...merges].flatMap(([branch, { conflicts = [] }]) =>
    conflicts.map(({ path, ours, theirs }) => {
      const list = (commits: typeof ours) => commits.map(nameCommit).join(', ') || 'none';
      return `it conflicts with ${branch} in ${printable(path)}: ${branch} has ${list(ours)}; the release has ${list(theirs)}`;
    }),
  );
}

function mergeProblems({ merges }: ReleaseFacts): string[] {
  return merges === undefined ? [] : conflictLines(merges);
}

function pushProblems({ push }: ReleaseFacts): string[] {
  if (push === undefined || push.accepted) return [];
  return push.refused.map(({ ref, reason }) => `upstream would not take ${ref}: ${reason}`);
}

/** The client is built with staging's values, and production has to have the same. */
function variableProblems(facts: ReleaseFacts): string[] {
  const { configuration, pipeline, stagingConfig, productionConfig } = facts;
  const names = (configuration?.client.env ?? []).filter(
    (name) => stagingConfig[name] !== productionConfig[name],
  );
  if (names.length === 0 || !facts.productionExists || !facts.stagingExists) return [];
  return [
    `the client would be built with other values than ${pipeline.production} has: ${names.join(', ')}; make them equal on both apps`,
  ];
}
