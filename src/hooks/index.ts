import type { Services } from '../domain/ports';
import { postAppCloneSetup, postAppRenameSetup, postDelete, preDelete } from './app-life-cycle';
import { postBuild } from './post-build';
import { postDeploy } from './post-deploy';
import { preBuild } from './pre-build';
import { preReceive } from './pre-receive';

export interface Hook {
  run(services: Services, args: readonly string[]): Promise<void>;
  /** Position of the app among the arguments. */
  appArgument: number;
  /** Whether Dokku mixes the app's configuration into the environment, so that the noted one has to be used (H17). */
  foreignEnvironment?: boolean;
  /** Whether an error must not reach Dokku, because the new release serves already (H19). */
  neverFails?: boolean;
}

/** By trigger, as Dokku calls it. */
export const hooks: Readonly<Record<string, Hook>> = {
  'core-post-extract': { run: preReceive, appArgument: 0 },
  'pre-build': { run: preBuild, appArgument: 1, foreignEnvironment: true },
  'post-build': { run: postBuild, appArgument: 1, foreignEnvironment: true },
  'post-deploy': { run: postDeploy, appArgument: 0, neverFails: true },
  'pre-delete': { run: preDelete, appArgument: 0 },
  'post-delete': { run: postDelete, appArgument: 0 },
  'post-app-rename-setup': { run: postAppRenameSetup, appArgument: 0 },
  'post-app-clone-setup': { run: postAppCloneSetup, appArgument: 0 },
};
