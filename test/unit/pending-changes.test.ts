import { pendingChanges } from '../../src/operations/changes';
import type { Services } from '../../src/domain/ports';
import { assert, suite } from '../support/suite';

const test = suite('pending changes');

const commits = { shop: 'a'.repeat(40), 'shop-staging': 'b'.repeat(40) };
type App = keyof typeof commits;

/**
 * Both apps run a build of their own; `stored` are the commits that the repository of each has, `arriving` those of
 * pushes that have not ended.
 */
function servicesWith(
  stored: Readonly<Record<App, readonly string[]>>,
  arriving: readonly string[] = [],
): Services {
  const changes = { added: [], removed: [], files: [] };
  const record = (app: App) => ({
    name: `${app}.1`,
    app,
    commit: commits[app],
    live: { staging: 1, production: 1 },
    client: { folder: 'client' },
  });
  return {
    dokku: { containers: (app: App) => Promise.resolve([{ process: 'web.1', id: app }]) },
    docker: {
      containers: ([app]: App[]) =>
        Promise.resolve([
          { id: app, running: true, image: 'i', labels: { 'com.flight-launch.build': `${String(app)}.1` } },
        ]),
    },
    store: {
      readableBuild: (_: string, name: string) => Promise.resolve(record(name.replace(/\.1$/, '') as App)),
    },
    repository: {
      isArriving: (_: App, commit: string) => Promise.resolve(arriving.includes(commit)),
      has: (app: App, commit: string) => Promise.resolve(stored[app].includes(commit)),
      changes: () => Promise.resolve(changes),
    },
  } as unknown as Services;
}

const pipeline = { name: 'shop', staging: 'shop-staging', production: 'shop' } as Parameters<
  typeof pendingChanges
>[1];

test('commits that either repository has are compared', async () => {
  const pending = await pendingChanges(
    servicesWith({ shop: [commits.shop], 'shop-staging': [commits['shop-staging']] }),
    pipeline,
  );
  assert.ok(pending.changes !== undefined);
});

test('a build that is live before its push has ended is no bug: the reason is told', async () => {
  const stored = { shop: [commits.shop], 'shop-staging': [] };
  const pending = await pendingChanges(servicesWith(stored, [commits['shop-staging']]), pipeline);
  assert.equal(pending, { changes: undefined, reason: 'the push of commit bbbbbbbb has not ended' });
  const gone = await pendingChanges(servicesWith(stored), pipeline);
  assert.equal(gone, { changes: undefined, reason: 'commit bbbbbbbb is in no repository any more' });
});

test.run();
