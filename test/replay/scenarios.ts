import type { Outcome, World } from './world';

export interface Scenario {
  name: string;
  /** Brings the host into the state that the recording began in. */
  given?: (world: World) => Promise<unknown>;
  act: (world: World) => Promise<Outcome>;
  /** Undoes what would disturb the scenarios that follow. */
  finally?: (world: World) => Promise<unknown>;
  /** `CHECKS.{PID}.missing` files that earlier failed deploys had left on the recorded host. */
  litter?: number;
  /** What the scenario before left is part of this one. */
  untidy?: true;
}

const staging = 'web-staging';
const pushStaging = (world: World) => world.push(staging, 'develop:master');

/** A push that is accepted and deploys nothing: the working copy is ahead, and its build record stays open. */
async function pushAside(world: World): Promise<void> {
  await world.dokku(`git:set @${staging} deploy-branch master`);
  await world.commit();
  await world.deploy(staging, 'develop:aside');
}

function failing(trigger: string, litter: number): Scenario {
  return { name: `push-failing-${trigger}`, given: (world) => world.commit(), act: pushStaging, litter };
}

async function promote(world: World, image: string, command = 'try'): Promise<Outcome> {
  const revision = await world.git('rev-parse', 'HEAD');
  return world.ssh(`flight-launch:${command} @web ${revision} ${image}`);
}

const withWorker = (command: string) =>
  `web: puma --environment production --bind tcp://0.0.0.0:$PORT\nworker: ${command}`;
const webOnly = 'web: puma --environment production --bind tcp://0.0.0.0:$PORT';

/** The apps and the configuration that all recordings share. */
export async function prepare(world: World): Promise<void> {
  for (const app of [staging, 'dock-staging', 'web']) {
    await world.dokku(`apps:create @${app}`);
    await world.dokku(`builder:set @${app} build-dir server`);
  }
  await world.dokku(`config:set --no-restart @${staging} CANARY=staging-only SHARED=staging`);
}

