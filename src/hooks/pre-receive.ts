import { buildName, type BuildRecord, type DeployNote } from '../domain/build';
import type { Artifact, ClientBuild } from '../domain/client-build';
import { clientKey, installHash, valueDigest } from '../domain/client-key';
import { inspectClient } from '../domain/client-project';
import { configurationFile, type Configuration } from '../domain/configuration';
import { childEnvironment } from '../domain/environment';
import { UserError } from '../domain/errors';
import { normalizePath, printable } from '../domain/paths';
import type { Services, Source, TreeEntry } from '../domain/ports';
import { effectiveSettings, type Settings } from '../domain/settings';
import { formatAge } from '../domain/units';
import { readVersion, versionFiles } from '../domain/version-file';
import { callerOf } from '../operations/caller';
import { readConfiguration, readText } from '../operations/configuration';

const maxManifestBytes = 4 * 1024 * 1024;

/**
 * Dokku's `core-post-extract APP WD REV`: the one place where a failure stops a deploy before anything happened (H1).
 * Builds the client or takes the stored one, and places it in the work tree, which is the server folder by now (H2).
 */
export async function preReceive(services: Services, args: readonly string[]): Promise<void> {
  const [app, workTree, commit] = args;
  if (app === undefined || workTree === undefined || commit === undefined) {
    throw new Error(`core-post-extract takes APP, WD and REV, not ${JSON.stringify(args)}`);
  }
  const pipeline = await services.store.pipelineOf(app);
  if (pipeline === undefined) return;
  const note = await openNote(services, pipeline, app, workTree, commit);
  try {
    const record = await prepare(services, pipeline, note);
    await services.store.saveBuild(pipeline, record);
    await services.store.saveNote({ ...note, placed: true });
  } catch (error) {
    // The log of a failed build stays; nothing else of it does.
    await services.store.removeNote(app);
    throw error;
  }
}

/** Claims a name for this deploy and notes what its later hooks need. */
async function openNote(
  { store, env, clock, processes }: Services,
  pipeline: string,
  app: string,
  workTree: string,
  commit: string,
): Promise<DeployNote> {
  const pid = Number(env.DOKKU_PID ?? process.ppid);
  const buildId = env.DOKKU_BUILD_ID ?? `pid-${String(pid)}`;
  const taken = new Set(await store.buildNames(pipeline));
  const note: DeployNote = {
    format: 1,
    app,
    build: buildName(app, buildId, (name) => taken.has(name)),
    buildId,
    workTree,
    commit,
    process: await processes.identify(pid),
    startedAt: clock.now(),
    placed: false,
    env: { ...childEnvironment(env) },
  };
  await store.saveNote(note);
  return note;
}

async function prepare(services: Services, pipelineName: string, note: DeployNote): Promise<BuildRecord> {
  const { store, terminal, locks } = services;
  const pipeline = await store.pipeline(pipelineName);
  const settings = effectiveSettings(pipeline.settings);
  const source = services.source(note.app, note.commit);
  const configuration = await readConfiguration(source);
  await checkServerFolder(services, source, configuration, note);
  const plan = await planClient(services, pipelineName, note, source, configuration, settings);

  terminal.step(`flight-launch: build ${note.build} of pipeline ${pipelineName}`);
  const artifact = await locks.artifact(pipelineName, plan.key, `build ${note.build}`, async () => {
    const made =
      (await stored(services, pipelineName, plan)) ?? (await build(services, pipelineName, plan, source));
    await place(services, pipelineName, configuration, note.workTree, plan.key);
    return made;
  });
  await services.workTree.keep(
    await source.archive([configuration.server.folder]),
    store.serverTreePath(pipelineName, note.build),
  );
  const version = await versionOf(source, configuration);
  return {
    format: 1,
    name: note.build,
    app: note.app,
    commit: note.commit,
    ...(version === undefined ? {} : { version }),
    by: callerOf(services),
    startedAt: note.startedAt,
    client: {
      folder: plan.folder,
      key: plan.key,
      sha256: artifact.sha256,
      installHash: plan.install.hash,
      env: Object.fromEntries(
        configuration.client.env.map((name) => {
          const value = plan.env[name];
          return [name, value === undefined ? null : valueDigest(value)];
        }),
      ),
    },
    server: configuration.server,
    live: {},
  };
}

/** Undefined where no version file can be read: what is only shown stops no deploy. */
async function versionOf(source: Source, configuration: Configuration): Promise<string | undefined> {
  const files = versionFiles(configuration);
  const entries = await source.entries(files.map(({ path }) => path));
  for (const file of files) {
    const entry = entries.find(({ path }) => path === file.path);
    if (entry?.mode !== '100644' && entry?.mode !== '100755') continue;
    const text = await source.read(entry, maxManifestBytes).then(String, ignoreUserError);
    const version = text === undefined ? undefined : readVersion(file, text);
    if (version !== undefined) return version;
  }
  return undefined;
}

function ignoreUserError(error: unknown): undefined {
  if (!(error instanceof UserError)) throw error;
}

/** Dokku has put build-dir in place of the repository by now, so it has to be what the repository calls its server. */
async function checkServerFolder(
  { dokku }: Services,
  source: Source,
  { server }: Configuration,
  { app }: DeployNote,
): Promise<void> {
  const folder = await source.entry(server.folder);
  if (folder?.type !== 'tree') {
    throw new UserError(`the pushed commit has no server folder ${server.folder}`, {
      remedy: `Name the server's folder in ${configurationFile}: "server": {"folder": "…"}.`,
    });
  }
  const buildDir = await dokku.buildDir(app);
  if (normalizePath(buildDir === '' ? '.' : buildDir) === server.folder) return;
  throw new UserError(
    `Dokku builds ${buildDir === '' ? 'the whole repository' : buildDir} of ${app}, not its server folder ${server.folder}`,
    {
      remedy: `Run \`dokku builder:set ${app} build-dir${server.folder === '.' ? '' : ` ${server.folder}`}\` and push again.`,
    },
  );
}

