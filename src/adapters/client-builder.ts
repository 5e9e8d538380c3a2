import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { checkTree, maxEntries, type ArchiveRules } from '../domain/archive-rules';
import { BuildFailure, explainFailure, type Stopped } from '../domain/build-failure';
import type { Artifact, ClientBuild } from '../domain/client-build';
import * as plans from '../domain/container-plan';
import { shortage, type Shortage } from '../domain/disk-room';
import { ProcessError, UserError } from '../domain/errors';
import { printable } from '../domain/paths';
import type { ClientBuilder, Clock, Source, TarSource, Terminal } from '../domain/ports';
import { ArchiveCut } from '../domain/tar-format';
import { freeSpace, isDiskFull } from '../domain/host-failure';
import { formatBytes } from '../domain/units';
import { systemClock } from './clock';
import type { DockerEngine } from './docker';
import { LogLines } from './log-lines';
import { readTar, streamOf, TarWriter, withoutLfsPointers } from './tar';

/** Lines kept of a phase, to find out why it failed. */
const keptLines = 100;
/** Sources come from git, which has no such limit; it stops what would never end. */
const maxSourceBytes = 64 * 1024 ** 3;
const maxCaBytes = 4 * 1024 ** 2;
/** Milliseconds between two looks at the free disk; one look costs some microseconds. */
const roomInterval = 500;

/** Builds clients in containers of the local or remote Docker engine that `docker` talks to. */
export class ContainerClientBuilder implements ClientBuilder {
  /** @param signal aborted when we are told to end: the container is removed, and the build fails */
  constructor(
    private readonly docker: DockerEngine,
    private readonly terminal: Terminal,
    private readonly clock: Clock = systemClock,
    private readonly signal?: AbortSignal,
  ) {}

