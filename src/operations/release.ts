import type { Configuration } from '../domain/configuration';
import { UsageError, UserError, type ExitStatus } from '../domain/errors';
import { lastStep } from '../domain/journal';
import type { Pipeline } from '../domain/pipeline';
import type { Services, Upstream } from '../domain/ports';
import {
  branchedVersions,
  bumpMessage,
  hasEnded,
  releaseBranch,
  type ReleaseRecord,
} from '../domain/release';
import { checkRelease, chooseOrigin, type ReleaseFacts } from '../domain/release-plan';
import { effectiveSettings } from '../domain/settings';
import { nextVersion, type Increment } from '../domain/version';
import { maxVersionFileBytes, planVersionFiles, versionFiles } from '../domain/version-file';
import { callerOf } from './caller';
import { readConfiguration } from './configuration';
import { startJob } from './job-runs';
import { deployUnderWay, findLive } from './live';
import { openRelease, refuseWhileReleasing, unfinishedRelease, unfinishedReleases } from './release-runs';

/** What the caller asked for, checked as far as it can be without looking anywhere. */
export interface ReleaseRequest {
  /** Undefined for the next one. */
  version: string | undefined;
  increment: Increment | undefined;
  from: string | undefined;
  message: string | undefined;
  hold: boolean;
}

/** Checks everything, shows the plan, and starts the release as a job. */
export async function beginRelease(
  services: Services,
  pipeline: Pipeline,
  request: ReleaseRequest,
  detach: boolean,
): Promise<ExitStatus | undefined> {
  await refuseWhileReleasing(services, pipeline.name);
  return startJob(services, pipeline.name, 'release', detach, async () => {
    const record = await planRelease(services, pipeline, request);
    describe(services, pipeline, record);
    await services.releases.create(pipeline.name, record);
    return { kind: 'release', version: record.version };
  });
}

/** Checks everything and shows the plan. */
export async function showRelease(
  services: Services,
  pipeline: Pipeline,
  request: ReleaseRequest,
): Promise<void> {
  const { terminal, locks } = services;
  await refuseWhileReleasing(services, pipeline.name);
  const record = await locks.pipeline(pipeline.name, 'release --dry-run', () =>
    planRelease(services, pipeline, request),
  );
  describe(services, pipeline, record);
  const message =
    request.message === undefined ? '' : ` --message '${request.message.replaceAll("'", `'"'"'`)}'`;
  terminal.step('Nothing was changed. To do this:');
  terminal.detail(
    `dokku flight-launch:release ${record.version} --from ${record.from}${message}${request.hold ? ' --hold' : ''} --pipeline ${pipeline.name}`,
  );
}

/** Goes on with a release that stopped, in a job of its own; one that is done is left alone. */
export async function resumeRelease(
  services: Services,
  pipeline: Pipeline,
  version: string,
  detach: boolean,
): Promise<ExitStatus | undefined> {
  await refuseWhileReleasing(services, pipeline.name);
  const { journal } = await openRelease(services, pipeline.name, version);
  if (lastStep(journal, 'finished') !== undefined) {
    services.terminal.step(`Release ${version} is done already; nothing to do`);
    return undefined;
  }
  return startJob(services, pipeline.name, 'release', detach, async () => {
    const release = await openRelease(services, pipeline.name, version);
    if (hasEnded(release.journal)) {
      throw new UserError(`release ${version} was given up, or has ended meanwhile`, {
        remedy: `\`dokku flight-launch:release ${version} --pipeline ${pipeline.name}\` begins it again.`,
      });
    }
    return { kind: 'release', version };
  });
}

/** @throws UserError that lists every reason why the release cannot begin */
async function planRelease(
  services: Services,
  pipeline: Pipeline,
  request: ReleaseRequest,
): Promise<ReleaseRecord> {
  const [inTheWay] = await unfinishedReleases(services, pipeline.name);
  if (inTheWay !== undefined) throw unfinishedRelease(services, pipeline.name, inTheWay);
  const facts = await gatherReleaseFacts(services, pipeline, request);
  checkRelease(facts);
  const { settings, origin } = facts;
  if (origin === undefined || 'problems' in origin)
    throw new Error('a release without an origin was let pass');
  return draft(services, settings, request, { ...origin, version: facts.version });
}