/** In the order in which they were recorded, as far as one depends on what another left. */
export const scenarios: readonly Scenario[] = [
  { name: 'first-push', act: pushStaging },
  { name: 'push', given: (world) => world.commit(), act: pushStaging },
  { name: 'ps-rebuild', act: (world) => world.ssh(`ps:rebuild @${staging}`) },
  { name: 'config-set', act: (world) => world.ssh(`config:set @${staging} X=1`) },
  { name: 'ps-restart', act: (world) => world.ssh(`ps:restart @${staging}`) },

  failing('core-post-extract', 0),
  failing('post-extract', 0),
  failing('pre-receive-app', 0),
  failing('pre-build', 0),
  failing('post-build', 1),
  failing('pre-release-builder', 2),
  failing('post-release-builder', 3),
  failing('check-deploy', 4),
  failing('core-post-deploy', 5),
  {
    ...failing('post-deploy', 6),
    // A clean deploy in between gave the container that the failed one had left its plain name.
    given: async (world) => {
      await world.commit();
      await world.deploy(staging);
      await world.commit();
    },
  },
  failing('deploy-source-set', 6),
  { name: 'push-failing-health-check', given: (world) => world.commit('bad'), act: pushStaging, litter: 6 },
  {
    name: 'config-set-after-failed-check',
    act: (world) => world.ssh(`config:set @${staging} X=2`),
    litter: 6,
    untidy: true,
  },

  {
    name: 'push-two-refs',
    given: (world) => world.commit(),
    act: (world) => world.push(staging, 'develop:master', 'develop:other'),
    finally: (world) => world.dokku(`git:set @${staging} deploy-branch master`),
    litter: 7,
  },
  {
    name: 'push-other-branch',
    given: (world) => world.commit(),
    act: (world) => world.push(staging, 'develop:feature'),
    litter: 8,
  },

  {
    name: 'push-dockerfile',
    given: async (world) => {
      world.write(
        'server/Dockerfile',
        'FROM flight-launch-test/ruby:latest\nWORKDIR /app\nCOPY . .\nEXPOSE 5000\nENV PORT=5000',
      );
      await world.commit();
    },
    act: (world) => world.push('dock-staging', 'develop:master'),
    finally: async (world) => {
      await world.git('rm', '--quiet', 'server/Dockerfile');
      await world.commit();
    },
  },

  {
    name: 'promote',
    given: async (world) => {
      await world.deploy(staging);
      const image = await world.capture(`dokku/${world.app(staging)}:latest`, 'good');
      const { code, output } = await promote(world, image);
      if (code !== 0) throw new Error(`the first promotion failed:\n${output}`);
      await world.commit();
      await world.deploy(staging);
      await world.capture(`dokku/${world.app(staging)}:latest`, 'good');
    },
    act: (world) => promote(world, world.image('good')),
  },
  {
    name: 'promote-failing-check',
    given: (world) => world.capture(world.image('good'), 'bad', 'echo bad >/app/stamp'),
    act: (world) => promote(world, world.image('bad'), 'try2'),
  },
  {
    name: 'release-and-deploy-missing-image',
    given: async (world) => {
      await world.tag(world.image('good'), `dokku/${world.app('web')}:latest`);
      await world.commit();
    },
    act: (world) => world.ssh('flight-launch:try3 @web nosuchtag'),
    untidy: true,
  },

  {
    name: 'ps-rebuild-all',
    given: pushAside,
    act: (world) => world.ssh('ps:rebuild --all'),
    litter: 7,
  },
  {
    name: 'apps-clone',
    given: pushAside,
    act: (world) => world.ssh(`apps:clone @${staging} @web-clone`),
    litter: 7,
  },
  { name: 'apps-rename', act: (world) => world.ssh('apps:rename @web-clone @web-renamed') },
  { name: 'apps-destroy', act: (world) => world.ssh('--force apps:destroy @web-renamed') },

  {
    name: 'push-odd-config',
    given: async (world) => {
      // Closes the records that were left open before, so that the one of this push is written last.
      await world.commit();
      await world.deploy(staging);
      await world.dokku(
        `config:set --no-restart @${staging} NODE_OPTIONS=--bogus BASH_ENV=/nonexistent LANG=xx FOO=bar`,
      );
      await world.commit();
    },
    act: pushStaging,
    finally: (world) => world.dokku(`config:unset --no-restart @${staging} NODE_OPTIONS BASH_ENV LANG FOO`),
    litter: 10,
  },
  {
    name: 'push-while-locked',
    given: async (world) => {
      await world.commit();
      await world.lock(staging);
    },
    act: pushStaging,
    finally: (world) => {
      world.unlock();
      return Promise.resolve();
    },
    litter: 9,
  },
  {
    name: 'push-hostile-config',
    given: async (world) => {
      await world.dokku(
        `config:set --no-restart @${staging} PATH=/nonexistent NODE_OPTIONS=--bogus BASH_ENV=/nonexistent DOCKER_HOST=tcp://127.0.0.1:1`,
      );
      await world.commit();
    },
    act: pushStaging,
    finally: (world) =>
      world.dokku(`config:unset --no-restart @${staging} PATH NODE_OPTIONS BASH_ENV DOCKER_HOST`),
    litter: 7,
  },
  {
    name: 'push-web-passes-worker-fails',
    given: async (world) => {
      world.write('server/Procfile', withWorker('sleep 3600'));
      await world.commit();
      await world.deploy(staging);
      await world.dokku(`ps:scale @${staging} worker=1`);
      world.write('server/Procfile', withWorker('false'));
      await world.commit();
    },
    act: pushStaging,
    finally: async (world) => {
      world.write('server/Procfile', webOnly);
      await world.commit();
      await world.deploy(staging);
    },
    litter: 8,
  },
];
