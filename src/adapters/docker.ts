import type { Readable } from 'node:stream';
import { z } from 'zod';
import type { ImageBuild } from '../domain/captured-image';
import type { DiskRoom } from '../domain/disk-room';
import type { ImageLayers } from '../domain/disk-use';
import { hasCode, ProcessError, UserError } from '../domain/errors';
import type { ContainerInfo, Docker, ImageInfo } from '../domain/ports';
import { roomOf } from './files';
import { withoutFiles } from './image-archive';
import { run, stream, type Environment, type Streaming } from './process';
import { streamOf, TarWriter } from './tar';

interface Options {
  input?: Readable | string;
  signal?: AbortSignal | undefined;
}

const image = z.object({
  Id: z.string(),
  Config: z.object({ Labels: z.record(z.string(), z.string()).nullish() }).nullish(),
});

const layeredImage = z.object({
  RepoTags: z.array(z.string()).nullish(),
  Size: z.number(),
  RootFS: z.object({ Layers: z.array(z.string()).nullish() }),
});

const container = z.object({
  Id: z.string(),
  Image: z.string(),
  State: z.object({ Running: z.boolean() }),
  Config: z.object({ Labels: z.record(z.string(), z.string()).nullish() }),
});

/** The Docker engine that the `docker` program talks to. */
export class DockerEngine implements Docker {
  /** Where the engine keeps its data, once that was asked for; undefined where it is on another host. */
  #dataFolder: Promise<string | undefined> | undefined;

  /**
   * @param program name or path, `$DOCKER_BIN`
   * @param env whole environment of the program, `DOCKER_HOST` and the like included
   */
  constructor(
    private readonly program: string,
    private readonly env: Environment,
  ) {}

  /**
   * Runs it and returns what it printed.
   * @throws UserError where the engine does not answer or its disk is full, ProcessError for any other failure
   */
  async run(args: readonly string[], options: Options = {}): Promise<string> {
    try {
      return (await run(this.program, args, this.#options(options))).stdout;
    } catch (error) {
      throw explained(error);
    }
  }

  /** Starts it; `done` rejects like `run`. Both streams have to be drained. */
  stream(args: readonly string[], options: Options = {}): Streaming {
    const child = stream(this.program, args, this.#options(options));
    const done = child.done.catch((error: unknown) => {
      throw explained(error);
    });
    done.catch(() => undefined);
    return { ...child, done };
  }

  async version(): Promise<string> {
    return (await this.run(['version', '--format', '{{.Server.Version}}'])).trim();
  }

  async room(): Promise<DiskRoom | undefined> {
    this.#dataFolder ??= this.#findDataFolder();
    const folder = await this.#dataFolder;
    if (folder === undefined) return undefined;
    try {
      return await roomOf(folder);
    } catch (error) {
      // Also an engine behind a local socket may have files of its own, as in a virtual machine.
      if (hasCode(error, 'ENOENT') || hasCode(error, 'EACCES')) return undefined;
      throw error;
    }
  }

  async image(reference: string): Promise<ImageInfo | undefined> {
    const [found] = await this.#inspect('image', [reference]);
    if (found === undefined) return undefined;
    const { Id, Config } = image.parse(found);
    return { id: Id, labels: Config?.Labels ?? {} };
  }

  async containers(ids: readonly string[]): Promise<ContainerInfo[]> {
    if (ids.length === 0) return [];
    return (await this.#inspect('container', ids)).map((found) => {
      const { Id, Image, State, Config } = container.parse(found);
      return { id: Id, running: State.Running, image: Image, labels: Config.Labels ?? {} };
    });
  }

  async build({ tag, dockerfile, files }: ImageBuild): Promise<string> {
    const context = async function* (): AsyncGenerator<Buffer> {
      const writer = new TarWriter({ uid: 0, gid: 0 });
      yield* writer.file('Dockerfile', Buffer.from(dockerfile));
      for (const { name, content } of files) yield* writer.file(name, content);
      yield* writer.end();
    };
    await this.run(['build', '--quiet', '--tag', tag, '-'], { input: streamOf(context()) });
    const built = await this.image(tag);
    if (built === undefined) throw new Error(`docker build left no image ${tag}`);
    return built.id;
  }

  async imagesOf(repository: string): Promise<string[]> {
    const output = await this.run(['image', 'ls', '--format', '{{.Repository}}:{{.Tag}}', repository]);
    return output.split('\n').filter((reference) => reference !== '' && !reference.endsWith(':<none>'));
  }

  async allImages(): Promise<ImageLayers[]> {
    const ids = await this.run(['image', 'ls', '--all', '--quiet', '--no-trunc']);
    const unique = [...new Set(ids.split('\n').filter((id) => id !== ''))];
    if (unique.length === 0) return [];
    return (await this.#inspect('image', unique)).map((found) => {
      const { RepoTags, Size, RootFS } = layeredImage.parse(found);
      return { references: RepoTags ?? [], size: Size, layers: RootFS.Layers ?? [] };
    });
  }

  async tag(source: string, reference: string): Promise<void> {
    await this.run(['image', 'tag', source, reference]);
  }

  async tagWithout(source: string, unwanted: (path: string) => boolean, reference: string): Promise<void> {
    const saved = this.stream(['image', 'save', source]);
    saved.stderr.resume();
    await withoutFiles(saved.stdout, unwanted, reference, this.env, async (archive) => {
      await saved.done;
      await this.run(['image', 'load', '--quiet'], { input: archive });
    });
  }

  async removeImage(reference: string): Promise<void> {
    await unlessAbsent(this.run(['image', 'rm', reference]));
  }

  async untag(reference: string): Promise<void> {
    await unlessAbsent(this.run(['image', 'rm', '--force', '--no-prune', reference]));
  }

  async running(labels: Readonly<Record<string, string>>): Promise<string[]> {
    const filters = Object.entries(labels).flatMap(([name, value]) => ['--filter', `label=${name}=${value}`]);
    const output = await this.run(['container', 'ls', '--quiet', '--no-trunc', ...filters]);
    return output.split('\n').filter((id) => id !== '');
  }

  async stop(id: string): Promise<void> {
    // In this order: one that is just ending by itself cannot be updated.
    await unlessAbsent(this.run(['container', 'stop', id]));
    await unlessAbsent(this.run(['container', 'update', '--restart=no', id]));
  }

  async removeVolume(name: string): Promise<void> {
    await unlessAbsent(this.run(['volume', 'rm', name]));
  }

  async #findDataFolder(): Promise<string | undefined> {
    const endpoint = await this.run(['context', 'inspect', '--format', '{{.Endpoints.docker.Host}}']);
    if (!endpoint.startsWith('unix://')) return undefined;
    return (await this.run(['info', '--format', '{{.DockerRootDir}}'])).trim();
  }