/** Who commits, merges and tags, by the settings of a pipeline. */
export function committerOf(
  { systemUser, hostName }: Pick<Services, 'systemUser' | 'hostName'>,
  { committerName, committerEmail, signing }: ReleaseFacts['settings'],
): Pick<ReleaseRecord, 'identity' | 'sign'> {
  return {
    identity: { name: committerName, email: committerEmail ?? `${systemUser}@${hostName}` },
    sign: signing === 'deploy-key',
  };
}

function draft(
  services: Services,
  settings: ReleaseFacts['settings'],
  { message, hold }: ReleaseRequest,
  { version, from, commit }: { version: string; from: string; commit: string },
): ReleaseRecord {
  return {
    format: 1,
    version,
    by: callerOf(services),
    createdAt: services.clock.now(),
    from,
    base: commit,
    develop: settings.developBranch,
    master: settings.masterBranch,
    ...(message === undefined ? {} : { message }),
    hold,
    ...committerOf(services, settings),
  };
}

async function gatherReleaseFacts(
  services: Services,
  pipeline: Pipeline,
  request: ReleaseRequest,
): Promise<ReleaseFacts> {
  const { dokku, workTree } = services;
  const settings = effectiveSettings(pipeline.settings);
  const { staging, production } = pipeline;
  const [stagingExists, productionExists] = [
    await dokku.appExists(staging),
    await dokku.appExists(production),
  ];
  const underWay: string[] = [];
  for (const app of [staging, production]) {
    const note = await deployUnderWay(services, app);
    if (note !== undefined) {
      underWay.push(`${app} is being deployed (build ${note.build}) by ${note.env.SSH_NAME ?? 'somebody'}`);
    }
  }
  const facts: ReleaseFacts = {
    pipeline,
    settings,
    version: request.version ?? 'of the next version',
    stagingExists,
    productionExists,
    buildDir: productionExists ? await dokku.buildDir(production) : '',
    scheduler: productionExists ? await dokku.scheduler(production) : '',
    startedImage: productionExists ? await dokku.startedImage(production) : undefined,
    stagingConfig: stagingExists ? await dokku.config(staging) : {},
    productionConfig: productionExists ? await dokku.config(production) : {},
    underWay,
    freeDisk: await workTree.freeDisk(),
    upstreamProblems: [],
    branches: undefined,
    tags: undefined,
    origin: undefined,
    configuration: undefined,
    sourceProblems: [],
    merges: undefined,
    push: undefined,
  };
  await toProblems(facts.upstreamProblems, () => addUpstreamFacts(services, facts, request));
  return facts;
}

/** Adds what upstream tells, as far as it gets: what is found out is kept where a later question fails. */
async function addUpstreamFacts(
  services: Services,
  facts: ReleaseFacts,
  request: ReleaseRequest,
): Promise<void> {
  const { pipeline, settings } = facts;
  const upstream = services.upstream(pipeline);
  if (
    settings.signing === 'deploy-key' &&
    (await services.upstreamAccess(pipeline.name).deployKey()) === undefined
  ) {
    facts.upstreamProblems.push(
      `the setting signing asks for a deploy key, and there is none: run \`dokku flight-launch:set ${pipeline.name} signing --unset\`, or set up an upstream over ssh`,
    );
  }
  await upstream.fetch();
  const [branches, tags] = [await upstream.branches(), await upstream.tags()];
  facts.branches = branches;
  facts.tags = new Set(tags.keys());
  facts.version =
    request.version ??
    nextVersion(settings.versionScheme, {
      taken: [...tags.keys(), ...branchedVersions(branches.keys())],
      now: services.clock.now(),
      ...(request.increment === undefined ? {} : { increment: request.increment }),
    });
  const live = facts.stagingExists
    ? await findLive(services, pipeline.name, pipeline.staging, 'staging')
    : ({ state: 'not-deployed' } as const);
  facts.origin = chooseOrigin(pipeline, settings, request.from, live, branches);
  const branch = releaseBranch(facts.version);
  const { origin } = facts;
  if ('problems' in origin) {
    // Whether upstream lets us write can be asked with any commit.
    const any = branches.values().next().value;
    if (any !== undefined) facts.push = await tryPush(upstream, branch, any, branches);
    return;
  }
  if (!(await upstream.has(origin.commit))) {
    if (await services.repository.isArriving(pipeline.staging, origin.commit)) {
      facts.underWay.push(
        `the push of commit ${origin.commit.slice(0, 8)} to ${pipeline.staging} has not ended`,
      );
      return;
    }
    await upstream.take(pipeline.staging, origin.commit);
  }
  await toProblems(facts.sourceProblems, async () => {
    const record = draft(services, settings, request, { ...origin, version: facts.version });
    // Nobody sees this commit, so it is not signed.
    const { configuration, commit, problems } = await releaseCommit(upstream, { ...record, sign: false });
    facts.configuration = configuration;
    facts.sourceProblems.push(...problems);
    facts.merges = await mergesOf(
      upstream,
      commit,
      [settings.developBranch, settings.masterBranch],
      branches,
    );
  });
  facts.push = await tryPush(upstream, branch, origin.commit, branches);
}

