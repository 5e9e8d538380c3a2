import type { TestHost } from './host';

/** Longer than any suite takes: a registry whose suite was killed ends by itself. */
const lifetimeSeconds = 1800;

/**
 * Debian's `docker-registry` on the host, on a loopback port: the engine takes such an address without TLS. What it
 * holds is in a folder of its own until `remove`.
 */
export class Registry {
  #pid = '';

  private constructor(
    private readonly host: TestHost,
    private readonly folder: string,
    /** `127.0.0.1:PORT` */
    readonly server: string,
  ) {}

  static async start(host: TestHost): Promise<Registry> {
    const folder = await host.mustAdmin('mktemp -d /tmp/flight-launch-registry-XXXXXX');
    const [pid, server] = await serve(host, folder, '127.0.0.1:0');
    const registry = new Registry(host, folder, server);
    registry.#pid = pid;
    return registry;
  }

  /** Starts it again where it was. */
  async startAgain(): Promise<void> {
    [this.#pid] = await serve(this.host, this.folder, this.server);
  }

  async stop(): Promise<void> {
    await this.host.mustAdmin(
      `kill ${this.#pid} && while kill -0 ${this.#pid} 2>/dev/null; do sleep 0.1; done`,
    );
    this.#pid = '';
  }

  async remove(): Promise<void> {
    if (this.#pid !== '') await this.stop();
    await this.host.mustAdmin(`rm -rf ${this.folder}`);
  }

  /** Tags of a repository, sorted as numbers; none where nothing was ever pushed to it. */
  async tags(repository: string): Promise<string[]> {
    const { tags } = JSON.parse(await this.#get(`${repository}/tags/list`)) as { tags?: string[] | null };
    return [...(tags ?? [])].sort((a, b) => Number(a) - Number(b));
  }

  /** Id (`sha256:…`) of a pushed image, as engines name it. */
  async imageId(repository: string, tag: string): Promise<string> {
    return (await this.#manifest(repository, tag)).config.digest;
  }

  /** Digests of the layers of a pushed image, the lowest first. */
  async layers(repository: string, tag: string): Promise<string[]> {
    return (await this.#manifest(repository, tag)).layers.map(({ digest }) => digest);
  }

  /** Which blobs of a pushed image show a text: its configuration, any file of any layer, removed ones included. */
  async placesOf(text: string, repository: string, tag: string): Promise<string[]> {
    const { config, layers } = await this.#manifest(repository, tag);
    const found: string[] = [];
    for (const { digest } of [config, ...layers]) {
      const count = await this.host.mustAdmin(
        `set -o pipefail; ${this.#curl(`${repository}/blobs/${digest}`)} | zcat -f | { grep --text --count ${text} || test $? = 1; }`,
      );
      if (count !== '0') found.push(digest === config.digest ? 'configuration' : `layer ${digest}`);
    }
    return found;
  }

  async #manifest(repository: string, tag: string): Promise<Manifest> {
    const type = 'application/vnd.docker.distribution.manifest.v2+json';
    return JSON.parse(
      await this.#get(`${repository}/manifests/${tag}`, `--header 'Accept: ${type}'`),
    ) as Manifest;
  }

  #get(path: string, options = ''): Promise<string> {
    return this.host.mustAdmin(this.#curl(path, options));
  }

  #curl(path: string, options = '--location'): string {
    return `curl --silent --show-error --noproxy '*' ${options} http://${this.server}/v2/${path}`;
  }
}

interface Manifest {
  config: { digest: string };
  layers: { digest: string }[];
}

/** @returns pid and address */
async function serve(host: TestHost, folder: string, address: string): Promise<[string, string]> {
  const settings = [
    'version: 0.1',
    `storage: { filesystem: { rootdirectory: ${folder}/data } }`,
    `http: { addr: "${address}" }`,
  ];
  await host.mustAdmin(`cat >${folder}/config.yml`, `${settings.join('\n')}\n`);
  const printed = await host.mustAdmin(`
    cd ${folder}
    setsid timeout ${lifetimeSeconds} docker-registry serve config.yml >log 2>&1 </dev/null &
    for attempt in $(seq 100); do
      address=$(sed -n 's/.*listening on \\([0-9.]*:[0-9]*\\).*/\\1/p' log)
      test -z "$address" || break
      kill -0 $! || break
      sleep 0.1
    done
    test -n "$address" || { cat log >&2; exit 1; }
    echo "$! $address"`);
  const [pid = '', server = ''] = printed.split(' ');
  return [pid, server];
}
