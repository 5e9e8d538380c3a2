import { z } from 'zod';
import { UserError } from './errors';
import { describeValue, isInside, normalizePath, printable } from './paths';

/** The repository's own settings file, at the root of the monorepo. */
export const configurationFile = 'flight-launch.json';

/** More than this is no settings file. */
export const maxConfigurationBytes = 64 * 1024;

const environmentName = /^[A-Za-z_][A-Za-z0-9_]*$/;
const relativePath = /^(?![/-])(?!(?:.*\/)?\.\.(?:\/|$))[^\u0000-\u001f\u007f\\]+$/;
const imageReference = /^[a-z0-9][A-Za-z0-9._/:@-]*$/;

const folder = (allowed: string) =>
  z.string({ error: allowed }).regex(relativePath, { error: allowed }).transform(normalizePath);
const subfolder = (allowed: string) => folder(allowed).refine((path) => path !== '.', { error: allowed });
const command = z
  .string({ error: 'a shell command' })
  .regex(/^[^\0]*[^\s\0][^\0]*$/, { error: 'a shell command' })
  .max(4096, { error: 'a shell command of at most 4096 characters' });
const anyPath = (allowed: string) =>
  z
    .string({ error: allowed })
    .regex(/^(?![/-])[^\u0000-\u001f\u007f\\]+$/, { error: allowed })
    .transform(normalizePath);

const plain = 'without a leading `/` or `-`, and without `..`, `\\` and control characters';
const inRepository = `a path inside the repository, ${plain}`;
const jsonPointer = 'a JSON pointer such as `/version`';
const onePattern = 'a regular expression with exactly one group';

const clientFolder = subfolder(`a subfolder of the repository, ${plain}`).default('client');
const serverFolder = folder(`${inRepository}; \`.\` for the whole repository`).default('server');
const installInput = anyPath(
  'a path relative to the client that stays inside the repository, without a leading `/` or `-`',
);

const variable = z
  .string({ error: 'the name of an environment variable' })
  .regex(environmentName, { error: 'the name of an environment variable' })
  .refine((name) => !['PATH', 'HOME', 'CI'].includes(name), {
    error: 'a variable other than PATH, HOME and CI, which the build container sets itself',
  });

const versionFile = z.union(
  [
    subfolder(inRepository),
    z.strictObject({
      file: subfolder(inRepository),
      pointer: z.string({ error: jsonPointer }).regex(/^(?:\/(?:[^~/]|~[01])*)+$/, { error: jsonPointer }),
    }),
    z.strictObject({
      file: subfolder(inRepository),
      pattern: z.string({ error: onePattern }).refine(hasOneGroup, { error: onePattern }),
    }),
  ],
  {
    error: `a path, or an object with \`file\` and \`pointer\` (${jsonPointer}), or with \`file\` and \`pattern\` (${onePattern})`,
  },
);

const schema = z
  .strictObject(
    {
      $schema: z
        .string({ error: 'the address of a JSON Schema' })
        .optional()
        .meta({ description: 'For editors; flight-launch does not read it.' }),
      client: z
        .strictObject(
          {
            folder: clientFolder.meta({ description: 'Folder of the client in the repository.' }),
            image: z
              .string({ error: 'a Docker image such as `node:22-slim`' })
              .regex(imageReference, { error: 'a Docker image such as `node:22-slim`' })
              .optional()
              .meta({
                description:
                  'Image that the client is built in. Default: Node of the version that the project names.',
              }),
            install: command
              .optional()
              .meta({ description: 'Installs dependencies, with network. Default: from the lockfile.' }),
            build: command
              .optional()
              .meta({ description: 'Builds the client. Default: the script `build`.' }),
            output: subfolder(`a subfolder of the client, ${plain}`).optional().meta({
              description: 'What the build leaves, relative to the client. Default: `dist` or `build`.',
            }),
            env: z
              .array(variable, { error: 'a list of names of environment variables' })
              .default([])
              .meta({ description: "Variables of the app's Dokku configuration that the build may read." }),
            inputs: z
              .array(subfolder(inRepository), { error: 'a list of paths inside the repository' })
              .default([])
              .meta({ description: 'Other paths of the repository that the build reads.' }),
            installInputs: z
              .array(installInput, { error: 'a list of paths relative to the client' })
              .default([])
              .meta({ description: 'More that the install phase needs, relative to the client.' }),
            network: z
              .boolean({ error: '`true` or `false`' })
              .default(false)
              .meta({ description: 'Whether the build phase may use the network.' }),
          },
          { error: 'an object' },
        )
        .prefault({}),
      server: z
        .strictObject(
          {
            folder: serverFolder.meta({
              description: "Folder of the server in the repository; the apps' build-dir.",
            }),
            public: subfolder(`a subfolder of the server, ${plain}`)
              .default('public')
              .meta({ description: 'Where the built client is placed, relative to the server.' }),
          },
          { error: 'an object' },
        )
        .prefault({}),
      versionFiles: z.array(versionFile, { error: 'a list of version files' }).optional().meta({
        description:
          'Files that hold the version; a release writes it to all of them, and the first that exists is shown.',
      }),
    },
    { error: 'an object' },
  )
  .meta({ title: 'flight-launch.json', description: 'How flight-launch builds and releases this monorepo.' });

