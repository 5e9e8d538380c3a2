import { exitStatus, UserError } from '../domain/errors';
import { nameCommit } from '../domain/changes';
import { conflictLines } from '../domain/release-plan';
import {
  mergeMessage,
  releaseBranch,
  tagMessage,
  type ReleaseEntry,
  type ReleaseRecord,
} from '../domain/release';
import type { Merge, PushResult, RefUpdate, Services, Upstream } from '../domain/ports';

/** What is merged and tagged, and how. */
export type Finish = Pick<
  ReleaseRecord,
  'version' | 'by' | 'develop' | 'master' | 'identity' | 'sign' | 'message'
> & {
  /** The commit that production runs. */
  commit: string;
  /** Date of merges and tag, milliseconds since the epoch. */
  at: number;
};

type Merging = Omit<Extract<ReleaseEntry, { step: 'merging' }>, 'format' | 'at'>;

/**
 * Merges a release into its branches, tags it and removes its branch, all in one push. Upstream that moved on, or an
 * answer that was lost, is met by looking and trying once more.
 * @param announce hears what is pushed, before it is
 * @throws UserError (exit 3) where it conflicts or upstream does not take it
 */
export async function finishUpstream(
  services: Services,
  upstream: Upstream,
  finish: Finish,
  announce: (merging: Merging) => Promise<void>,
): Promise<void> {
  const { terminal } = services;
  const targets = targetsOf(finish);
  for (let attempt = 1; ; attempt++) {
    await upstream.fetch();
    const plan = await planFinish(upstream, finish);
    if (plan === undefined) {
      terminal.step(`Upstream has ${finish.version} merged and tagged already`);
      return;
    }
    if (plan.branchKept !== undefined) terminal.warn(plan.branchKept);
    await announce(plan.merging);
    const result = await upstream.push(plan.updates).catch((error: unknown) => {
      // The answer may be lost where the push was not.
      if (attempt > 1 || !(error instanceof UserError)) throw error;
      terminal.warn(`flight-launch: ${error.message}`);
      return undefined;
    });
    if (result?.accepted === true) {
      terminal.step(`Merged into ${targets.join(' and ')}, tagged ${finish.version}`);
      return;
    }
    if (attempt > 1 && result !== undefined) throw notTaken(finish, result);
    terminal.step('Looking at what upstream has now, and trying once more');
  }
}

function notTaken({ version }: Finish, { refused }: Exclude<PushResult, { accepted: true }>): UserError {
  return new UserError(`upstream did not take the merge of release ${version}; production runs it`, {
    details: refused.map(({ ref, reason }) => `${ref}: ${reason}`),
    remedy: 'Mend what is listed (a protected branch has to let the deploy key push), then resume.',
    exit: exitStatus.resumable,
  });
}

interface FinishPlan {
  merging: Merging;
  updates: RefUpdate[];
  /** Why the release branch stays, where it does. */
  branchKept: string | undefined;
}

/** The branches that it is merged into; they may be one. */
function targetsOf({ develop, master }: Finish): string[] {
  return [...new Set([develop, master])];
}

/** What would be pushed, from what was fetched last; undefined where upstream has it all. @throws UserError (exit 3) */
export async function planFinish(upstream: Upstream, finish: Finish): Promise<FinishPlan | undefined> {
  const { version, commit } = finish;
  const branches = await upstream.branches();
  const tagged = (await upstream.tags()).get(version);
  if (tagged !== undefined && tagged.commit !== commit) {
    throw new UserError(
      `upstream has a tag ${version} on another commit, ${tagged.commit.slice(0, 8)}; production runs ${commit.slice(0, 8)}`,
      { remedy: 'Remove that tag, or keep it and merge by hand.', exit: exitStatus.resumable },
    );
  }
  const moves: Merging['moves'] = [];
  const merges = new Map<string, Merge>();
  for (const branch of targetsOf(finish)) {
    const head = branches.get(branch);
    if (head === undefined) {
      throw new UserError(`there is no branch ${branch} upstream any more`, {
        remedy: 'Push it there, then resume.',
        exit: exitStatus.resumable,
      });
    }
    if (await upstream.contains(head, commit)) continue;
    const merge = await upstream.merge(head, commit);
    merges.set(branch, merge);
    if (merge.tree === undefined) continue;
    const to = await upstream.commit({
      tree: merge.tree,
      parents: [head, commit],
      message: mergeMessage(finish, branch),
      by: finish.identity,
      at: finish.at,
      sign: finish.sign,
    });
    moves.push({ branch, from: head, to });
  }
  const conflicts = conflictLines(merges);
  if (conflicts.length > 0) {
    throw new UserError(`release ${version} cannot be merged; production runs it`, {
      details: conflicts,
      remedy: `Merge ${releaseBranch(version)} by hand into what conflicts and push that, then resume.`,
      exit: exitStatus.resumable,
    });
  }
  const tag =
    tagged?.object ??
    (await upstream.tag({
      name: version,
      commit,
      message: tagMessage(finish),
      by: finish.identity,
      at: finish.at,
      sign: finish.sign,
    }));
  const updates: RefUpdate[] = moves.map(({ branch, from, to }) => ({
    ref: `refs/heads/${branch}`,
    to,
    from,
  }));
  if (tagged === undefined) updates.push({ ref: `refs/tags/${version}`, to: tag, from: null });
  const name = releaseBranch(version);
  const head = branches.get(name);
  if (head === commit) updates.push({ ref: `refs/heads/${name}`, to: null, from: head });
  if (updates.length === 0) return undefined;
  return {
    merging: { step: 'merging', commit, tag, moves },
    updates,
    branchKept:
      head === undefined || head === commit ? undefined : await whyKept(upstream, name, commit, head),
  };
}

async function whyKept(upstream: Upstream, name: string, commit: string, head: string): Promise<string> {
  const further = await upstream.between(commit, head);
  const shown = further.slice(0, 3).map(nameCommit);
  return `${name} stays upstream, since production does not run all of it: ${shown.join(', ')}${further.length > shown.length ? ' and more' : ''}`;
}
