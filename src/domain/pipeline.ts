import { UsageError, UserError } from './errors';
import { quoted } from './paths';
import type { StoredSettings } from './settings';

/** The apps of a pipeline play these parts. */
export const stages = ['staging', 'production'] as const;
export type Stage = (typeof stages)[number];

/** Two apps that share a monorepo. */
export interface Pipeline {
  name: string;
  staging: string;
  production: string;
  settings: StoredSettings;
}

/** Dokku's rule for apps that exist, with a bound on the length; older versions took `_` for new ones, too. */
const appName = /^[a-z0-9][a-z0-9._-]{0,62}$/;
/** Such names as are a component of an image's repository too: Docker takes no separator at an end and no two dots. */
const pipelineName = /^[a-z0-9]+(?:(?:\.|-+)[a-z0-9]+)*$/;

/** @throws UsageError for a name that could not be a pipeline's (I63) */
export function checkPipelineName(name: string): void {
  if (name.length <= 63 && pipelineName.test(name)) return;
  throw new UsageError(`${quoted(name)} cannot be the name of a pipeline`, {
    remedy:
      'Use lower-case letters, digits, and `.` and `-` between them, at most 63 characters, such as `flight-launch`.',
  });
}

/** @throws UsageError for a name that no app can have; `--global` is none (I64) */
export function checkAppName(name: string): void {
  if (!appName.test(name) || name.includes('..')) throw invalidName(name, 'an app');
}

/** @throws UsageError for a name that Dokku gives to no new app */
export function checkNewAppName(name: string): void {
  checkAppName(name);
  if (name.includes('_')) throw invalidName(name, 'a new app');
}

function invalidName(name: string, what: string): UsageError {
  return new UsageError(`${quoted(name)} cannot be the name of ${what}`, {
    remedy:
      'Use lower-case letters, digits, `-` and single `.`, at most 63 of them, beginning with a letter or digit.',
  });
}

/** The pipeline's default apps: production has the pipeline's name. */
export function defaultApps(name: string): Record<Stage, string> {
  return { staging: `${name}-staging`, production: name };
}

/** @throws UserError where the app has no part in the pipeline */
export function stageOf(pipeline: Pipeline, app: string): Stage {
  const stage = stages.find((candidate) => pipeline[candidate] === app);
  if (stage === undefined) throw new UserError(`${app} is not an app of pipeline ${pipeline.name}`);
  return stage;
}

/**
 * The pipeline that a command is about: the one named, or the only one that there is.
 * @throws UsageError that lists the pipelines where the choice is not clear
 */
export function choosePipeline(named: string | undefined, all: readonly string[]): string {
  if (named !== undefined) {
    checkPipelineName(named);
    if (all.includes(named)) return named;
    throw new UsageError(`there is no pipeline ${named}`, { remedy: list(all) });
  }
  const [only] = all;
  if (only !== undefined && all.length === 1) return only;
  throw new UsageError(all.length === 0 ? 'there is no pipeline yet' : 'this host has several pipelines', {
    remedy: all.length === 0 ? list(all) : `Name one: ${all.join(', ')}.`,
  });
}

function list(all: readonly string[]): string {
  return all.length === 0
    ? '`dokku flight-launch:setup NAME` creates one.'
    : `Pipelines of this host: ${all.join(', ')}.`;
}