export type Configuration = Omit<z.output<typeof schema>, '$schema'>;

/** The published JSON Schema of `flight-launch.json`, from the same source as the types and the validation. */
export function configurationJsonSchema(): unknown {
  return z.toJSONSchema(schema, { io: 'input' });
}

/**
 * Reads the text of `flight-launch.json`; without one, all defaults.
 * @throws UserError that lists every mistake with its path in the file, what was found and what is allowed
 */
export function parseConfiguration(text: string | undefined): Configuration {
  const file = parseJson(text ?? '{}');
  const result = schema.safeParse(file, { reportInput: true });
  const problems = (result.error?.issues ?? []).flatMap(describeIssue).concat(crossFieldProblems(file));
  if (problems.length > 0 || !result.success) throw configurationError(problems);
  const { $schema: _, ...configuration } = result.data;
  return configuration;
}

function configurationError(problems: readonly string[]): UserError {
  return new UserError(
    `${configurationFile} has ${problems.length === 1 ? 'a mistake' : `${String(problems.length)} mistakes`}`,
    { details: problems, remedy: `Mend ${configurationFile}, commit and push again.`, exit: 2 },
  );
}

function parseJson(text: string): unknown {
  const json = text.startsWith('\uFEFF') ? text.slice(1) : text;
  try {
    return JSON.parse(json) as unknown;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw configurationError([`not valid JSON: ${printable(error.message)}${lineOf(json, error.message)}`]);
  }
}

function lineOf(text: string, message: string): string {
  const position = /at position (\d+)/.exec(message)?.[1];
  if (position === undefined || message.includes('line')) return '';
  return `, line ${String(text.slice(0, Number(position)).split('\n').length)}`;
}

function describeIssue(issue: z.core.$ZodIssue): string[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(
      (key) =>
        `${pathText([...issue.path, key])}: unknown key; allowed here: ${allowedKeys(issue.path).join(', ')}`,
    );
  }
  return [`${pathText(issue.path)}: found ${describeValue(issue.input)}; allowed: ${issue.message}`];
}

function allowedKeys(path: readonly PropertyKey[]): string[] {
  if (path[0] === 'versionFiles') return ['file', 'pointer', 'pattern'];
  const shape =
    path[0] === 'client'
      ? schema.shape.client.def.innerType.shape
      : path[0] === 'server'
        ? schema.shape.server.def.innerType.shape
        : schema.shape;
  return Object.keys(shape).filter((key) => key !== '$schema');
}

function pathText(path: readonly PropertyKey[]): string {
  const text = path
    .map((part) => (typeof part === 'number' ? `[${String(part)}]` : `.${printable(String(part))}`))
    .join('')
    .replace(/^\./, '');
  return text === '' ? '(whole file)' : text;
}

/** A value that is wrong by itself is told already; it is undefined here, and compared with nothing. */
const ifValid = <T extends z.ZodType>(inner: T) => z.union([inner, z.unknown().transform(() => undefined)]);

const compared = z.object({
  client: ifValid(
    z
      .object({
        folder: ifValid(clientFolder),
        env: ifValid(z.array(ifValid(variable)).default([])),
        installInputs: ifValid(z.array(ifValid(installInput)).default([])),
      })
      .prefault({}),
  ),
  server: ifValid(z.object({ folder: ifValid(serverFolder) }).prefault({})),
});

/** Mistakes that only show when values are compared. */
function crossFieldProblems(file: unknown): string[] {
  const { client, server } = compared.safeParse(file).data ?? {};
  const problems: string[] = [];
  const env = (client?.env ?? []).filter((name) => name !== undefined);
  const repeated = env.filter((name, index) => env.indexOf(name) !== index);
  for (const name of new Set(repeated)) {
    problems.push(`client.env: found "${name}" more than once; allowed: each variable once`);
  }
  const folder = client?.folder;
  if (folder === undefined) return problems;
  if (server?.folder !== undefined && isInside(server.folder, folder)) {
    problems.push(
      `server.folder: found "${printable(server.folder)}", which lies in client.folder "${printable(folder)}"; allowed: a folder outside of the client`,
    );
  }
  for (const [index, path] of (client?.installInputs ?? []).entries()) {
    if (path === undefined) continue;
    const resolved = normalizePath(`${folder}/${path}`);
    if (resolved === '..' || resolved.startsWith('../')) {
      problems.push(
        `client.installInputs[${String(index)}]: found "${printable(path)}", which leaves the repository; allowed: a path relative to the client that stays inside`,
      );
    }
  }
  return problems;
}

function hasOneGroup(pattern: string): boolean {
  try {
    return new RegExp(`${pattern}|`, 'u').exec('')?.length === 2;
  } catch {
    return false;
  }
}
