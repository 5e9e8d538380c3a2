import { posix } from 'node:path';
import semver from 'semver';
import type { Configuration } from './configuration';
import { UserError } from './errors';
import { isInside, normalizePath, printable } from './paths';
import type { TreeEntry } from './ports';

/** What the client's own files say about how it is built. */
export interface ClientProject {
  installCommand: string;
  buildCommand: string;
  /** Node version as the tag of an image spells it: `20`, `20.11.1`; not looked up where the repository names an image. */
  nodeVersion: string;
  /** What the install phase gets. */
  installFiles: TreeEntry[];
}

/** Small files of the client's root that decide; undefined where the client has none. */
export interface ClientManifests {
  packageJson: string | undefined;
  nvmrc: string | undefined;
  nodeVersionFile: string | undefined;
}

const defaultNode = '22';
/** Majors with an image of their own, the newest last. */
const nodeMajors = ['18', '20', '22', '24'];
const codenames = new Map([
  ['hydrogen', '18'],
  ['iron', '20'],
  ['jod', '22'],
  ['krypton', '24'],
]);

/**
 * Decides how the client is installed and built.
 * @param entries all files of the client and of the extra install inputs, as the commit has them
 * @throws UserError that names the file, the rule and the remedy
 */
export function inspectClient(
  { client }: Pick<Configuration, 'client'>,
  entries: readonly TreeEntry[],
  manifests: ClientManifests,
): ClientProject {
  refuseSubmodules(entries);
  const root = new Set(entries.map((entry) => entry.path).filter((path) => isInside(path, client.folder)));
  const has = (name: string) => root.has(`${client.folder}/${name}`);
  const packageJson = readPackageJson(client, manifests.packageJson);
  const manager = client.install === undefined ? packageManager(client.folder, packageJson, has) : undefined;
  if (client.build === undefined && packageJson.scripts.build === undefined) {
    throw new UserError(`${client.folder}/package.json has no script "build"`, {
      remedy: 'Add one, or say in flight-launch.json how the client is built: "client": {"build": "…"}.',
    });
  }
  return {
    installCommand: client.install ?? installCommands[manager ?? 'npm'],
    buildCommand: client.build ?? 'npm run build',
    nodeVersion:
      client.image === undefined ? nodeVersion(client.folder, manifests, packageJson) : defaultNode,
    installFiles: entries.filter((entry) => isInstallFile(entry, client)),
  };
}

type Manager = 'npm' | 'yarn' | 'yarn-berry' | 'yarn-corepack' | 'pnpm';

/**
 * Official Node images have npm, Yarn 1 and (up to Node 24) corepack; pnpm and newer Yarns come through corepack there,
 * and directly where an image has them.
 */
const installCommands: Record<Manager, string> = {
  npm: 'npm ci',
  yarn: 'yarn install --frozen-lockfile',
  'yarn-berry': 'yarn install --immutable',
  'yarn-corepack': 'corepack yarn install --immutable',
  pnpm: '$(command -v pnpm || echo corepack pnpm) install --frozen-lockfile',
};

const lockfiles: readonly (readonly [string, 'npm' | 'yarn' | 'pnpm'])[] = [
  ['package-lock.json', 'npm'],
  ['npm-shrinkwrap.json', 'npm'],
  ['yarn.lock', 'yarn'],
  ['pnpm-lock.yaml', 'pnpm'],
];

function packageManager(folder: string, packageJson: PackageJson, has: (name: string) => boolean): Manager {
  const found = lockfiles.filter(([file]) => has(file));
  const [declaredName, declaredVersion] = (packageJson.packageManager ?? '').split('@');
  const managers = [...new Set(found.map(([, manager]) => manager))];
  const manager = managers.find((candidate) => candidate === declaredName) ?? managers[0];
  if (manager === undefined) {
    throw new UserError(`the client folder ${folder} has no lockfile`, {
      remedy: `Commit one of ${lockfiles.map(([file]) => file).join(', ')} there, or set "client": {"install": "…"} in flight-launch.json.`,
    });
  }
  if (managers.length > 1 && manager !== declaredName) {
    throw new UserError(
      `the client folder ${folder} has several lockfiles: ${found.map(([file]) => file).join(', ')}`,
      {
        remedy: 'Keep one, or name the package manager in the `packageManager` field of package.json.',
      },
    );
  }
  if (manager !== 'yarn') return manager;
  const declaredMajor = declaredName === 'yarn' ? Number.parseInt(declaredVersion ?? '', 10) : 1;
  if (has('.yarnrc.yml')) return declaredMajor > 1 ? 'yarn-corepack' : 'yarn-berry';
  return declaredMajor > 1 ? 'yarn-corepack' : 'yarn';
}