  /** Those that exist, in the order given. Docker prints them all, then fails for those that it did not find. */
  async #inspect(kind: 'image' | 'container', names: readonly string[]): Promise<unknown[]> {
    const args = [kind, 'inspect', '--', ...names];
    try {
      return z.array(z.unknown()).parse(JSON.parse(await this.run(args)));
    } catch (error) {
      if (!isAbsent(error)) throw error;
      if (names.length === 1) return [];
      return (await Promise.all(names.map((name) => this.#inspect(kind, [name])))).flat();
    }
  }

  #options({ input, signal }: Options) {
    return {
      env: this.env,
      ...(input === undefined ? {} : { input }),
      ...(signal === undefined ? {} : { signal }),
    };
  }
}

async function unlessAbsent(removal: Promise<unknown>): Promise<void> {
  try {
    await removal;
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
}

function isAbsent(error: unknown): boolean {
  return (
    error instanceof ProcessError && /No such (?:image|container|volume|object)/i.test(error.failure.stderr)
  );
}

function explained(error: unknown): unknown {
  if (!(error instanceof ProcessError)) return error;
  const { command, stderr } = error.failure;
  const tell = (problem: string, remedy: string): UserError =>
    new UserError(problem, { remedy, cause: error });
  if (hasCode(error.cause, 'ENOENT') || hasCode(error.cause, 'EACCES')) {
    return tell(
      `Docker cannot be run: ${command[0] ?? ''} could not be started`,
      'Install Docker, or set DOCKER_BIN.',
    );
  }
  if (/permission denied while trying to connect/i.test(stderr)) {
    return tell(
      'Docker cannot be reached: permission denied',
      'Put the user dokku into the group docker: usermod -aG docker dokku',
    );
  }
  if (/Cannot connect to the Docker daemon|error during connect|docker daemon is not running/i.test(stderr)) {
    return tell(
      'Docker does not answer',
      'Start it, for example with `systemctl start docker`, and try again.',
    );
  }
  if (/no space left on device/i.test(stderr)) {
    return tell(
      'The disk is full where Docker keeps its data',
      'Free some space (`flight-launch:prune` removes what is no longer needed) and try again.',
    );
  }
  return error;
}