  async resolveImage(reference: string): Promise<string> {
    try {
      const found = await this.docker.image(reference);
      if (found !== undefined) return found.id;
      await this.terminal.timed(`Fetching the image ${printable(reference)}`, () =>
        this.docker.run(['pull', '--quiet', '--', reference], this.#abortable()),
      );
      const pulled = await this.docker.image(reference);
      if (pulled !== undefined) return pulled.id;
      throw new Error(`docker pulled ${reference} and does not know it`);
    } catch (error) {
      if (!(error instanceof ProcessError)) throw error;
      throw new UserError(`The image ${printable(reference)} to build the client with cannot be had`, {
        remedy:
          'Correct "client": {"image": "…"} in flight-launch.json, or flight-launch:set NAME client-image where the repository names none; or load it with `docker pull` on the host.',
        details: error.failure.stderr
          .trim()
          .split('\n')
          .map((line) => printable(line)),
        cause: error,
      });
    }
  }

  /** The caller holds the lock of the plan's key. */
  async build(
    plan: ClientBuild,
    source: Source,
    target: string,
    log: (line: string) => void,
  ): Promise<Artifact> {
    await this.sweep(plan.pipeline, plan.key);
    const inputs = [plan.folder, ...plan.inputs];
    checkTree(await source.entries(inputs), plan.folder);

    const dependencies = await this.#installed(plan, source, log);
    const label = `Building the client (${printable(plan.command)})`;
    return this.#twice(label, log, () =>
      this.#phase({ plan, phase: 'build', image: dependencies, source, files: inputs, log }, (container) =>
        this.#collect(plan, container, target),
      ),
    ).then((artifact) => {
      this.terminal.detail(
        `${artifact.files} files, ${formatBytes(artifact.bytes)}, from ${artifact.output}`,
      );
      return artifact;
    });
  }

  /**
   * Removes containers that a killed process left.
   * @param key of the artifact whose lock the caller holds, if any
   */
  async sweep(pipeline: string, key?: string): Promise<void> {
    const listed = await this.docker.run(plans.listContainers(pipeline), this.#abortable());
    const left = plans.leftContainers(listed, key, this.clock.now());
    if (left.length > 0) await this.docker.run(plans.removeContainers(left));
  }

  /** Id of the image with the installed dependencies. */
  async #installed(plan: ClientBuild, source: Source, log: (line: string) => void): Promise<string> {
    const kept = await this.docker.image(plans.installImage(plan));
    if (kept !== undefined) {
      this.terminal.step(`Dependencies unchanged, reusing ${plans.installImage(plan)}`);
      return kept.id;
    }
    const label = `Installing dependencies (${printable(plan.install.command)})`;
    return this.#twice(label, log, () =>
      this.#phase(
        { plan, phase: 'install', image: plan.image.id, source, files: plan.install.files, log },
        async (container) => (await this.docker.run(plans.commitContainer(plan, container))).trim(),
      ),
    );
  }

  /** The process that this replaces failed at random and never twice in a row, so one repeat is worth its time. */
  async #twice<T>(label: string, log: (line: string) => void, work: () => Promise<T>): Promise<T> {
    try {
      return await this.terminal.timed(label, work);
    } catch (error) {
      if (!(error instanceof BuildFailure && error.repeatable)) throw error;
      log(`${error.message}; trying once more`);
      return this.terminal.timed(`${label}, once more`, work);
    }
  }

  /** Runs one phase in a container of its own, which is gone afterwards whatever happens. */
  async #phase<T>(work: PhaseWork, use: (container: string) => Promise<T>): Promise<T> {
    const { plan, phase, image } = work;
    const short = await this.#makeRoom(plan);
    if (short !== undefined) throw explainFailure(plan, phase, short, []);
    await this.docker.run(plans.createVolume(plan), this.#abortable());
    const container = (
      await this.docker.run(plans.createContainer(plan, phase, image, this.clock.now()), this.#abortable())
    ).trim();
    let result: T;
    try {
      await this.#copyIn(work, container);
      await this.#run(work, container);
      result = await use(container);
    } catch (error) {
      // What went wrong first is what counts; a container that stays is swept by a later build.
      await this.docker.run(plans.removeContainers([container])).catch((second: unknown) => {
        this.terminal.warn(`A container could not be removed: ${String(second)}`);
      });
      await this.#makeRoom(plan).catch(() => undefined);
      throw this.signal?.aborted === true
        ? new UserError('The build of the client was stopped', { cause: error })
        : error;
    }
    await this.docker.run(plans.removeContainers([container]));
    return result;
  }

  /**
   * Where the disk has too little room, the pipeline's cache goes: it may be what fills the disk, and is only there to
   * save time. A cache that another build is using stays.
   * @returns what there is too little of still
   */
  async #makeRoom({ pipeline }: ClientBuild): Promise<Shortage | undefined> {
    if (shortage(await this.docker.room()) === undefined) return undefined;
    await this.docker.removeVolume(plans.cacheVolume(pipeline)).catch((error: unknown) => {
      if (!(error instanceof ProcessError)) throw error;
    });
    return shortage(await this.docker.room());
  }

  async #copyIn(work: PhaseWork, container: string): Promise<void> {
    let problem: unknown;
    const watched = async function* (): AsyncGenerator<Buffer> {
      try {
        yield* workspaceTar(work);
      } catch (error) {
        problem = error;
        throw error;
      }
    };
    try {
      await this.docker.run(plans.copyIn(container), {
        input: streamOf(watched()),
        ...this.#abortable(),
      });
    } catch (error) {
      throw problem ?? error;
    }
  }

  async #run({ plan, phase, log }: PhaseWork, container: string): Promise<void> {
    const child = this.docker.stream(plans.startContainer(container), {
      input: plans.environmentScript(plans.phaseEnvironment(plan, phase)),
      ...this.#abortable(),
    });
    let stopped: Stopped | undefined;
    // Removing the container, which follows, ends what runs in it.
    const stop = (why: Stopped): void => {
      stopped ??= why;
      child.kill('SIGKILL');
    };
    const timer = setTimeout(stop, plan.limits.timeout * 1000, 'timeout');
    // No storage driver limits all that a container writes: what is free of the disk is looked at instead.
    const watch = setInterval(() => {
      this.docker.room().then(
        (room) => {
          const short = shortage(room);
          if (short !== undefined) stop(short);
        },
        // That nobody can tell is no reason to end a build.
        () => undefined,
      );
    }, roomInterval);
    const kept: string[] = [];
    let bytes = 0;
    const lines = new LogLines((line) => {
      kept.push(line);
      if (kept.length > keptLines) kept.shift();
      log(line);
    }, plans.proxySecrets(plan.proxy));
    let refused: ProcessError | undefined;
    try {
      child.stderr.resume();
      for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > plan.limits.log) stop('log');
        if (stopped === undefined) lines.write(chunk);
      }
      lines.end();
      await child.done;
    } catch (error) {
      // That a command fails is what its container's state tells; a Docker that does not answer is told at once.
      if (!(error instanceof ProcessError)) throw error;
      if (error.failure.stderr.includes('Error response from daemon')) refused = error;
    } finally {
      clearTimeout(timer);
      clearInterval(watch);
    }
    this.signal?.throwIfAborted();
    if (stopped !== undefined) throw explainFailure(plan, phase, stopped, kept);
    if (refused !== undefined) {
      throw new BuildFailure('The container of the client build could not be started', true, {
        remedy: 'See what the Docker engine says about it.',
        details: [printable(refused.failure.stderr.trim(), 1000)],
        cause: refused,
      });
    }
    const state = plans.parseState(await this.docker.run(plans.inspectState(container)));
    if (state.running) {
      throw new BuildFailure('The connection to the container of the client build was lost', true, {
        remedy: 'See whether the Docker engine was restarted, and push again.',
      });
    }
    if (state.exitCode !== 0) throw explainFailure(plan, phase, state, kept);
  }

  /** Writes the first output folder that is there to `target` as an artifact. */
  async #collect(plan: ClientBuild, container: string, target: string): Promise<Artifact> {
    for (const output of plan.output) {
      const found = await this.#collectFrom(plan, container, output, target);
      if (found !== undefined) return found;
    }
    throw new UserError(
      `The build left no output: there is no ${plan.output.map((output) => `${printable(plan.folder)}/${printable(output)}`).join(' and no ')}`,
      { remedy: 'Name the folder that it writes: "client": {"output": "…"} in flight-launch.json.' },
    );
  }

  async #collectFrom(
    plan: ClientBuild,
    container: string,
    output: string,
    target: string,
  ): Promise<Artifact | undefined> {
    const shown = `the built client (${printable(plan.folder)}/${printable(output)})`;
    const rules: ArchiveRules = {
      subject: shown,
      remedy: 'Let the build leave plain files and folders, and links only to what is among them.',
      root: plans.outputRoot(plan, output),
      maxEntries,
      maxBytes: plan.limits.output,
      sizeRemedy: `Make it smaller, or raise the limit: flight-launch:set ${plan.pipeline} output-limit VALUE`,
    };
    const child = this.docker.stream(plans.copyOut(plan, container, output), this.#abortable());
    child.stderr.resume();
    const hash = createHash('sha256');
    let bytes = 0;
    let files = 0;
    const artifact = async function* (): AsyncGenerator<Buffer> {
      const writer = new TarWriter({ uid: 0, gid: 0 });
      for await (const { entry, content } of readTar(child.stdout, rules)) {
        if (entry.kind === 'file' || entry.kind === 'hardlink') files += 1;
        yield* writer.entry(entry, content);
      }
      await child.done;
      yield* writer.end();
    };
    const measured = async function* (): AsyncGenerator<Buffer> {
      for await (const chunk of artifact()) {
        hash.update(chunk);
        bytes += chunk.length;
        yield chunk;
      }
    };
    try {
      await pipeline(streamOf(measured()), createWriteStream(target, { mode: 0o600, flush: true }));
      if (files === 0) {
        throw new UserError(`${capital(shown)} is empty`, {
          remedy:
            'See why the build wrote nothing, or name the folder that it writes: "client": {"output": "…"} in flight-launch.json.',
        });
      }
    } catch (error) {
      child.kill('SIGKILL');
      await rm(target, { force: true });
      const cause = await firstCause(error, child.done);
      if (cause instanceof ProcessError && plans.isNothingThere(cause.failure.stderr)) return undefined;
      throw isDiskFull(cause) ? diskFull(cause) : cause;
    }
    return { sha256: hash.digest('hex'), bytes, files, output };
  }

  #abortable(): { signal?: AbortSignal } {
    return this.signal === undefined ? {} : { signal: this.signal };
  }
}