interface PackageJson {
  scripts: Readonly<Record<string, unknown>>;
  packageManager: string | undefined;
  engine: string | undefined;
}

const noPackage: PackageJson = { scripts: {}, packageManager: undefined, engine: undefined };

function readPackageJson(client: Configuration['client'], text: string | undefined): PackageJson {
  const path = `${client.folder}/package.json`;
  if (text !== undefined) return parsePackageJson(path, text);
  // A client of another tool than npm, whose commands the repository names.
  if (client.install !== undefined && client.build !== undefined) return noPackage;
  throw new UserError(`there is no ${path}`, {
    remedy:
      'Commit it, or say in flight-launch.json where the client is, "client": {"folder": "…"}, or how it is installed and built without one: "client": {"install": "…", "build": "…"}.',
  });
}

function parsePackageJson(path: string, text: string): PackageJson {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new UserError(
      `${path} is not valid JSON: ${error instanceof Error ? printable(error.message) : ''}`,
      {
        remedy: 'Mend it, commit and push again.',
      },
    );
  }
  const root = record(parsed);
  const manager = root.packageManager;
  const engine = record(root.engines).node;
  return {
    scripts: record(root.scripts),
    packageManager: typeof manager === 'string' ? manager : undefined,
    engine: typeof engine === 'string' ? engine : undefined,
  };
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function nodeVersion(folder: string, manifests: ClientManifests, { engine }: PackageJson): string {
  const file =
    manifests.nvmrc === undefined
      ? ([`${folder}/.node-version`, manifests.nodeVersionFile] as const)
      : ([`${folder}/.nvmrc`, manifests.nvmrc] as const);
  if (file[1] !== undefined) return versionFromFile(file[0], file[1]);
  if (engine === undefined) return defaultNode;
  return versionFromRange(`${folder}/package.json`, engine);
}

function versionFromFile(path: string, text: string): string {
  const wanted = text.replace(/#.*/g, '').trim();
  const version = /^v?(\d{1,3}(?:\.\d{1,3}){0,2})$/.exec(wanted)?.[1];
  if (version !== undefined) return version;
  if (wanted === 'node' || wanted === 'stable' || wanted === 'lts/*') return defaultNode;
  const codename = codenames.get(wanted.replace(/^lts\//, '').toLowerCase());
  if (codename !== undefined) return codename;
  throw new UserError(`${path} names no Node version that is known here: ${printable(wanted, 40)}`, {
    remedy:
      'Write a version such as `22` or `22.11.0`, or name the image in flight-launch.json: "client": {"image": "…"}.',
  });
}

function versionFromRange(path: string, range: string): string {
  const lowest = semver.validRange(range) === null ? null : semver.minVersion(range);
  if (lowest === null) {
    throw new UserError(`engines.node in ${path} is not a version range: ${printable(range, 40)}`, {
      remedy: 'Write one such as `>=22`, or name the image in flight-launch.json: "client": {"image": "…"}.',
    });
  }
  // An image tag such as `22` stands for the newest 22.x.y, so a major fits where the range reaches its end.
  const fits = (major: string) => semver.satisfies(`${major}.999.999`, range);
  if (fits(defaultNode)) return defaultNode;
  return nodeMajors.findLast(fits) ?? lowest.version;
}

const installNames =
  /(?:^|\/)(?:package\.json|package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|pnpm-workspace\.yaml|\.pnpmfile\.c?js|\.npmrc|\.yarnrc|\.yarnrc\.yml)$/;
const yarnFolders = /(?:^|\/)\.yarn\/(?:releases|plugins|patches)\//;

function isInstallFile(entry: TreeEntry, client: Configuration['client']): boolean {
  const declared = client.installInputs.some((path) =>
    isInside(entry.path, normalizePath(posix.join(client.folder, path))),
  );
  if (declared) return true;
  if (!isInside(entry.path, client.folder) || /(?:^|\/)node_modules\//.test(entry.path)) return false;
  return installNames.test(entry.path) || yarnFolders.test(entry.path);
}

function refuseSubmodules(entries: readonly TreeEntry[]): void {
  const submodule = entries.find((entry) => entry.type === 'commit');
  if (submodule === undefined) return;
  throw new UserError(
    `${printable(submodule.path)} is a git submodule, whose files are not part of the push`,
    {
      remedy: 'Commit the files themselves, or install them as a dependency.',
    },
  );
}
