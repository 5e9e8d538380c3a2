import { execa } from 'execa';
import { get, TestHost } from '../support/host';
import { Monorepo } from '../support/monorepo';
import { assert, suite } from '../support/suite';

const test = suite('limits');
let host: TestHost;
let repository: Monorepo;
/** Address of the staging app. */
let url: string;

const pipeline = 'limits';
const app = 'limits-staging';

test.before(async () => {
  host = await TestHost.start('limits');
  repository = await Monorepo.create();
  await host.must('flight-launch:setup', pipeline);
  await host.must('flight-launch:set', pipeline, 'client-image', 'flight-launch-test/node:20');
});

test.after(async () => {
  repository.remove();
  await host.stop();
});

/** A client whose build runs this script. */
const building = (script: string) => ({
  'client/build.js': `const fs = require('node:fs');
const { spawn } = require('node:child_process');
fs.mkdirSync('dist');
${script}
`,
});

const listNetwork = `fs.writeFileSync('dist/index.html', fs.readdirSync('/sys/class/net').join(' '));`;

test('without build-dir the push names the command, which then is all that was missing', async () => {
  await host.must('builder:set', app, 'build-dir');
  const refused = await repository.push(host, app);
  assert.is.not(refused.status, 0);
  assert.is(refused.output.match(/^ !     flight-launch:/gm)?.length, 1, refused.output);
  const command = /`dokku (builder:set limits-staging build-dir server)`/.exec(refused.output)?.[1];
  if (command === undefined) throw new Error(`no command in:\n${refused.output}`);
  assert.is((await host.admin(`docker image inspect dokku/${app}:latest`)).status, 1);
  await host.must(...command.split(' '));
  const pushed = await repository.mustPush(host, app);
  url = host.url(pushed.output);
  assert.match((await get(url)).body, repository.read('client/src/message.txt').trim());
});