async function planClient(
  services: Services,
  pipeline: string,
  note: DeployNote,
  source: Source,
  configuration: Configuration,
  settings: Settings,
): Promise<ClientBuild> {
  const { client } = configuration;
  const folder = await clientFolder(source, client.folder);
  const installInputs = client.installInputs.map((path) => normalizePath(`${client.folder}/${path}`));
  const entries = await source.entries([client.folder, ...installInputs]);
  const text = (name: string) =>
    readText(
      source,
      entries.find((entry) => entry.path === `${client.folder}/${name}`),
      maxManifestBytes,
    );
  const project = inspectClient(configuration, entries, {
    packageJson: await text('package.json'),
    nvmrc: await text('.nvmrc'),
    nodeVersionFile: await text('.node-version'),
  });
  const inputs = await Promise.all(client.inputs.map((path) => inputEntry(source, path)));
  const reference =
    client.image ??
    (settings.clientImage ?? 'node:{version}-slim').replaceAll('{version}', project.nodeVersion);
  const imageId = await services.clientBuilder(pipeline).resolveImage(reference);
  const env = client.env.length === 0 ? {} : pick(await services.dokku.config(note.app), client.env);
  const output = client.output === undefined ? ['dist', 'build'] : [client.output];
  return {
    pipeline,
    build: note.build,
    key: clientKey({
      folder: { path: client.folder, tree: folder.id },
      inputs,
      imageId,
      installCommand: project.installCommand,
      buildCommand: project.buildCommand,
      output,
      env,
      network: client.network,
    }),
    image: { reference, id: imageId },
    folder: client.folder,
    inputs: client.inputs,
    install: {
      command: project.installCommand,
      hash: installHash({
        folder: client.folder,
        imageId,
        installCommand: project.installCommand,
        files: project.installFiles,
      }),
      files: project.installFiles.map((entry) => entry.path),
    },
    command: project.buildCommand,
    output,
    env,
    network: client.network,
    limits: {
      memory: settings.memory,
      cpus: settings.cpus,
      processes: settings.processes,
      timeout: settings.buildTimeout,
      output: settings.outputLimit,
      log: settings.logLimit,
    },
    caFile: settings.caFile,
    proxy: settings.proxy,
  };
}

async function clientFolder(source: Source, path: string): Promise<TreeEntry> {
  const entry = await source.entry(path);
  if (entry?.type === 'tree') return entry;
  const problem =
    entry === undefined
      ? `the pushed commit has no client folder ${path}`
      : entry.mode === '120000'
        ? `the client folder ${path} is a symbolic link`
        : entry.type === 'commit'
          ? `the client folder ${path} is a git submodule, whose files are not part of the push`
          : `the client folder ${path} is a file`;
  throw new UserError(problem, {
    remedy: `Commit the client there, or name its folder in ${configurationFile}: "client": {"folder": "…"}.`,
  });
}

async function inputEntry(source: Source, path: string): Promise<TreeEntry> {
  const entry = await source.entry(path);
  if (entry !== undefined) return entry;
  throw new UserError(`the pushed commit has no ${path}, which client.inputs names`, {
    remedy: `Commit it, or take it out of ${configurationFile}.`,
  });
}

function pick(all: Readonly<Record<string, string>>, names: readonly string[]): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const name of names) {
    const value = all[name];
    if (value !== undefined) picked[name] = value;
  }
  return picked;
}

/** The artifact of an earlier build, if there is one and it is whole. */
async function stored(
  services: Services,
  pipeline: string,
  { key }: ClientBuild,
): Promise<Artifact | undefined> {
  const { store, terminal, clock } = services;
  const record = await store.artifact(pipeline, key);
  if (record === undefined) return undefined;
  if (!(await store.artifactIntact(pipeline, record))) {
    terminal.warn('The stored client is damaged and is built again.');
    return undefined;
  }
  terminal.step(`Client unchanged: taking the one built ${formatAge(clock.now(), record.builtAt)}`);
  return record;
}

async function build(
  services: Services,
  pipeline: string,
  plan: ClientBuild,
  source: Source,
): Promise<Artifact> {
  const { store, terminal, clock } = services;
  const started = clock.now();
  const aside = store.partialArtifactPath(pipeline, plan.build);
  return store.withLog(pipeline, plan.build, async (log) => {
    const artifact = await services.clientBuilder(pipeline).build(plan, source, aside, (line) => {
      log(line);
      terminal.detail(line);
    });
    await store.saveArtifact(
      pipeline,
      { format: 1, key: plan.key, ...artifact, builtAt: clock.now(), durationMs: clock.now() - started },
      aside,
    );
    return artifact;
  });
}

async function place(
  services: Services,
  pipeline: string,
  { server }: Configuration,
  workTree: string,
  key: string,
): Promise<void> {
  const { terminal, store } = services;
  const replaced = await services.workTree.place(store.artifactPath(pipeline, key), workTree, server.public);
  terminal.step(`Client placed in ${normalizePath(`${server.folder}/${server.public}`)}`);
  const shown = replaced.slice(0, 10).map((path) => printable(path));
  if (replaced.length > shown.length) shown.push(`and ${String(replaced.length - shown.length)} more`);
  if (shown.length > 0) terminal.detail(`instead of the committed ${shown.join(', ')}`);
}
