import { Monorepo } from '../support/monorepo';
import { get, TestHost } from '../support/host';
import { assert, suite } from '../support/suite';

const test = suite('isolation');
let host: TestHost;
let herokuish: Monorepo;
let dockerfile: Monorepo;

/** A value that only the staging apps have. */
const canary = 'canary-e7c1';

test.before(async () => {
  host = await TestHost.start('isolation');
  herokuish = await Monorepo.create();
  dockerfile = await Monorepo.create({ dockerfile: true });
  for (const pipeline of ['isoh', 'isod']) {
    await host.must('flight-launch:setup', pipeline);
    await host.must('flight-launch:set', pipeline, 'client-image', 'flight-launch-test/node:20');
    await host.must('config:set', '--no-restart', `${pipeline}-staging`, `CANARY=${canary}`);
  }
  // A predeploy task makes Dokku commit the container, its environment included.
  const app = JSON.parse(herokuish.read('server/app.json')) as object;
  const withTask = { ...app, scripts: { dokku: { predeploy: 'touch /tmp/predeploy-ran' } } };
  for (const repository of [herokuish, dockerfile]) {
    await repository.commit('Add a predeploy task', {
      'server/app.json': JSON.stringify(withTask),
      'server/.env': 'FROM_REPOSITORY=kept\n',
    });
  }
  await herokuish.mustPush(host, 'isoh-staging');
  await dockerfile.mustPush(host, 'isod-staging');
});

test.after(async () => {
  herokuish.remove();
  dockerfile.remove();
  await host.stop();
});

for (const [builder, pipeline] of [
  ['herokuish', 'isoh'],
  ['dockerfile', 'isod'],
] as const) {
  test(`the captured image of a ${builder} app carries none of its configuration (H3, H4)`, async () => {
    assert.is(await canaryIn(await capturedImage(pipeline)), 'nowhere');
  });

  test(`negative control: the app's own image of a ${builder} app does carry it`, async () => {
    assert.is.not(await canaryIn(`dokku/${pipeline}-staging:latest`), 'nowhere');
  });

  test(`the captured image of a ${builder} app has the client in it (H2)`, async () => {
    const page = await host.mustAdmin(
      `docker run --rm --entrypoint cat ${await capturedImage(pipeline)} /app/public/index.html`,
    );
    assert.match(page, herokuish.read('client/src/message.txt').trim());
  });
}

test("the repository's own .env is in the captured image as committed (H4)", async () => {
  const image = await capturedImage('isoh');
  assert.is(
    await host.mustAdmin(`docker run --rm --entrypoint cat ${image} /app/.env`),
    'FROM_REPOSITORY=kept',
  );
});

test('captured images survive builds and cleanups of the app (H6)', async () => {
  const image = await capturedImage('isoh');
  await herokuish.commit('Again', { 'server/VERSION': '2\n' });
  await herokuish.mustPush(host, 'isoh-staging');
  await host.must('cleanup', 'isoh-staging');
  await host.must('cleanup');
  assert.match(await host.mustAdmin(`docker image inspect --format '{{.Id}}' ${image}`), /^sha256:/);
});

test('negative control: an image that keeps the labels of the app is gone after such a cleanup (H6)', async () => {
  await host.mustAdmin(
    `printf 'FROM dokku/isoh-staging:latest\\nRUN touch /tmp/copy\\n' | docker build --quiet --tag isoh-copy:1 -`,
  );
  await host.must('cleanup', 'isoh-staging');
  assert.is.not((await host.admin('docker image inspect isoh-copy:1')).status, 0);
});

test('NODE_OPTIONS, BASH_ENV, LANG and a PATH of fakes in the configuration of the app change nothing (H17)', async () => {
  const fakes = await host.mustAdmin(`
    fakes=$(mktemp -d); chmod 755 "$fakes"; touch "$fakes/calls"; chmod 666 "$fakes/calls"
    for program in node docker git flock env sh plugn; do
      real=$(command -v "$program")
      printf '#!/bin/bash\\nunset BASH_ENV\\necho "\${0##*/} for $(tr "\\\\0" " " </proc/$PPID/cmdline)" >>%s/calls\\nexec %s "$@"\\n' "$fakes" "$real" >"$fakes/$program"
      chmod 755 "$fakes/$program"
    done
    printf 'echo bash-env >>%s/calls\\n' "$fakes" >"$fakes/bash-env"
    echo "$fakes"`);
  const path = await host.mustAdmin(`echo "$PATH"`);
  await host.must(
    'config:set',
    '--no-restart',
    'isoh-staging',
    'NODE_OPTIONS=--require=/nowhere/injected.js',
    `BASH_ENV=${fakes}/bash-env`,
    'LANG=xx_XX.UTF-8',
    `PATH=${fakes}:${path}:/usr/local/bin:/usr/bin:/bin`,
  );
  await herokuish.commit('Odd configuration', { 'client/src/message.txt': 'odd\n' });
  const pushed = await herokuish.mustPush(host, 'isoh-staging');
  assert.match((await get(host.url(pushed.output))).body, 'odd');
  const calls = await host.mustAdmin(`cat ${fakes}/calls; rm -r ${fakes}`);
  // Dokku itself runs into the fakes: without that this test would show nothing.
  assert.match(calls, 'docker for');
  const ours = calls.split('\n').filter((call) => /for .*\/flight-launch(\.cjs|\/)/.test(call));
  assert.equal(ours, []);
  await host.must('config:unset', '--no-restart', 'isoh-staging', 'NODE_OPTIONS', 'BASH_ENV', 'LANG', 'PATH');
});

test('ps:rebuild --all uses one build id for all apps and keeps their builds apart (H26)', async () => {
  // Its status is not 0: the production apps of this host have nothing to rebuild.
  const rebuilt = await host.dokku('ps:rebuild', '--all');
  const builds = [...rebuilt.output.matchAll(/flight-launch: build (\S+) is live on (\S+)/g)];
  assert.equal(builds.map(([, , app]) => app).sort(), ['isod-staging', 'isoh-staging']);
  assert.is(new Set(builds.map(([, build]) => build)).size, 2);
  for (const [, build = '', app = ''] of builds) assert.ok(build.startsWith(`${app}.`));
});

async function capturedImage(pipeline: string): Promise<string> {
  const images = await host.mustAdmin(
    `docker images --format '{{.Repository}}:{{.Tag}}' flight-launch/${pipeline}`,
  );
  const [newest] = images.split('\n');
  return newest ?? '';
}

/** Where an image shows the canary: its configuration, the environment of a process started in it, any file of it. */
async function canaryIn(image: string): Promise<string> {
  const places = await host.mustAdmin(`
    docker image inspect --format '{{json .Config}}' ${image} | grep -q ${canary} && echo configuration
    start=$(docker run --rm --entrypoint sh ${image} -c 'test -x /start && echo /start')
    docker run --rm --entrypoint "" ${image} $start env | grep -q ${canary} && echo process
    docker run --rm --user root --entrypoint sh ${image} -c 'grep -rls ${canary} /app /tmp /etc /home' | sed 's/^/file /'
    exit 0`);
  return places === '' ? 'nowhere' : places.replaceAll('\n', ', ');
}

test.run();