async function tryPush(
  upstream: Upstream,
  branch: string,
  commit: string,
  branches: ReadonlyMap<string, string>,
): ReturnType<Upstream['push']> {
  // One that exists is told by itself.
  if (branches.has(branch)) return { accepted: true };
  return upstream.push([{ ref: `refs/heads/${branch}`, to: commit, from: null }], true);
}

async function mergesOf(
  upstream: Upstream,
  commit: string,
  targets: readonly string[],
  branches: ReadonlyMap<string, string>,
): Promise<NonNullable<ReleaseFacts['merges']>> {
  const merges = new Map<string, Awaited<ReturnType<Upstream['merge']>>>();
  for (const target of new Set(targets)) {
    const head = branches.get(target);
    if (head !== undefined) merges.set(target, await upstream.merge(head, commit));
  }
  return merges;
}

/**
 * Makes the commit of a release: its base with the version in the version files. The same record gives the same commit.
 * Where a version file is wrong it is left out, and told.
 */
export async function releaseCommit(
  upstream: Upstream,
  record: ReleaseRecord,
): Promise<{ configuration: Configuration; commit: string; problems: string[] }> {
  const source = upstream.source(record.base);
  const configuration = await readConfiguration(source);
  const files = versionFiles(configuration);
  const contents = new Map<string, Buffer>();
  for (const entry of await source.entries(files.map(({ path }) => path))) {
    if (entry.mode !== '100644' && entry.mode !== '100755') continue;
    contents.set(entry.path, await source.read(entry, maxVersionFileBytes));
  }
  const { changes, problems } = planVersionFiles(
    files,
    contents,
    record.version,
    configuration.versionFiles !== undefined,
  );
  const commit = await upstream.commit({
    tree: await upstream.treeWith(record.base, changes),
    parents: [record.base],
    message: bumpMessage(record),
    by: record.identity,
    at: record.createdAt,
    sign: record.sign,
  });
  return { configuration, commit, problems };
}

/** Turns what a user can mend into lines of a list; what was asked for wrongly is no such thing. */
async function toProblems(problems: string[], work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof UserError) || error instanceof UsageError) throw error;
    const found = [error.message, ...error.details].join('; ').replace(/\.+$/, '');
    problems.push(error.remedy === undefined ? found : `${found}. ${error.remedy}`);
  }
}

function describe(
  { terminal }: Services,
  pipeline: Pipeline,
  { version, from, base, develop, master, hold }: ReleaseRecord,
): void {
  const targets = [...new Set([develop, master])].join(' and ');
  terminal.header(`Release ${version} of pipeline ${pipeline.name}`);
  terminal.detail(
    `branch ${releaseBranch(version)} from ${from === 'staging' ? `what is live on ${pipeline.staging}` : from}, commit ${base.slice(0, 8)}`,
  );
  terminal.detail(`to ${pipeline.staging}${hold ? ', where it waits' : ''}, then to ${pipeline.production}`);
  terminal.detail(`then merged into ${targets}, and tagged ${version}`);
}
