import { UsageError, UserError } from '../domain/errors';
import { normalizePath } from '../domain/paths';
import {
  checkAppName,
  checkNewAppName,
  checkPipelineName,
  defaultApps,
  stages,
  type Pipeline,
  type Stage,
} from '../domain/pipeline';
import type { Services } from '../domain/ports';
import { parseArguments } from './arguments';
import type { Command } from './command';
import {
  applyUpstream,
  describeUpstream,
  planUpstream,
  wantedUpstream,
  type UpstreamPlan,
} from './setup-upstream';

const usage =
  'setup NAME [--staging APP] [--production APP] [--build-dir DIR] [--upstream URL] [--deploy-key] [--dry-run]';

export const setup: Command = {
  usage,
  about: 'Create a pipeline or bring it up to date',
  help: [
    'Creates what is missing: the pipeline and its two apps (NAME-staging and NAME where no others are named).',
    "Sets the apps' build-dir to the server's folder (DIR; `server` where not named) and their deploy branch.",
    'It may be run again at any time; what is right already stays.',
    '',
    'With --upstream it stores where releases are pushed to: ssh://git@HOST/PATH, git@HOST:PATH or https://HOST/PATH.',
    'Over ssh it pins the host keys of HOST, makes a deploy key unless there is one, and prints its public half,',
    'which has to be added upstream with write access. With --deploy-key the private key comes by standard input:',
    '  ssh dokku@HOST flight-launch:setup NAME --upstream URL --deploy-key < FILE',
    'It has to be without a passphrase: ed25519, ecdsa, or rsa of 2048 bits or more.',
    'A host key that changed is refused; `flight-launch:set NAME upstream --unset` forgets the pinned ones.',
  ],
  async run(services, args) {
    const given = parseArguments(`flight-launch:${usage}`, args, {
      required: ['NAME'],
      values: ['staging', 'production', 'build-dir', 'upstream'],
      flags: ['deploy-key', 'dry-run'],
    });
    const name = given.positional('NAME') ?? '';
    checkPipelineName(name);
    const buildDir = checkBuildDir(given.value('build-dir') ?? 'server');
    const pipeline = await wanted(services, name, {
      staging: given.value('staging'),
      production: given.value('production'),
    });
    const upstream = wantedUpstream(
      given.value('upstream'),
      given.flag('deploy-key'),
      pipeline.settings.upstream,
    );
    const missing = await check(services, pipeline);
    const plan: Plan = {
      pipeline,
      missing,
      buildDir,
      upstream: upstream === undefined ? undefined : await planUpstream(services, name, upstream),
    };
    if (given.flag('dry-run')) {
      describe(services, plan);
      return;
    }
    await services.store.savePipeline(pipeline);
    await services.locks.pipeline(name, 'setup', () => apply(services, plan));
  },
};

interface Plan {
  pipeline: Pipeline;
  /** Apps that have to be created. */
  missing: readonly string[];
  buildDir: string;
  upstream: UpstreamPlan | undefined;
}

function checkBuildDir(text: string): string {
  const path = normalizePath(text);
  if (/^[A-Za-z0-9_.][A-Za-z0-9_./-]*$/.test(text) && path !== '..' && !path.startsWith('../')) return path;
  throw new UsageError(`the build-dir cannot be ${JSON.stringify(text)}`, {
    remedy: "Name the server's folder in the repository, `.` for the whole repository.",
  });
}

/** The pipeline as it should be: what is named now, else what it was, else the defaults. */
async function wanted(
  { store }: Services,
  name: string,
  named: Record<Stage, string | undefined>,
): Promise<Pipeline> {
  const before = (await store.pipelines()).includes(name) ? await store.pipeline(name) : undefined;
  const fallback = before ?? defaultApps(name);
  const pipeline = {
    name,
    staging: named.staging ?? fallback.staging,
    production: named.production ?? fallback.production,
    settings: before?.settings ?? {},
  };
  for (const stage of stages) {
    checkAppName(pipeline[stage]);
    if (before !== undefined && before[stage] !== pipeline[stage]) {
      throw new UserError(
        `the ${stage} app of pipeline ${name} is ${before[stage]}, not ${pipeline[stage]}`,
        {
          remedy: `Rename the app (\`dokku apps:rename\`), or \`dokku flight-launch:unlink ${name}\` and set up again.`,
        },
      );
    }
  }
  if (pipeline.staging === pipeline.production) {
    throw new UsageError('staging and production cannot be the same app', { remedy: 'Name two apps.' });
  }
  return pipeline;
}

