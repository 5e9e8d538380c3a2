import type { TestHost } from './host';

/** Where an image shows a text: its configuration, the environment of a process started in it, any file of it. */
export async function placesInImage(host: TestHost, image: string, text: string): Promise<string[]> {
  return lines(
    await host.mustAdmin(`
    docker image inspect --format '{{json .Config}}' ${image} | grep -q ${text} && echo configuration
    start=$(docker run --rm --entrypoint sh ${image} -c 'test -x /start && echo /start')
    docker run --rm --entrypoint "" ${image} $start env | grep -q ${text} && echo process
    docker run --rm --user root --entrypoint sh ${image} -c 'grep -rls ${text} /app /tmp /etc /home' | sed 's/^/file /'
    exit 0`),
  );
}

/** Where the running web process of an app shows a text: in the environment of any of its processes, or in a file. */
export async function placesInProcess(host: TestHost, app: string, text: string): Promise<string[]> {
  const container = await webContainer(host, app);
  return lines(
    await host.mustAdmin(`
    for pid in $(docker top ${container} -eo pid | tail -n +2); do
      tr '\\0' '\\n' <"/proc/$pid/environ" | grep -q ${text} && echo environment
    done
    docker exec ${container} env | grep -q ${text} && echo exec
    docker exec --user root ${container} sh -c 'grep -rls ${text} /app /tmp /etc /home' | sed 's/^/file /'
    exit 0`),
  );
}

/** Id of the container that serves an app. */
export async function webContainer(host: TestHost, app: string): Promise<string> {
  return host.mustAdmin(`cat "$DOKKU_ROOT/${app}/CONTAINER.web.1"`);
}

/** Digest and path of each file below `/app`, less what a builder or a release writes of the app's configuration. */
export function applicationFiles(host: TestHost, image: string): Promise<string> {
  return host.mustAdmin(
    `docker run --rm --user root --entrypoint sh ${image} -c 'cd /app && find . -type f ! -path "./.profile.d/*" ! -path ./.env -exec sha256sum {} + | sort -k 2'`,
  );
}

/** Digests of the layers of an image, the lowest first. */
export async function layers(host: TestHost, image: string): Promise<string[]> {
  const found = await host.mustAdmin(`docker image inspect --format '{{json .RootFS.Layers}}' ${image}`);
  return JSON.parse(found) as string[];
}

function lines(text: string): string[] {
  return text === '' ? [] : text.split('\n');
}
