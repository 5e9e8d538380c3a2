import { get, type Result, type TestHost } from './host';
import type { Monorepo } from './monorepo';
import { assert } from './suite';

/** An app that is deployed and that a rejected push must leave alone. */
export interface Deployed {
  host: TestHost;
  repository: Monorepo;
  app: string;
  pipeline: string;
  url: string;
  /** Text of the page that is served. */
  page: string;
}

type App = Pick<Deployed, 'host' | 'app' | 'pipeline'>;

/** What any deploy that did not get through must leave as it was, also one that was killed. */
export function liveState(deployed: App): Promise<string> {
  const { host, pipeline } = deployed;
  return host.mustAdmin(`${liveScript(deployed)}
    find pipelines/${pipeline}/builds pipelines/${pipeline}/artifacts -type f ! -name '*.log' | sort`);
}

/** All that a deploy that was stopped must leave as it was: what is live, and nothing half done beside it. */
export function stateOf(deployed: App): Promise<string> {
  const { host, pipeline } = deployed;
  return host.mustAdmin(`${liveScript(deployed)}
    find apps deploys pipelines/${pipeline} -type f ! -name '*.log' ! -path '*/locks/*' | sort
    docker ps --all --quiet --filter label=com.flight-launch.pipeline=${pipeline} --filter label=com.flight-launch.kind
    docker images --no-trunc --quiet flight-launch/${pipeline}`);
}

const liveScript = ({ app, pipeline }: App) => `
    docker image inspect --format '{{.Id}}' dokku/${app}:latest
    cat "$DOKKU_ROOT/${app}"/CONTAINER.*
    git -c safe.directory='*' -C "$DOKKU_ROOT/${app}" for-each-ref
    find "$DOKKU_LIB_ROOT/data/apps/${app}" -name '*lock*'
    cd "$DOKKU_LIB_ROOT/data/flight-launch"
    cat pipelines/${pipeline}/history.ndjson`;

/**
 * Pushes what is checked out, which has to be rejected with one clear line, and checks that nothing happened: the old
 * page is served, image, containers, refs, lock and records are as before, no build container is left.
 * @param problem what the line has to say
 */
export async function rejected(deployed: Deployed, problem: string | RegExp): Promise<Result> {
  const { host, repository, app, url, page } = deployed;
  const before = await stateOf(deployed);
  const pushed = await repository.push(host, app, '+HEAD:master');
  assert.is.not(pushed.status, 0, pushed.output);
  const lines = pushed.output.split('\n').filter((line) => line.startsWith(' !     '));
  const ours = lines.filter((line) => line.startsWith(' !     flight-launch: '));
  assert.is(ours.length, 1, pushed.output);
  const found = typeof problem === 'string' ? ours[0]?.includes(problem) : problem.test(ours[0] ?? '');
  assert.ok(found, `no ${String(problem)} in:\n${pushed.output}`);
  // The remedy is the last line of ours, below what is listed.
  const remedy = lines.findLast(
    (line) => !line.startsWith(' !       ') && !line.includes('[remote rejected]'),
  );
  assert.is.not(remedy, ours[0], `no remedy in:\n${pushed.output}`);
  assert.match((await get(url)).body, page);
  assert.is(await stateOf(deployed), before);
  return pushed;
}