/** All checks before the first write. Returns the apps that have to be created. */
async function check({ store, dokku }: Services, pipeline: Pipeline): Promise<string[]> {
  const problems: string[] = [];
  const existing: string[] = [];
  const missing: string[] = [];
  for (const stage of stages) {
    const app = pipeline[stage];
    const other = await store.pipelineOf(app);
    if (other !== undefined && other !== pipeline.name)
      problems.push(`${app} is in pipeline ${other} already`);
    ((await dokku.appExists(app)) ? existing : missing).push(app);
  }
  await dokku.authorize('flight-launch:setup', existing);
  for (const app of missing) checkNewAppName(app);
  if (problems.length === 0) return missing;
  throw new UserError(`pipeline ${pipeline.name} cannot be set up`, {
    details: problems,
    remedy:
      'An app is in one pipeline at most: name another app, or `dokku flight-launch:unlink` the other pipeline.',
  });
}

function describe(services: Services, { pipeline, missing, buildDir, upstream }: Plan): void {
  const { terminal } = services;
  terminal.header(`flight-launch:setup ${pipeline.name} would`);
  for (const app of missing) terminal.detail(`create app ${app}`);
  for (const stage of stages) {
    terminal.detail(
      `make ${pipeline[stage]} the ${stage} app: build-dir ${buildDir}; deploy branch as it is now`,
    );
  }
  if (upstream !== undefined) describeUpstream(services, upstream);
}

async function apply(services: Services, { pipeline, missing, buildDir, upstream }: Plan): Promise<void> {
  const { dokku, store, terminal } = services;
  terminal.header(`Setting up pipeline ${pipeline.name}`);
  const branches = new Map<string, string>();
  for (const stage of stages) {
    const app = pipeline[stage];
    if (missing.includes(app)) {
      await dokku.createApp(app);
      terminal.step(`Created app ${app}`);
    }
    // Said outright, because an app without one deploys whatever is pushed first (H23).
    const branch = await dokku.deployBranch(app);
    await dokku.setDeployBranch(app, branch);
    await dokku.setBuildDir(app, buildDir);
    await store.link(app, pipeline.name);
    branches.set(app, branch);
    terminal.step(`${app} is the ${stage} app: build-dir ${buildDir}, deploy branch ${branch}`);
  }
  if (upstream !== undefined) await applyUpstream(services, pipeline.name, upstream);
  await explainNext(services, pipeline, branches);
}

async function explainNext(
  services: Services,
  pipeline: Pipeline,
  branches: ReadonlyMap<string, string>,
): Promise<void> {
  const { terminal, hostName, systemUser } = services;
  const branch = branches.get(pipeline.staging) ?? 'master';
  terminal.header('Next, in a checkout of the monorepo (write the host as you reach it)');
  terminal.detail(`git remote add dokku-staging ${systemUser}@${hostName}:${pipeline.staging}`);
  terminal.detail(`git remote add dokku ${systemUser}@${hostName}:${pipeline.production}`);
  for (const app of await unrelatedHistories(services, pipeline, branches)) {
    const remote = app === pipeline.staging ? 'dokku-staging' : 'dokku';
    terminal.detail(`git push --force ${remote} YOUR-BRANCH:${branches.get(app) ?? branch}`);
    terminal.detail(
      `  (once: ${app} still has the history of deploys without a client; it is kept as a ref)`,
    );
  }
  terminal.detail(`git push dokku-staging YOUR-BRANCH:${branch}`);
}

/** Apps whose branch holds only the server, as pushed by the process before flight-launch; that commit is kept. */
async function unrelatedHistories(
  { repository, source }: Services,
  pipeline: Pipeline,
  branches: ReadonlyMap<string, string>,
): Promise<string[]> {
  const found: string[] = [];
  for (const app of [pipeline.staging, pipeline.production]) {
    const commit = await repository.branch(app, branches.get(app) ?? '');
    if (commit === undefined) continue;
    const tree = source(app, commit);
    const [server, client] = [await tree.entry('server'), await tree.entry('client')];
    const configured = await tree.entry('flight-launch.json');
    if (server !== undefined || client !== undefined || configured !== undefined) continue;
    await repository.keep(app, `refs/flight-launch/before-setup/${commit}`, commit);
    found.push(app);
  }
  return found;
}
