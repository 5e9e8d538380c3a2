import type { BuildRecord } from '../domain/build';
import { capturedReference } from '../domain/captured-image';
import { exitStatus, type ExitStatus } from '../domain/errors';
import type { PromotionJob } from '../domain/job';
import type { Pipeline } from '../domain/pipeline';
import { planPromotion, type PromotionFacts } from '../domain/promotion';
import type { Services } from '../domain/ports';
import { formatAge } from '../domain/units';
import { startJob } from './job-runs';
import { refuseWhileDeployed, runsFully } from './live';

export interface PromotionRequest {
  kind: PromotionJob['kind'];
  build: BuildRecord | undefined;
  dryRun: boolean;
  detach: boolean;
}

/** Checks, shows the plan, and starts the job; what promote and rollback have in common. */
export async function requestPromotion(
  services: Services,
  pipeline: Pipeline,
  { kind, build, dryRun, detach }: PromotionRequest,
): Promise<ExitStatus | undefined> {
  const { terminal } = services;
  const plan = planPromotion(await gatherFacts(services, pipeline, build));
  await refuseWhileDeployed(services, pipeline.production);
  if (plan.build === undefined) {
    terminal.step(`${pipeline.production} is on build ${build?.name ?? ''} already; nothing to do`);
    return exitStatus.done;
  }
  await describe(services, pipeline, plan.build, plan.pushedTo);
  for (const warning of plan.warnings) terminal.warn(warning);
  const { name, commit } = plan.build;
  if (!dryRun) {
    return startJob(services, pipeline.name, kind, detach, () =>
      Promise.resolve({ kind, build: name, commit }),
    );
  }
  const named = kind === 'promote' ? `--build ${name}` : name;
  terminal.step('Nothing was changed. To do exactly this, whatever is deployed meanwhile:');
  terminal.detail(`dokku flight-launch:${kind} ${named} --pipeline ${pipeline.name}`);
  return exitStatus.done;
}

/** What the decision about a promote rests on. */
export async function gatherFacts(
  services: Services,
  pipeline: Pipeline,
  build: BuildRecord | undefined,
): Promise<PromotionFacts> {
  const { dokku, docker, repository, store, workTree } = services;
  const { staging, production } = pipeline;
  const [stagingExists, productionExists] = [
    await dokku.appExists(staging),
    await dokku.appExists(production),
  ];
  const reference = build?.captured?.reference;
  const arriving = build !== undefined && (await repository.isArriving(build.app, build.commit));
  return {
    pipeline,
    build,
    image: reference !== undefined && (await docker.image(reference)) !== undefined,
    serverTree: build !== undefined && (await store.hasServerTree(pipeline.name, build.name)),
    commit:
      build !== undefined &&
      ((productionExists && (await repository.has(production, build.commit))) ||
        (stagingExists && (await repository.has(staging, build.commit)))),
    arriving,
    productionExists,
    isThere: productionExists && build !== undefined && (await runsFully(services, pipeline, build.name)),
    buildDir: productionExists ? await dokku.buildDir(production) : '',
    scheduler: productionExists ? await dokku.scheduler(production) : '',
    startedImage: productionExists ? await dokku.startedImage(production) : undefined,
    stagingConfig: stagingExists ? await dokku.config(staging) : {},
    productionConfig: productionExists ? await dokku.config(production) : {},
    freeDisk: await workTree.freeDisk(),
  };
}

async function describe(
  { terminal, clock, docker }: Services,
  pipeline: Pipeline,
  build: BuildRecord,
  pushedTo: string | undefined,
): Promise<void> {
  const image = await docker.image(capturedReference(pipeline.name, build.name));
  terminal.header(`${pipeline.production} gets build ${build.name}`);
  terminal.detail(
    `commit ${build.commit.slice(0, 8)}, deployed by ${build.by.name} ${formatAge(clock.now(), build.startedAt)}`,
  );
  terminal.detail(
    `image ${(image?.id ?? '').replace('sha256:', '').slice(0, 12)}, with the configuration of ${pipeline.production}`,
  );
  if (pushedTo !== undefined) terminal.detail(`Dokku pushes it to ${pushedTo} and runs what it pushed`);
  terminal.detail('release tasks (predeploy, release, postdeploy) of that build run there');
}