interface PhaseWork {
  plan: ClientBuild;
  phase: plans.Phase;
  /** Id of the image that the container starts from. */
  image: string;
  source: Source;
  /** Paths in the repository that the phase gets. */
  files: readonly string[];
  log: (line: string) => void;
}

/** The tar that fills a container's workspace, all of it owned by the build user. */
async function* workspaceTar({ plan, phase, source, files }: PhaseWork): AsyncGenerator<Buffer> {
  const system = new TarWriter(plans.buildUser);
  yield* system.folder(plans.paths.home);
  yield* system.folder(plans.paths.cache);
  if (phase === 'install') yield* system.file(plans.paths.pnpmSettings, Buffer.from(plans.pnpmSettings));
  if (plan.caFile !== undefined && plans.hasNetwork(plan, phase)) {
    yield* system.file(plans.paths.caFile, await readCa(plan.caFile));
  }
  const sources = new TarWriter(plans.buildUser, plans.paths.workspace);
  // Docker made the working folder with the container, as root.
  yield* sources.folder(plan.folder === '.' ? '' : plan.folder);
  if (files.length > 0) yield* sourceEntries(sources, await source.archive(files), plan.folder);
  yield* sources.end();
}

async function* sourceEntries(writer: TarWriter, archive: TarSource, folder: string): AsyncGenerator<Buffer> {
  const rules: ArchiveRules = {
    subject: `the client's sources (${printable(folder)})`,
    remedy: 'Rename or remove it in the repository.',
    maxEntries,
    maxBytes: maxSourceBytes,
    sizeRemedy: 'Keep large files out of the folders that the client is built from.',
  };
  let arrived = 0;
  try {
    for await (const item of readTar(archive.stream, rules)) {
      if (item.entry.kind !== 'folder') arrived += 1;
      yield* writer.entry(item.entry, withoutLfsPointers(item));
    }
    await archive.done;
  } catch (error) {
    throw await firstCause(error, archive.done);
  }
  if (arrived !== archive.expected) {
    throw new UserError(`Only ${arrived} of ${archive.expected} files of the client's sources arrived`, {
      remedy: 'Push again.',
    });
  }
}

