import { checkBranchName } from '../domain/branch-name';
import { UsageError, type ExitStatus } from '../domain/errors';
import { quoted } from '../domain/paths';
import type { Pipeline } from '../domain/pipeline';
import { effectiveSettings } from '../domain/settings';
import { checkVersion, increments, type Increment } from '../domain/version';
import type { Services } from '../domain/ports';
import { beginRelease, resumeRelease, showRelease } from '../operations/release';
import { abortRelease } from '../operations/release-abort';
import { checkMessage, parseArguments, type Arguments } from './arguments';
import type { Command } from './command';
import { readPipeline } from './pipeline-argument';

const usage =
  'release VERSION | --next [INCREMENT] [--pipeline NAME] [--from BRANCH|staging] [--message TEXT] [--hold] [--dry-run] [--detach] | VERSION --resume|--abort';

export const release: Command = {
  usage,
  about: 'Take a branch to production and then merge and tag it',
  help: [
    'Checks everything first and lists all that is wrong; nothing is changed then. After that, as a job:',
    '  1. branch release/VERSION with the version in the version files, pushed upstream',
    '  2. its deploy to staging; with --hold it stops here (exit 3) for somebody to look',
    '  3. the promote of exactly that build to production',
    '  4. merge into the develop and master branches and tag VERSION, in one push; release/VERSION goes',
    'What stopped, for whatever reason, goes on with --resume from where it was; first it takes what was committed',
    'to release/VERSION upstream meanwhile. --abort gives it up, until production runs it.',
    '--next takes the version that comes next; INCREMENT is patch, minor or major with semantic versions.',
    'Without --from it is the setting release-from, or else what is live on staging if develop is there as well.',
  ],
  async run(services, args) {
    const given = parseArguments(`flight-launch:${usage}`, args, {
      optional: ['VERSION'],
      values: ['pipeline', 'from', 'message'],
      flags: ['next', 'hold', 'dry-run', 'detach', 'resume', 'abort'],
    });
    const wanted = checkShape(given);
    const pipeline = await readPipeline(services, 'release', given.value('pipeline'));
    const settings = effectiveSettings(pipeline.settings);
    if (wanted.version !== undefined) checkVersion(settings.versionScheme, wanted.version);
    if (given.flag('resume') && wanted.version !== undefined) {
      return resumeRelease(services, pipeline, wanted.version, given.flag('detach'));
    }
    if (given.flag('abort') && wanted.version !== undefined) {
      return abortRelease(services, pipeline, wanted.version, given.flag('dry-run'));
    }
    return begin(services, pipeline, given, wanted);
  },
};

interface Wanted {
  version: string | undefined;
  increment: Increment | undefined;
}

/** @throws UsageError for options that do not go together */
function checkShape(given: Arguments): Wanted {
  const wrong = (problem: string) =>
    new UsageError(problem, { remedy: `Usage: dokku flight-launch:${usage}` });
  const named = given.positional('VERSION');
  const ending = ['resume', 'abort'].filter((flag) => given.flag(flag));
  if (ending.length > 1) throw wrong('--resume and --abort exclude each other');
  const [only] = ending;
  if (only !== undefined) {
    const others = [
      ...['from', 'message'].filter((name) => given.value(name) !== undefined),
      ...['next', 'hold', ...(only === 'resume' ? ['dry-run'] : ['detach'])].filter((name) =>
        given.flag(name),
      ),
    ];
    if (others.length > 0) throw wrong(`--${only} does not go with --${others.join(' and --')}`);
    if (named === undefined) throw wrong(`--${only} needs the version of the release`);
    return { version: named, increment: undefined };
  }
  const message = given.value('message');
  if (message !== undefined) checkMessage(message);
  const from = given.value('from');
  if (from !== undefined) checkBranchName(from, '--from');
  if (given.flag('dry-run') && given.flag('detach')) throw wrong('--dry-run does not go with --detach');
  if (!given.flag('next')) {
    if (named === undefined) throw wrong('VERSION is missing; --next takes the one that comes next');
    return { version: named, increment: undefined };
  }
  const increment = increments.find((candidate) => candidate === named);
  if (named !== undefined && increment === undefined) {
    throw wrong(`--next takes ${increments.join(', ')} or nothing, not ${quoted(named)}`);
  }
  return { version: undefined, increment };
}

async function begin(
  services: Services,
  pipeline: Pipeline,
  given: Arguments,
  { version, increment }: Wanted,
): Promise<ExitStatus | undefined> {
  const request = {
    version,
    increment,
    from: given.value('from'),
    message: given.value('message')?.trim(),
    hold: given.flag('hold'),
  };
  if (!given.flag('dry-run')) return beginRelease(services, pipeline, request, given.flag('detach'));
  await showRelease(services, pipeline, request);
  return undefined;
}
