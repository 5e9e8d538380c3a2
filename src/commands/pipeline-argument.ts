import { choosePipeline, type Pipeline } from '../domain/pipeline';
import type { Services } from '../domain/ports';

/**
 * The pipeline that a command is about, once the caller may use its apps (H14).
 * @param named undefined where the command line names none and the host may have just one
 */
export async function readPipeline(
  { store, dokku }: Pick<Services, 'store' | 'dokku'>,
  verb: string,
  named: string | undefined,
): Promise<Pipeline> {
  const pipeline = await store.pipeline(choosePipeline(named, await store.pipelines()));
  await dokku.authorize(`flight-launch:${verb}`, [pipeline.staging, pipeline.production]);
  return pipeline;
}
