import { capturedReference } from '../domain/captured-image';
import {
  examineHost,
  examinePipeline,
  examineUpstream,
  type AppFacts,
  type Finding,
} from '../domain/diagnosis';
import { exitStatus, UserError } from '../domain/errors';
import { stages, type Pipeline, type Stage } from '../domain/pipeline';
import type { Services } from '../domain/ports';
import { parseUpstreamUrl } from '../domain/upstream-url';
import { formatBytes } from '../domain/units';
import { findLive } from '../operations/live';
import { parseArguments, wantsJson } from './arguments';
import type { Command } from './command';
import { visiblePipelines } from './pipeline-argument';

const usage = 'doctor [--format json]';

export const doctor: Command = {
  usage,
  about: 'Tell what is wrong here and what mends it',
  help: [
    'Looks at the host and at the pipelines whose apps you may use.',
    'Exit status 1 where anything was found.',
  ],
  async run(services, args) {
    const given = parseArguments(`flight-launch:${usage}`, args, { values: ['format'] });
    const json = wantsJson(given);
    const { terminal, workTree } = services;
    const freeDisk = await workTree.freeDisk();
    const { version: docker, findings } = await examineDocker(services);
    findings.push(...examineHost(freeDisk, docker === undefined ? undefined : await services.docker.room()));
    // Nothing is known of containers and images without the engine.
    const pipelines = docker === undefined ? [] : await visiblePipelines(services, 'doctor');
    for (const pipeline of pipelines) {
      const apps: AppFacts[] = [];
      for (const stage of stages) apps.push(await factsOf(services, pipeline, stage));
      findings.push(...examinePipeline(pipeline.name, apps));
      findings.push(...(await examineAccess(services, pipeline)));
    }
    const host = { docker: docker ?? null, node: process.version, freeDisk };
    if (json) {
      const names = pipelines.map(({ name }) => name);
      terminal.print(JSON.stringify({ host, pipelines: names, findings }));
    } else {
      terminal.header('flight-launch:doctor');
      terminal.detail(`Docker ${docker ?? 'none'}, Node.js ${host.node}, ${formatBytes(freeDisk)} free`);
      for (const { name } of pipelines) terminal.detail(`looked at pipeline ${name}`);
      for (const { subject, problem, remedy } of findings) terminal.warn(`${subject}: ${problem}. ${remedy}`);
      if (findings.length === 0) terminal.detail('nothing is wrong');
    }
    return findings.length === 0 ? exitStatus.done : exitStatus.failed;
  },
};

async function examineDocker({ docker }: Services): Promise<{ version?: string; findings: Finding[] }> {
  try {
    return { version: await docker.version(), findings: [] };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { findings: [{ subject: 'host', problem: error.message, remedy: error.remedy ?? '' }] };
  }
}

async function examineAccess(services: Services, { name, settings }: Pipeline): Promise<Finding[]> {
  if (settings.upstream === undefined || parseUpstreamUrl(settings.upstream).kind === 'https') return [];
  return examineUpstream(name, await services.upstreamAccess(name).examine());
}

async function factsOf(services: Services, { name, ...apps }: Pipeline, stage: Stage): Promise<AppFacts> {
  const { dokku, docker, store } = services;
  const app = apps[stage];
  const exists = await dokku.appExists(app);
  if (!exists) return { app, exists };
  const live = await findLive(services, name, app, stage);
  return {
    app,
    exists,
    linked: (await store.pipelineOf(app)) === name,
    buildDir: await dokku.buildDir(app),
    deployBranch: (await dokku.property('git', app, 'deploy-branch')) !== null,
    scheduler: await dokku.scheduler(app),
    live,
    image: live.state === 'build' && (await docker.image(capturedReference(name, live.build))) !== undefined,
  };
}
