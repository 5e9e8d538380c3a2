import {
  imageNames,
  namesPushedBefore,
  pushRepository,
  startedReference,
  type StartedImage,
} from '../../src/domain/app-image';
import type { BuildRecord } from '../../src/domain/build';
import { UserError } from '../../src/domain/errors';
import { howFar, planPromotion, type PromotionFacts } from '../../src/domain/promotion';
import { assert, suite } from '../support/suite';
import { thrown } from '../support/thrown';

const local: StartedImage = { server: '', repository: 'dokku/shop', pushedTag: undefined };
const pushed: StartedImage = { server: 'registry.example/', repository: 'team/shop', pushedTag: '7' };

const names = suite('names of the image of an app');

names('without a registry there is one', () => {
  assert.is(startedReference(local), 'dokku/shop:latest');
  assert.is(pushRepository(local), undefined);
  assert.equal(imageNames('shop', local), ['dokku/shop:latest']);
});

names('a repository of its own is started from, though nothing is pushed', () => {
  const own = { ...local, repository: 'team/shop' };
  assert.is(startedReference(own), 'team/shop:latest');
  assert.is(pushRepository(own), undefined);
  assert.equal(imageNames('shop', own), ['dokku/shop:latest', 'team/shop:latest']);
});

names('what is pushed is started by its tag, and looked for under other names too', () => {
  assert.is(startedReference(pushed), 'registry.example/team/shop:7');
  assert.is(pushRepository(pushed), 'registry.example/team/shop');
  assert.equal(imageNames('shop', pushed), [
    'dokku/shop:latest',
    'registry.example/team/shop:7',
    'team/shop:7',
    'team/shop:latest',
    'dokku/shop:7',
  ]);
});

names('of those that were pushed, the former ones are told by their count', () => {
  const found = ['a:5000/shop:6', 'a:5000/shop:7', 'a:5000/shop:10', 'a:5000/shop:latest', 'a:5000/shop:0.5'];
  assert.equal(namesPushedBefore(pushed, found), ['a:5000/shop:6']);
  assert.equal(namesPushedBefore({ ...pushed, pushedTag: '11' }, found), [
    'a:5000/shop:6',
    'a:5000/shop:7',
    'a:5000/shop:10',
  ]);
  assert.equal(namesPushedBefore(local, found), []);
});

names.run();

const plan = suite('plan of a promotion');

const hash = '0'.repeat(64);
const build: BuildRecord = {
  format: 1,
  name: 'shop-staging.abc',
  app: 'shop-staging',
  commit: '1'.repeat(40),
  by: { name: 'ada' },
  startedAt: 1,
  client: { folder: 'client', key: hash, sha256: hash, installHash: hash, env: {} },
  server: { folder: 'server', public: 'public' },
  captured: { at: 2, builder: 'dockerfile', image: 'sha256:1', reference: 'flight-launch/shop:1', ports: '' },
  live: { staging: 3 },
};
const facts: PromotionFacts = {
  pipeline: { name: 'shop', staging: 'shop-staging', production: 'shop', settings: {} },
  build,
  image: true,
  serverTree: true,
  commit: true,
  arriving: false,
  productionExists: true,
  isThere: false,
  buildDir: 'server',
  scheduler: 'docker-local',
  startedImage: local,
  stagingConfig: {},
  productionConfig: {},
  freeDisk: Number.MAX_SAFE_INTEGER,
};

/** What stands in the way. */
function problems(change: Partial<PromotionFacts>): readonly string[] {
  return thrown(() => planPromotion({ ...facts, ...change }), UserError).details;
}

plan('tells where Dokku pushes to, if anywhere', () => {
  assert.is(planPromotion(facts).pushedTo, undefined);
  assert.is(planPromotion({ ...facts, startedImage: pushed }).pushedTo, 'registry.example/team/shop');
});

plan('a scheduler other than docker-local is refused with the reason, pushed to or not', () => {
  for (const scheduler of ['k3s', 'nomad', 'null']) {
    assert.equal(problems({ scheduler }), [
      `shop is run by the scheduler ${scheduler}, which cannot take an image of this host`,
    ]);
    assert.match(
      problems({ scheduler, startedImage: pushed }).join('\n'),
      `shop is run by the scheduler ${scheduler}, whose containers this host does not see`,
    );
  }
});

plan('a server without a push is refused: Dokku would start an image that nothing makes', () => {
  const [problem, ...more] = problems({ startedImage: { ...pushed, pushedTag: undefined } });
  assert.equal(more, []);
  assert.match(problem ?? '', 'registry.example/team/shop:latest, which nothing makes');
});

plan('all that stands in the way is told at once, with the status of a missing app where it is that', () => {
  const error = thrown(
    () =>
      planPromotion({
        ...facts,
        productionExists: false,
        startedImage: undefined,
        build: undefined,
        freeDisk: 0,
      }),
    UserError,
  );
  assert.is(error.exit, 20);
  assert.is(error.details.length, 3);
});

plan(
  'H9 a build whose push has not ended has to be waited for (exit 4), unless more stands in the way',
  () => {
    const arriving = { commit: false, arriving: true };
    const error = thrown(() => planPromotion({ ...facts, ...arriving }), UserError);
    assert.is(
      error.message,
      'the push of commit 11111111 to shop-staging, build shop-staging.abc, has not ended',
    );
    assert.match(error.remedy ?? '', 'Wait');
    assert.is(error.exit, 4);
    const both = thrown(() => planPromotion({ ...facts, ...arriving, freeDisk: 0 }), UserError);
    assert.is(both.exit, 1);
    assert.equal(both.details, [error.message, 'the disk is nearly full; free some space']);
    assert.match(problems({ commit: false }).join('\n'), 'is in no repository any more; push it again');
    // It ended between the two questions.
    assert.is(planPromotion({ ...facts, arriving: true }).build, build);
  },
);

plan.run();

const release = suite('how far a release got');

const at = (process: string, of: string | undefined) => ({
  process,
  id: process,
  running: true,
  image: 'sha256:1',
  build: of,
});

release('H24 all, none or some of the containers carry the build, or one is missing', () => {
  assert.is(howFar([at('web.1', 'new'), at('worker.1', 'new')], ['web.1'], 'new'), 'all');
  assert.is(howFar([at('web.1', 'old'), at('worker.1', undefined)], ['web.1'], 'new'), 'none');
  assert.is(howFar([at('web.1', 'new'), at('worker.1', 'old')], ['web.1'], 'new'), 'some');
  assert.is(howFar([at('web.1', 'new')], ['web.1', 'worker.1'], 'new'), 'some');
});

release('where nothing has to run, the image of a release that did not fail is all there is to tell', () => {
  assert.is(howFar([], [], 'new', 'new'), 'all');
  assert.is(howFar([], [], 'new', 'old'), 'none');
  assert.is(howFar([], [], 'new'), 'none');
});

release('H20 the image alone is nothing where something has to run, or runs still', () => {
  assert.is(howFar([], ['web.1'], 'new', 'new'), 'none');
  assert.is(howFar([at('web.1', 'old')], [], 'new', 'new'), 'none');
});

release.run();
