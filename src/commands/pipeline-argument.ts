import { UserError } from '../domain/errors';
import { choosePipeline, type Pipeline } from '../domain/pipeline';
import type { Services } from '../domain/ports';
import { settleInterrupted } from '../operations/job-runs';

/**
 * The pipeline that a command is about, once the caller may use its apps (H14) and
 * nothing that was killed is left unsettled.
 * @param named undefined where the command line names none and the host may have just one
 */
export async function readPipeline(
  services: Services,
  verb: string,
  named: string | undefined,
): Promise<Pipeline> {
  const { store, dokku } = services;
  const pipeline = await store.pipeline(choosePipeline(named, await store.pipelines()));
  await dokku.authorize(`flight-launch:${verb}`, [pipeline.staging, pipeline.production]);
  await settleInterrupted(services, pipeline.name);
  return pipeline;
}

/** Those whose apps the caller may use. */
export async function visiblePipelines(services: Services, verb: string): Promise<Pipeline[]> {
  const visible: Pipeline[] = [];
  for (const name of await services.store.pipelines()) {
    try {
      visible.push(await readPipeline(services, verb, name));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
    }
  }
  return visible;
}
