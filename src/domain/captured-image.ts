import { buildLabel, commitLabel, type BuildRecord } from './build';

/** An image build whose context is only what it needs: a Dockerfile and at most a few small files. */
export interface ImageBuild {
  tag: string;
  dockerfile: string;
  /** Name in the context and content. */
  files: readonly { name: string; content: Buffer }[];
}

/** Where a pipeline's captured images live; no app of Dokku has such a repository name. */
export function capturedRepository(pipeline: string): string {
  return `flight-launch/${pipeline}`;
}

export function capturedReference(pipeline: string, build: string): string {
  return `${capturedRepository(pipeline)}:${build}`;
}

/** Puts the build's name on the app's image, so that the release image and the containers inherit it. */
export function labelBuild(appImage: string, build: string, commit: string): ImageBuild {
  return {
    tag: appImage,
    dockerfile: lines(`FROM ${appImage}`, `LABEL ${buildLabel}=${build} ${commitLabel}=${commit}`),
    files: [],
  };
}

/**
 * Derives the image that is kept and promoted. It is relabelled so that no app's cleanup owns it (H6). A herokuish
 * image holds the app's configuration by now, in `/tmp/env` and merged into `/app/.env` (H4); the others hold none, and
 * may have no shell to remove anything with.
 * @param repositoryEnv content of the repository's own `.env`, where it has one
 */
export function captureImage(
  {
    pipeline,
    build,
    builder,
    appImage,
  }: { pipeline: string; build: string; builder: string; appImage: string },
  repositoryEnv: Buffer | undefined,
): ImageBuild {
  const scrub =
    builder !== 'herokuish'
      ? []
      : repositoryEnv === undefined
        ? ['USER root', 'RUN rm -rf /tmp/env /app/.env']
        : ['USER root', 'RUN rm -rf /tmp/env', 'COPY repository.env /app/.env'];
  return {
    tag: capturedReference(pipeline, build),
    dockerfile: lines(
      `FROM ${appImage}`,
      ...scrub,
      `LABEL com.dokku.app-name=${capturedRepository(pipeline)} com.dokku.image-stage=captured com.flight-launch.pipeline=${pipeline}`,
    ),
    files:
      builder === 'herokuish' && repositoryEnv !== undefined
        ? [{ name: 'repository.env', content: repositoryEnv }]
        : [],
  };
}

/**
 * Whether the layers below that of `captureImage` hold the configuration of the app that was built (H4). Its own may
 * go where Dokku pushes its images, that of another must not: a registry gets every layer.
 */
export function holdsConfigurationOfOthers({ app, captured }: BuildRecord, target: string): boolean {
  return captured?.builder === 'herokuish' && app !== target;
}

/** Files of a herokuish image that Dokku's configuration is in before a release. */
export function isConfiguration(path: string): boolean {
  return path === 'app/.env' || path.startsWith('tmp/env/');
}

function lines(...instructions: string[]): string {
  return `${instructions.join('\n')}\n`;
}
