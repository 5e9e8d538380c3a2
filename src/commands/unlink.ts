import { capturedRepository } from '../domain/captured-image';
import { cacheVolume, installRepository } from '../domain/container-plan';
import { stages, type Pipeline } from '../domain/pipeline';
import type { Services } from '../domain/ports';
import { refuseWhileDeployed } from '../operations/live';
import { parseArguments } from './arguments';
import type { Command } from './command';
import { readPipeline } from './pipeline-argument';

const usage = 'unlink NAME [--dry-run]';

export const unlink: Command = {
  usage,
  about: 'Remove a pipeline and what it stored but not its apps',
  help: [
    'The apps stay as they are and go on running; their pushes are no longer handled by flight-launch.',
    'Stored clients, images for rollback, settings and logs go; the history is kept aside.',
  ],
  async run(services, args) {
    const given = parseArguments(`flight-launch:${usage}`, args, { required: ['NAME'], flags: ['dry-run'] });
    const pipeline = await readPipeline(services, 'unlink', given.positional('NAME'));
    const { terminal, locks } = services;
    terminal.header(`Removing pipeline ${pipeline.name} (${pipeline.staging}, ${pipeline.production})`);
    if (given.flag('dry-run')) return;
    for (const stage of stages) await refuseWhileDeployed(services, pipeline[stage]);
    const history = await locks.pipeline(pipeline.name, 'unlink', () => remove(services, pipeline));
    if (history !== undefined) terminal.detail(`the history is kept in ${history}`);
    terminal.detail('The apps keep their build-dir and deploy branch. To undo them:');
    for (const stage of stages) {
      terminal.detail(
        `  dokku builder:set ${pipeline[stage]} build-dir && dokku git:set ${pipeline[stage]} deploy-branch`,
      );
    }
  },
};

async function remove({ store, docker }: Services, pipeline: Pipeline): Promise<string | undefined> {
  const { name } = pipeline;
  for (const stage of stages) {
    if ((await store.pipelineOf(pipeline[stage])) === name) await store.unlink(pipeline[stage]);
  }
  for (const repository of [capturedRepository(name), installRepository(name)]) {
    for (const reference of await docker.imagesOf(repository)) await docker.removeImage(reference);
  }
  await docker.removeVolume(cacheVolume(name));
  return store.removePipeline(name);
}
