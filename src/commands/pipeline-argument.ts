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
  const { store } = services;
  const all = await store.pipelines();
  const isClear = named === undefined ? all.length === 1 : all.includes(named);
  // Where we have to choose or to list, it is among those of the caller.
  const offered = isClear ? all : (await ofCaller(services, verb, all)).map(({ name }) => name);
  const pipeline = await authorized(services, verb, choosePipeline(named, offered));
  await settleInterrupted(services, pipeline.name);
  return pipeline;
}

/** Those whose apps the caller may use. */
export async function visiblePipelines(services: Services, verb: string): Promise<Pipeline[]> {
  const visible = await ofCaller(services, verb, await services.store.pipelines());
  for (const { name } of visible) await settleInterrupted(services, name);
  return visible;
}

async function ofCaller(services: Services, verb: string, all: readonly string[]): Promise<Pipeline[]> {
  const visible: Pipeline[] = [];
  for (const name of all) {
    try {
      visible.push(await authorized(services, verb, name));
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
    }
  }
  return visible;
}

/** @throws UserError where the caller may not use an app of the pipeline */
async function authorized({ store, dokku }: Services, verb: string, name: string): Promise<Pipeline> {
  const pipeline = await store.pipeline(name);
  await dokku.authorize(`flight-launch:${verb}`, [pipeline.staging, pipeline.production]);
  return pipeline;
}
