import { z } from 'zod';
import { buildRecord } from './build';
import { lastStep } from './journal';

const commit = z.string().regex(/^[0-9a-f]{40,64}$/);

/** A release as it was planned; all that every step needs, whoever resumes it and whatever is set meanwhile. */
export const releaseRecord = z.object({
  format: z.literal(1),
  version: z.string(),
  by: buildRecord.shape.by,
  createdAt: z.number(),
  /** Branch upstream, or `staging` for what was live there. */
  from: z.string(),
  /** The commit that is released; the version files are changed on top of it. */
  base: commit,
  /** Names of the branches that it is merged into; the same where the repository has one. */
  develop: z.string(),
  master: z.string(),
  /** Added to the messages of merges and tag. */
  message: z.string().optional(),
  /** Whether it waits between staging and production. */
  hold: z.boolean(),
  identity: z.object({ name: z.string(), email: z.string() }),
  sign: z.boolean(),
});

export type ReleaseRecord = z.output<typeof releaseRecord>;

const at = z.number();
const process = z.object({ pid: z.number(), startedAt: z.string() });
const move = z.object({ branch: z.string(), from: commit, to: commit });

/** One line of a release's journal, synced before the step that it announces is taken, or once its result is known. */
export const releaseEntry = z.discriminatedUnion('step', [
  /** The commit with the version exists here; it is pushed next. */
  z.object({ format: z.literal(1), at, step: z.literal('branching'), commit }),
  z.object({ format: z.literal(1), at, step: z.literal('branched'), commit }),
  z.object({ format: z.literal(1), at, step: z.literal('deploying'), commit, process }),
  z.object({ format: z.literal(1), at, step: z.literal('deployed'), commit, build: z.string() }),
  z.object({ format: z.literal(1), at, step: z.literal('held'), build: z.string() }),
  z.object({ format: z.literal(1), at, step: z.literal('promoting'), build: z.string(), job: z.string() }),
  z.object({ format: z.literal(1), at, step: z.literal('promoted'), commit, build: z.string() }),
  z.object({
    format: z.literal(1),
    at,
    step: z.literal('merging'),
    commit,
    tag: commit,
    moves: z.array(move),
  }),
  z.object({ format: z.literal(1), at, step: z.literal('finished'), commit }),
  z.object({ format: z.literal(1), at, step: z.literal('aborting') }),
  z.object({ format: z.literal(1), at, step: z.literal('aborted') }),
]);

export type ReleaseEntry = z.output<typeof releaseEntry>;

/** A release with its journal. */
export interface Release {
  record: ReleaseRecord;
  journal: readonly ReleaseEntry[];
}

/** Name of the branch upstream that a release lives on until it has ended. */
export const releaseBranch = (version: string) => `release/${version}`;

/** Versions that have a release branch, among the names of branches. */
export function branchedVersions(branches: Iterable<string>): string[] {
  const prefix = releaseBranch('');
  return [...branches].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
}

/** Whether there is nothing left to do for a release. */
export function hasEnded(journal: readonly ReleaseEntry[]): boolean {
  return lastStep(journal, 'finished') !== undefined || lastStep(journal, 'aborted') !== undefined;
}

/** How far a release got, for who finds it in the way. */
export function describeProgress(journal: readonly ReleaseEntry[]): string {
  switch (journal.at(-1)?.step) {
    case undefined:
    case 'branching':
      return 'nothing is upstream yet';
    case 'branched':
      return 'its branch is upstream';
    case 'deploying':
      return 'being deployed to staging';
    case 'deployed':
      return 'live on staging';
    case 'held':
      return 'held: live on staging, for somebody to look at it';
    case 'promoting':
      return 'being put on production';
    case 'promoted':
      return 'live on production, not merged yet';
    case 'merging':
      return 'live on production, being merged';
    case 'aborting':
      return 'being given up';
    case 'finished':
    case 'aborted':
      return 'at its end';
  }
}

/** Message of the commit with the version. */
export function bumpMessage({ version, by }: Pick<ReleaseRecord, 'version' | 'by'>): string {
  return withTrailer(`Set the version to ${version}`, undefined, by.name);
}

/** Message of the merge into a branch. */
export function mergeMessage(release: Messages, branch: string): string {
  return withTrailer(
    `Merge branch '${releaseBranch(release.version)}' into ${branch}`,
    release.message,
    release.by.name,
  );
}

/** Message of the tag. */
export function tagMessage(release: Messages): string {
  return withTrailer(`Release ${release.version}`, release.message, release.by.name);
}

type Messages = Pick<ReleaseRecord, 'version' | 'by'> & { message?: string | undefined };

/** git-interpret-trailers(1): the last paragraph. */
function withTrailer(subject: string, body: string | undefined, by: string): string {
  return [subject, ...(body === undefined ? [] : [body]), `Released-by: ${by.replaceAll(/\s+/g, ' ')}`].join(
    '\n\n',
  );
}
