export type Environment = Readonly<Record<string, string>>;

/**
 * Variables that a child must never inherit. Dokku's own settings (`/etc/default/dokku`) reach triggers only through
 * the environment, so everything else passes: git's own would redirect another repository (H9), Node's and the
 * loader's change programs, the rest is state of the Dokku command that called us (H12, H21).
 */
const dropped = [
  /^GIT_/,
  /^NODE_/,
  /^LD_/,
  /^BASH_ENV$/,
  /^ENV$/,
  /^SSH_ORIGINAL_COMMAND$/,
  /^DOKKU_APP_NAME$/,
  /^DOKKU_TRACE$/,
  /^DOKKU_APPS_FORCE_DELETE$/,
  /^DOKKU_REDIRECT_OUTPUT$/,
  /^DOKKU_BUILD_/,
  /^DOKKU_GLOBAL_FLAGS$/,
];

/**
 * The environment for a deploy that a job starts the way a user's push does: nothing of the job is in it, and the
 * commands of Dokku count as begun anew. Whose job it is stays (`NAME`, `FINGERPRINT`).
 */
export function deployEnvironment(env: Readonly<Record<string, string | undefined>>): Environment {
  const ofJob = ['DOKKU_PID', 'FLIGHT_LAUNCH_JOB'];
  return Object.fromEntries(Object.entries(childEnvironment(env)).filter(([name]) => !ofJob.includes(name)));
}

/** The environment for a child process, made from the one that we were started with. */
export function childEnvironment(env: Readonly<Record<string, string | undefined>>): Environment {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || dropped.some((pattern) => pattern.test(name))) continue;
    kept[name] = value;
  }
  return kept;
}
