import type { Changes } from '../domain/changes';
import type { Pipeline } from '../domain/pipeline';
import type { Services } from '../domain/ports';
import { findLive } from './live';

export type Pending = { changes: Changes; clientFolder: string } | { changes: undefined; reason: string };

/** What lies between the live builds of production and of staging. */
export async function pendingChanges(services: Services, pipeline: Pipeline): Promise<Pending> {
  const { staging, production, name } = pipeline;
  const ofStaging = await findLive(services, name, staging, 'staging');
  const ofProduction = await findLive(services, name, production, 'production');
  const [to, from] = [ofStaging, ofProduction].map((live) =>
    live.state === 'build' ? live.record : undefined,
  );
  if (to === undefined || from === undefined) {
    return { changes: undefined, reason: `${to === undefined ? staging : production} has no live build` };
  }
  for (const { app, commit } of [from, to]) {
    // A build is live before its push has ended.
    const arriving = await services.repository.isArriving(app, commit);
    const kept = await Promise.all(
      [staging, production].map((each) => services.repository.has(each, commit)),
    );
    if (!kept.includes(true)) {
      const short = commit.slice(0, 8);
      return {
        changes: undefined,
        reason: arriving
          ? `the push of commit ${short} has not ended`
          : `commit ${short} is in no repository any more`,
      };
    }
  }
  const clientFolder = to.client.folder;
  return {
    changes: await services.repository.changes([staging, production], from.commit, to.commit),
    clientFolder,
  };
}