/**
 * An archive that was cut is a consequence where its producer failed by itself. A rule that it breaks is none: then the
 * producer fails because nobody reads on.
 */
async function firstCause(error: unknown, producer: Promise<void>): Promise<unknown> {
  if (error instanceof UserError && !(error instanceof ArchiveCut)) return error;
  try {
    await producer;
    return error;
  } catch (failure) {
    const follows =
      failure instanceof ProcessError &&
      ((failure.failure.exitCode ?? 0) === 0 ||
        /write \/dev\/stdout|broken pipe/i.test(failure.failure.stderr));
    return follows ? error : failure;
  }
}

async function readCa(path: string): Promise<Buffer> {
  const remedy = 'Correct it: flight-launch:set NAME ca-file PATH';
  let content: Buffer;
  try {
    content = await readFile(path);
  } catch (cause) {
    throw new UserError(`The CA file ${printable(path)} cannot be read`, { remedy, cause });
  }
  if (content.length > maxCaBytes || !content.includes('-----BEGIN CERTIFICATE-----')) {
    throw new UserError(`The CA file ${printable(path)} holds no certificates in PEM format`, { remedy });
  }
  return content;
}

function diskFull(cause: unknown): UserError {
  return new UserError('The disk is full: the built client could not be stored', {
    remedy: `${freeSpace} and push again.`,
    cause,
  });
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
