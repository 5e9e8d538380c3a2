import { tagOf } from './image-reference';

/**
 * The image that Dokku starts an app from, wherever its `registry:set` has it: `<server><repository>:<tag>`. What is
 * built and released is `dokku/<app>:latest` all the same.
 */
export interface StartedImage {
  /** With its slash; empty where none is set. */
  server: string;
  repository: string;
  /** The tag that was pushed last (it counts up with each release); undefined where releases are not pushed. */
  pushedTag: string | undefined;
}

export function appRepository(app: string): string {
  return `dokku/${app}`;
}

/** What is built and released. */
export function appImage(app: string): string {
  return `${appRepository(app)}:latest`;
}

export function startedReference({ server, repository, pushedTag = 'latest' }: StartedImage): string {
  return `${server}${repository}:${pushedTag}`;
}

/** Where releases are pushed, undefined where they are not. */
export function pushRepository({ server, repository, pushedTag }: StartedImage): string | undefined {
  return pushedTag === undefined ? undefined : `${server}${repository}`;
}

/** Those of the names that Dokku pushed before the one that it starts. */
export function namesPushedBefore({ pushedTag }: StartedImage, names: readonly string[]): string[] {
  return names.filter((name) => /^[0-9]+$/.test(tagOf(name)) && Number(tagOf(name)) < Number(pushedTag));
}

/** All names under which Dokku may look for the image of an app: `ps:start` asks for others than `ps:restart`. */
export function imageNames(app: string, image: StartedImage): string[] {
  const { repository, pushedTag = 'latest' } = image;
  return [
    ...new Set([
      appImage(app),
      startedReference(image),
      ...[pushedTag, 'latest'].map((tag) => `${repository}:${tag}`),
      `${appRepository(app)}:${pushedTag}`,
    ]),
  ];
}
