import { capturedRepository } from '../domain/captured-image';
import { installRepository } from '../domain/container-plan';
import { ownBytes } from '../domain/disk-use';
import { repositoryOf } from '../domain/image-reference';
import type { Pipeline } from '../domain/pipeline';
import type { Services } from '../domain/ports';
import { describeSetting, displaySetting, settingNames } from '../domain/settings';
import { formatBytes } from '../domain/units';
import { parseArguments, wantsJson } from './arguments';
import type { Command } from './command';
import { readPipeline } from './pipeline-argument';

const usage = 'report [NAME] [--format json]';

export const report: Command = {
  usage,
  about: 'Show the settings and the disk use of a pipeline',
  async run(services, args) {
    const given = parseArguments(`flight-launch:${usage}`, args, { optional: ['NAME'], values: ['format'] });
    const json = wantsJson(given);
    const pipeline = await readPipeline(services, 'report', given.positional('NAME'));
    const rows = await collect(services, pipeline);
    const { terminal } = services;
    if (json) {
      terminal.print(JSON.stringify(Object.fromEntries(rows.map(([key, value]) => [key, value]))));
      return;
    }
    terminal.header(`${pipeline.name} flight-launch information`);
    for (const [key, value, note] of rows)
      terminal.detail(`${`${title(key)}:`.padEnd(31)} ${value}${note ?? ''}`);
  },
};

type Row = readonly [key: string, value: string, note?: string];

async function collect({ store, dokku, docker }: Services, pipeline: Pipeline): Promise<Row[]> {
  const settings = settingNames.map((name): Row => {
    const stored = pipeline.settings[name];
    const value = displaySetting(name, stored ?? describeSetting(name).fallback);
    return stored === undefined ? [name, value, value === '' ? '' : ' (default)'] : [name, value];
  });
  const repositories = [capturedRepository(pipeline.name), installRepository(pipeline.name)];
  const all = await docker.allImages();
  const images = all
    .flatMap(({ references }) => references)
    .filter((reference) => repositories.includes(repositoryOf(reference)));
  const branch = async (app: string) => ((await dokku.appExists(app)) ? dokku.deployBranch(app) : '');
  return [
    ['staging', pipeline.staging],
    ['staging-deploy-branch', await branch(pipeline.staging)],
    ['production', pipeline.production],
    ['production-deploy-branch', await branch(pipeline.production)],
    ...settings,
    ['disk-use', formatBytes(await store.diskUse(pipeline.name)), ' (without images)'],
    ['images', String(images.length)],
    ['images-disk-use', formatBytes(ownBytes(repositories, all)), ' (less what other images share)'],
  ];
}

/** `build-timeout` becomes `Build timeout`. */
function title(key: string): string {
  const words = key.replaceAll('-', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}
