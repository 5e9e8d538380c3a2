import type { BuildRecord, DeployNote } from '../domain/build';
import type { AppContainer, Live } from '../domain/live';
import { describeJob } from '../domain/job';
import { stages, type Pipeline, type Stage } from '../domain/pipeline';
import type { Services } from '../domain/ports';
import type { Changes } from '../domain/changes';
import { formatAge, formatCount } from '../domain/units';
import { pendingChanges } from '../operations/changes';
import { unfinishedJob } from '../operations/job-runs';
import { appContainers, deployUnderWay, findLive, releasedBuild } from '../operations/live';
import { parseArguments, wantsJson } from './arguments';
import type { Command } from './command';
import { readPipeline } from './pipeline-argument';

const usage = 'status [NAME] [--format json]';

export const status: Command = {
  usage,
  about: 'Show what is live on the apps of a pipeline',
  async run(services, args) {
    const given = parseArguments(`flight-launch:${usage}`, args, { optional: ['NAME'], values: ['format'] });
    const json = wantsJson(given);
    const pipeline = await readPipeline(services, 'status', given.positional('NAME'));
    const views: StageView[] = [];
    for (const stage of stages) views.push(await view(services, pipeline, stage));
    const pending = await pendingChanges(services, pipeline);
    const job = await unfinishedJob(services, pipeline.name);
    if (json) {
      const waiting = pending.changes === undefined ? null : waitingJson(pending.changes);
      const view = { pipeline: pipeline.name, apps: views.map(toJson), waiting, job: job?.job ?? null };
      services.terminal.print(JSON.stringify(view));
      return undefined;
    }
    show(services, pipeline, views);
    if (pending.changes !== undefined)
      services.terminal.step(describeWaiting(pending.changes, services.clock.now()));
    if (job !== undefined) services.terminal.step(`under way: ${describeJob(job.job)}`);
    return undefined;
  },
};

function waitingJson({ added, removed }: Changes): object {
  const oldest = added.at(-1);
  return {
    commits: added.length,
    removed: removed.length,
    oldest: oldest === undefined ? null : new Date(oldest.at).toISOString(),
  };
}

function describeWaiting({ added, removed }: Changes, now: number): string {
  const oldest = added.at(-1);
  const gone = removed.length === 0 ? '' : `, and take ${removed.length} away`;
  if (oldest === undefined)
    return removed.length === 0
      ? 'both run the same commit'
      : `a promote would take ${formatCount(removed.length, 'commit')} away`;
  return `a promote would bring ${formatCount(added.length, 'commit')}, the oldest from ${formatAge(now, oldest.at)}${gone}`;
}

interface StageView {
  stage: Stage;
  app: string;
  exists: boolean;
  live: Live;
  containers: AppContainer[];
  /** What was released there, where nothing of it runs. */
  released: BuildRecord | undefined;
  deployBranch: string | undefined;
  underWay: DeployNote | undefined;
}

async function view(services: Services, pipeline: Pipeline, stage: Stage): Promise<StageView> {
  const { dokku } = services;
  const app = pipeline[stage];
  const exists = await dokku.appExists(app);
  const containers = exists ? await appContainers(services, app) : [];
  return {
    stage,
    app,
    exists,
    live: exists ? await findLive(services, pipeline.name, app, stage) : { state: 'not-deployed' },
    containers,
    released: containers.length > 0 ? undefined : await releasedBuild(services, pipeline.name, app, stage),
    deployBranch: exists ? await dokku.deployBranch(app) : undefined,
    underWay: await deployUnderWay(services, app),
  };
}

function toJson({ stage, app, exists, live, containers, deployBranch, underWay }: StageView): object {
  const record = live.state === 'build' ? live.record : undefined;
  return {
    stage,
    app,
    exists,
    state: live.state,
    build: live.state === 'build' ? live.build : null,
    commit: live.state === 'build' ? (record?.commit ?? containers[0]?.commit ?? null) : null,
    version: record?.version ?? null,
    by: record?.by ?? null,
    liveAt: record?.live[stage] === undefined ? null : new Date(record.live[stage]).toISOString(),
    processes: containers.map(({ process, running, build }) => ({ process, running, build: build ?? null })),
    deployBranch: deployBranch ?? null,
    underWay: underWay?.build ?? null,
  };
}

function show({ terminal, clock }: Services, pipeline: Pipeline, views: readonly StageView[]): void {
  terminal.header(`Pipeline ${pipeline.name}`);
  for (const stageView of views) {
    const { stage, app, containers, deployBranch, underWay } = stageView;
    terminal.step(`${stage}: ${app}`);
    for (const line of describeLive(stageView, clock.now())) terminal.detail(line);
    const stopped = containers.filter((container) => !container.running).map(({ process }) => process);
    if (stopped.length > 0) terminal.warn(`not running: ${stopped.join(', ')}`);
    if (deployBranch !== undefined) terminal.detail(`deploys branch ${deployBranch}`);
    if (underWay !== undefined) {
      terminal.detail(`under way: build ${underWay.build} of commit ${underWay.commit.slice(0, 8)}`);
    }
  }
}

function describeLive({ stage, app, exists, live, containers, released }: StageView, now: number): string[] {
  if (!exists) return [`does not exist; \`dokku flight-launch:setup\` creates it again`];
  switch (live.state) {
    case 'not-deployed':
      return [
        released === undefined
          ? 'nothing is deployed yet'
          : `no process runs; \`dokku ps:scale ${app}\` starts build ${released.name}: commit ${released.commit.slice(0, 8)}`,
      ];
    case 'foreign':
      return ['runs a version that was not deployed through flight-launch'];
    case 'mixed':
      return [
        'runs a mixture, left by a deploy that stopped half-way:',
        ...live.builds.map(
          ({ process, build }) => `  ${process}: ${build ?? 'not deployed through flight-launch'}`,
        ),
        `push again, or \`dokku ps:rebuild ${app}\`, to mend it`,
      ];
    case 'build': {
      const { record } = live;
      if (record === undefined) {
        const commit = containers[0]?.commit?.slice(0, 8) ?? 'unknown';
        return [`build ${live.build}: commit ${commit}; there is no record of it any more`];
      }
      const at = record.live[stage];
      const since = at === undefined ? '' : `, live since ${formatAge(now, at)}`;
      const version = record.version === undefined ? '' : `, version ${record.version},`;
      return [
        `build ${record.name}: commit ${record.commit.slice(0, 8)}${version} by ${record.by.name}${since}`,
      ];
    }
  }
}
