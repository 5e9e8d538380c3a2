import { get, succeeded, TestHost, type Result } from './host';
import { Monorepo } from './monorepo';
import { TestUpstream } from './upstream';

/** What a release left behind and has to be the same however it came about. */
export interface Outcome {
  /** Lines `<ref> <tree> <parents' trees>`, of the branches and the tag, without ids that hold a date. */
  refs: string;
  /** What came into the history, a line each. */
  history: string[];
}

/** A pipeline with an upstream: a host, a monorepo pushed to `develop` and `master`, and a deploy key that is let in. */
export class ReleaseWorld {
  readonly staging: string;
  #visited: string | undefined;
  /** Public half, as an authorized_keys file has it. */
  deployKey = '';

  private constructor(
    readonly host: TestHost,
    readonly upstream: TestUpstream,
    readonly repository: Monorepo,
    readonly production: string,
  ) {
    this.staging = `${production}-staging`;
  }

  /** @param name unique among the test files: host, pipeline and production app are called so */
  static async start(name: string): Promise<ReleaseWorld> {
    return ReleaseWorld.onto(await TestHost.start(name), name);
  }

  /** A second one, on the host of the first. */
  static join({ host }: ReleaseWorld, name: string): Promise<ReleaseWorld> {
    return ReleaseWorld.onto(host, name);
  }

  private static async onto(host: TestHost, name: string): Promise<ReleaseWorld> {
    const upstream = await TestUpstream.start(name);
    const repository = await Monorepo.create();
    const world = new ReleaseWorld(host, upstream, repository, name);
    // The client tells its version, as the server does.
    repository.write({ 'client/build.js': `${repository.read('client/build.js')}${tellVersion}` });
    await repository.commit('The client tells its version');
    await repository.git('branch', 'master');
    await repository.git('remote', 'add', 'upstream', upstream.folder);
    await repository.git('push', '--quiet', 'upstream', 'develop', 'master');
    const { output } = await host.must('flight-launch:setup', name, '--upstream', upstream.url);
    world.deployKey = /ssh-ed25519 AAAA\S+/.exec(output)?.[0] ?? '';
    upstream.authorize(world.deployKey);
    await host.must('flight-launch:set', name, 'client-image', 'flight-launch-test/node:20');
    return world;
  }

  /** Removes all that the tests made, the host too. */
  async stop(): Promise<void> {
    await this.host.stop();
    this.leave();
  }

  /** Removes what is not of the host. */
  leave(): void {
    this.repository.remove();
    this.upstream.stop();
  }

  /** `flight-launch:release …` of this pipeline. */
  release(...words: string[]): Promise<Result> {
    return this.host.dokku('flight-launch:release', ...words, '--pipeline', this.production);
  }

  async mustRelease(...words: string[]): Promise<Result> {
    return succeeded(`release ${words.join(' ')}`, await this.release(...words));
  }

  /** Commits what is checked out and pushes it upstream. @returns the commit */
  async commit(
    message: string,
    files: Readonly<Record<string, string | null>>,
    branch = 'develop',
  ): Promise<string> {
    const commit = await this.repository.commit(message, files);
    await this.repository.git('push', '--quiet', 'upstream', `HEAD:refs/heads/${branch}`);
    return commit;
  }

  /** Goes on from what upstream has on a branch. */
  async checkout(branch = 'develop'): Promise<void> {
    await this.repository.git('fetch', '--quiet', '--prune', 'upstream');
    await this.repository.git('checkout', '--quiet', '-B', branch, `upstream/${branch}`);
  }

  /** All refs upstream, a line `<id> <ref>` each. */
  refs(): Promise<string> {
    return this.upstream.git('for-each-ref', '--format=%(objectname) %(refname)');
  }

  /** The steps of a release's journal, in order; none where there is no such release. */
  async steps(version: string): Promise<string[]> {
    const journal = `"$DOKKU_LIB_ROOT/data/flight-launch/pipelines/${this.production}/releases/${version}/journal.ndjson"`;
    const text = await this.host.mustAdmin(`if [ -e ${journal} ]; then cat ${journal}; fi`);
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { step: string }).step);
  }

  /** The page and both versions that production serves. @param output of the command that deployed it, for its address */
  async served(output?: string): Promise<{ page: string; server: string; client: string }> {
    // A release deploys staging first.
    const deployed = output?.slice(output.lastIndexOf('Application deployed:'));
    if (deployed !== undefined) this.#visited = this.host.url(deployed);
    const url = this.#visited;
    if (url === undefined) throw new Error('production was not deployed yet');
    const { version } = JSON.parse((await get(`${url}/version`)).body) as { version: string };
    return {
      page: (await get(url)).body,
      server: version,
      client: (await get(`${url}/client-version.txt`)).body.trim(),
    };
  }

  /** What the release of a version left upstream and in the history, without ids, which hold dates. */
  async outcome(version: string, since: number): Promise<Outcome> {
    const { upstream } = this;
    const show = async (name: string) => {
      const format = '--format=%T %s%n%b';
      const own = await upstream.git('log', '-1', format, name);
      const parents = await upstream.git('log', '-1', '--format=%P', name);
      const trees = await Promise.all(
        parents.split(' ').map((parent) => upstream.git('log', '-1', '--format=%T', parent)),
      );
      return `${name}: ${own} from ${trees.join(' ')}`;
    };
    const refs = await Promise.all(['develop', 'master', `refs/tags/${version}^{commit}`].map(show));
    const names = await upstream.git('for-each-ref', '--format=%(refname) %(objecttype)');
    return { refs: [...refs, names].join('\n'), history: (await this.history()).slice(since) };
  }

  /** The history, a line `<kind> <app> <result>` each. */
  async history(): Promise<string[]> {
    const { stdout } = await this.host.must('flight-launch:history', this.production, '--format', 'json');
    const { entries } = JSON.parse(stdout) as { entries: { kind: string; app: string; result: string }[] };
    return entries.map(({ kind, app, result }) => `${kind} ${app} ${result}`);
  }
}

const tellVersion = `
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
writeFileSync('dist/client-version.txt', version);
`;