test('a silent build: a line comes every 10 s, each step tells its time, and its only network is the loopback', async () => {
  await repository.commit('Take long', building(`setTimeout(() => { ${listNetwork} }, 25_000);`));
  const { arrivals, output, status } = await timedPush();
  assert.is(status, 0, output);
  // Only while a step of ours runs: Dokku's own are silent for as long as they take.
  const gaps = ['Building the client', 'Keeping the image'].flatMap((step) => {
    const from = arrivals.findIndex(({ text }) => text.includes(step));
    const length = arrivals.slice(from).findIndex(({ text }) => text.includes('done in ')) + 1;
    assert.ok(from >= 0 && length > 1, output);
    const lines = arrivals.slice(from, from + length);
    return lines.slice(1).map(({ at }, index) => at - (lines[index]?.at ?? 0));
  });
  assert.ok(gaps.length > 2, output);
  // Half a second for the way through ssh and git.
  assert.ok(Math.max(...gaps) <= 10_500, `${Math.max(...gaps)} ms without a line:\n${output}`);
  assert.ok((output.match(/still running \(\d+/g)?.length ?? 0) >= 2, output);
  assert.match(output, /Building the client [^]*? done in 2[5-9](\.\d+)? ?s/);
  assert.match(output, /Keeping the image [^]*? done in [\d.]+ ?m?s/);
  assert.is((await get(url)).body, 'lo');
});

test('a build that asks for the network has it; a daemonised child ends with the build (I53)', async () => {
  await repository.commit('Ask for the network, leave a daemon', {
    'flight-launch.json': '{ "client": { "network": true } }\n',
    ...building(`
      spawn('sh', ['-c', 'while sleep 1; do :; done'], { detached: true, stdio: 'ignore' }).unref();
      ${listNetwork}`),
  });
  await repository.mustPush(host, app);
  assert.match((await get(url)).body, 'eth0');
  assert.is(await buildContainers(), '');
});

test('a hostile .npmrc runs its shell in the container, not on the host (I54)', async () => {
  const trace = `/tmp/flight-launch-i54-${String(process.pid)}`;
  await repository.commit('Bring an .npmrc', {
    'client/.npmrc': `script-shell=./shell.sh\nprefix=/\nunsafe-perm=true\ncache=${trace}-cache\n`,
    'client/shell.sh': `#!/bin/sh\necho "hostile shell as $(id -u)"; touch ${trace}; ls /var/run/docker.sock; exit 9\n`,
  });
  await repository.git('update-index', '--chmod=+x', 'client/shell.sh');
  await repository.git('commit', '--quiet', '--amend', '--no-edit');
  const pushed = await repository.push(host, app);
  assert.is.not(pushed.status, 0);
  assert.match(pushed.output, /hostile shell as [1-9]/);
  assert.match(pushed.output, /cannot access '\/var\/run\/docker\.sock'/);
  assert.match(pushed.output, / !     flight-launch: .*exited with 9/);
  assert.is(await host.mustAdmin(`find /tmp -maxdepth 1 -name '${trace.slice('/tmp/'.length)}*'`), '');
  assert.match((await get(url)).body, 'eth0');
  assert.is(await buildContainers(), '');
  await repository.git('reset', '--quiet', '--hard', 'HEAD~1');
});

test('records that find the disk full reject the push with one line, and leave no half of a record (F30)', async () => {
  const folder = `"$DOKKU_LIB_ROOT/data/flight-launch/pipelines/${pipeline}/builds"`;
  // Room for what is there, and hardly more.
  await host.mustAdmin(`
    set -e
    owner=$(stat -c %u:%g ${folder})
    mount -t tmpfs -o size=16k tmpfs ${folder}
    chown "$owner" ${folder}`);
  let left;
  let pushed;
  try {
    await repository.commit('Grow the server', {
      'server/large.txt': 'x'.repeat(200_000),
    });
    pushed = await repository.push(host, app);
    left = await host.mustAdmin(`ls -A ${folder} | grep -v '\\.log$' || [ $? = 1 ]`);
  } finally {
    await host.mustAdmin(`umount ${folder}`);
  }
  assert.is.not(pushed.status, 0);
  const lines = pushed.output.split('\n').filter((line) => line.startsWith(' !     flight-launch:'));
  assert.is(lines.length, 1, pushed.output);
  assert.match(lines[0] ?? '', /disk is full/i);
  assert.match(pushed.output, 'Free some space');
  assert.is(left, '');
  assert.match((await get(url)).body, 'eth0');
  await repository.git('reset', '--quiet', '--hard', 'HEAD~1');
});

test('F28, F29 a disk that fails to keep what is written: one line, nothing of it is left, the old goes on', async () => {
  await repository.commit('Change', { 'server/README.md': 'changed' });
  const { set, pushed } = await startedBy(
    'exec strace --follow-forks --quiet=all --output=/dev/null --inject=fsync:error=EIO "$NODE" "$@"',
    async () => ({
      set: await host.dokku('flight-launch:set', pipeline, 'keep', '7'),
      pushed: await repository.push(host, app),
    }),
  );
  const told =
    / !     flight-launch: the disk cannot be written where .*\n(?:remote: )? !     See what .* kernel says/;
  for (const { status, text } of [
    { status: set.status, text: set.stderr },
    { status: pushed.status, text: pushed.output },
  ]) {
    assert.is.not(status, 0);
    assert.match(text, told);
    assert.is(text.match(/ !     flight-launch: /g)?.length, 1, text);
  }
  const data = '"$DOKKU_LIB_ROOT/data/flight-launch"';
  assert.is(await host.mustAdmin(`find ${data} -name '*.partial' -o -path '*/deploys/${app}.json'`), '');
  assert.match((await host.must('flight-launch:report', pipeline)).stdout, /Keep: +5 \(default\)/);
  assert.match((await get(url)).body, 'eth0');
  await repository.mustPush(host, app);
});

test('a client of 300 MB is deployed with less than 120 MB of memory in each of our processes', async () => {
  await repository.commit(
    'Grow',
    building(`
      const { randomFillSync } = require('node:crypto');
      const block = Buffer.alloc(1_000_000);
      for (const name of ['a.bin', 'b.bin', 'c.bin']) {
        const file = fs.openSync('dist/' + name, 'w');
        for (let count = 0; count < 100; count += 1) fs.writeSync(file, randomFillSync(block));
      }
      fs.writeFileSync('dist/index.html', '300 MB');`),
  );
  // A few lines in front note the peak of its own memory at the end.
  const peaks = await startedBy(
    `cat >"$FOLDER/$$.cjs" <<'SCRIPT'
const { appendFileSync, readFileSync } = require('node:fs');
process.on('exit', () => {
  const peak = /VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1];
  appendFileSync(__dirname + '/peaks', process.argv[3] + ' ' + peak + '\\n');
});
SCRIPT
exec "$NODE" --require "$FOLDER/$$.cjs" "$@"`,
    async (folder) => {
      await repository.mustPush(host, app);
      return host.mustAdmin(`cat ${folder}/peaks`);
    },
  );
  assert.is((await get(url)).body, '300 MB');
  const length = await host.mustAdmin(
    `curl --silent --head ${url}/c.bin | tr -d '\\r' | sed -n 's/^content-length: //Ip'`,
  );
  assert.is(length, '100000000');
  const measured = peaks.split('\n').map((line) => line.split(' '));
  assert.equal(
    measured.map(([trigger]) => trigger),
    ['core-post-extract', 'pre-build', 'post-build', 'post-deploy'],
  );
  for (const [trigger, peak] of measured) {
    const bytes = Number(peak) * 1024;
    assert.ok(bytes > 20e6 && bytes < 120e6, `${String(trigger)}: ${String(bytes)} bytes`);
  }
});

/**
 * Has our processes started by a script while work is under way.
 * @param script of sh, with Node in $NODE, Node's arguments in $@, and in $FOLDER a folder where all may write
 */
async function startedBy<T>(script: string, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await host.mustAdmin(`
    set -e
    data=$DOKKU_LIB_ROOT/data/flight-launch
    folder=$(mktemp -d)
    chmod 777 "$folder"
    mv "$data/node" "$folder/node"
    printf '#!/bin/sh\\nNODE=%s FOLDER=%s\\n' "$(readlink -f "$folder/node")" "$folder" >"$data/node"
    cat >>"$data/node" <<'STARTER'
${script}
STARTER
    chmod 755 "$data/node"
    echo "$folder"`);
  try {
    return await work(folder);
  } finally {
    await host.mustAdmin(`mv -T ${folder}/node "$DOKKU_LIB_ROOT/data/flight-launch/node" && rm -r ${folder}`);
  }
}

/** Containers of client builds, whatever their state. */
function buildContainers(): Promise<string> {
  return host.mustAdmin(
    `docker ps --all --quiet --filter label=com.flight-launch.pipeline=${pipeline} --filter label=com.flight-launch.kind`,
  );
}

interface Arrival {
  /** Milliseconds since the epoch at which the line reached the pusher. */
  at: number;
  text: string;
}

/** A push whose lines are timed as they arrive. */
async function timedPush(): Promise<{ status: number; output: string; arrivals: Arrival[] }> {
  const arrivals: Arrival[] = [];
  const child = execa('git', ['push', host.remote(app), 'HEAD:master'], {
    cwd: repository.folder,
    env: { GIT_SSH_COMMAND: host.gitSsh },
    reject: false,
    all: true,
  });
  child.all.on('data', (chunk: Buffer) => {
    for (const text of chunk.toString().split('\n')) if (text !== '') arrivals.push({ at: Date.now(), text });
  });
  const { exitCode, all } = await child;
  return { status: exitCode ?? -1, output: all, arrivals };
}

test.run();
