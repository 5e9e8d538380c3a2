import { buildIn, get, TestHost, type Result } from '../support/host';
import { Monorepo } from '../support/monorepo';
import { assert, suite } from '../support/suite';

const test = suite('promote: access and bad input');
/** The apps have other names than the pipeline, so that Dokku itself sees no app on the command line. */
const pipeline = 'paccess';
const staging = 'paccess-from';
const production = 'paccess-to';
const other = 'paccess-other';
const data = '$DOKKU_LIB_ROOT/data/flight-launch';
/** Lines `deny APP`, `hide APP` and `only-flight-launch`: what an access control plugin goes by. */
const rules = '$DOKKU_LIB_ROOT/data/paccess-rules';
let host: TestHost;
let repository: Monorepo;
let url = '';
let good = '';
let never = '';
let job = '';
let commit = '';

test.before(async () => {
  host = await TestHost.start('paccess');
  repository = await Monorepo.create();
  await host.must(...['flight-launch:setup', pipeline, '--staging', staging, '--production', production]);
  await host.must('flight-launch:setup', other);
  await host.must('flight-launch:set', pipeline, 'client-image', 'flight-launch-test/node:20');
  await host.installFurtherPlugin('paccess-acl', {
    'user-auth': `#!/bin/sh
# SSH_USER SSH_NAME COMMAND ARG...: for the apps of these tests alone.
rules=$DOKKU_LIB_ROOT/data/paccess-rules
if [ ! -e "$rules" ] || [ "$1" = root ]; then exit 0; fi
if grep -qxF -- "deny $4" "$rules"; then exit 1; fi
case "$3 $*" in
  flight-launch:*) ;;
  *" paccess"*) if grep -qx only-flight-launch "$rules"; then exit 1; fi ;;
esac
exit 0
`,
    'user-auth-app': `#!/bin/sh
# SSH_USER SSH_NAME APP...: prints those that may be seen.
rules=$DOKKU_LIB_ROOT/data/paccess-rules
user=$1
shift 2
for app in "$@"; do
  if [ "$user" = root ] || [ ! -e "$rules" ] || ! grep -qxF -- "hide $app" "$rules"; then echo "$app"; fi
done
`,
  });
});

test.after(async () => {
  repository.remove();
  await rule();
  await host.stop();
});

/** Sets the rules of access; without any, everybody may do all. */
async function rule(...lines: string[]): Promise<void> {
  const file = `"${rules}"`;
  if (lines.length === 0) await host.mustAdmin(`rm -f ${file}`);
  else await host.mustAdmin(`cat >${file}; chmod 644 ${file}`, `${lines.join('\n')}\n`);
}

/** All that the plugin stores, locks and logs aside, and what production is. */
function written(): Promise<string> {
  return host.mustAdmin(`
    cd "${data}" && find . -type f ! -path '*/locks/*' ! -name flight-launch.log -exec sha256sum {} + | sort -k 2
    docker image inspect --format '{{.Id}}' dokku/${production}:latest
    cat "$DOKKU_ROOT/${production}"/CONTAINER.* "$DOKKU_ROOT/${production}/refs/heads/master"
    cat "$DOKKU_LIB_ROOT/config/${production}/ENV"
    ls -A "$DOKKU_LIB_ROOT/data/apps/${production}"`);
}

test('who may do nothing but call flight-launch on both apps can promote, and roll back to nothing', async () => {
  commit = await repository.commit('good', { 'client/src/message.txt': 'the good page\n' });
  good = buildIn(await repository.mustPush(host, staging));
  await rule('only-flight-launch');
  const configured = await host.dokku('config:set', '--no-restart', production, 'WHO=me');
  assert.is(configured.status, 1, configured.output);
  const promoted = await host.must('flight-launch:promote', '--pipeline', pipeline);
  url = host.url(promoted.output);
  assert.match((await get(url)).body, 'the good page');
  job = /Started promote (\S+);/.exec(promoted.output)?.[1] ?? '';
  assert.is.not(job, '');
  const back = await host.dokku('flight-launch:rollback', '--previous', '--pipeline', pipeline);
  assert.is(back.status, 1);
  assert.match(back.output, `${production} has no earlier build`);
  await rule();
  assert.is((await host.must('config:get', production, 'GIT_REV')).stdout.trim(), commit);
});

/** Every command that reads or changes the two apps of the pipeline. */
const calls = (): string[][] => [
  ...[[], ['--dry-run'], ['--detach'], ['--build', good]].map((more) => [
    ...['flight-launch:promote', '--pipeline', pipeline, ...more],
  ]),
  ['flight-launch:rollback', '--previous', '--pipeline', pipeline],
  ['flight-launch:rollback', good, '--pipeline', pipeline, '--dry-run'],
  ['flight-launch:diff', pipeline],
  ['flight-launch:diff', pipeline, '--format', 'json'],
  ['flight-launch:status', pipeline],
  ['flight-launch:history', pipeline],
  ['flight-launch:history', pipeline, '--format', 'json'],
  ['flight-launch:logs', '--pipeline', pipeline],
  ['flight-launch:logs', job, '--pipeline', pipeline],
  ['flight-launch:logs', job, '--pipeline', pipeline, '--follow'],
];

for (const [kind, app] of [
  ['deny', staging],
  ['deny', production],
  ['hide', staging],
  ['hide', production],
] as const) {
  const trigger = kind === 'deny' ? 'user-auth' : 'user-auth-app';
  test(`${app} refused by ${trigger}: told which app, and nothing else (H14, I65)`, async () => {
    const before = await written();
    await rule(`${kind} ${app}`);
    for (const words of calls()) {
      const { status, stdout, stderr } = await host.dokku(...words);
      assert.is(status, 1, `${words.join(' ')}\n${stdout}${stderr}`);
      assert.is(stdout, '', words.join(' '));
      assert.is(
        stderr,
        ` !     flight-launch: you may not run ${words[0] ?? ''} on ${app}\n` +
          ' !     Ask the administrator of this host for access to that app.\n',
      );
    }
    await rule();
    assert.is(await written(), before);
  });
}

test('who may use another pipeline alone is shown nothing of this one, nor its jobs and builds (I65)', async () => {
  const before = await written();
  await rule(`hide ${production}`);
  const shown: Result[] = [];
  const refused = async (status: number, problem: string, ...words: string[]) => {
    const answer = await host.dokku(...words);
    assert.is(answer.status, status, answer.output);
    assert.match(answer.output, problem);
    shown.push(answer);
  };
  await refused(
    1,
    `there is no job "${job}" in pipeline ${other}`,
    'flight-launch:logs',
    job,
    '--pipeline',
    other,
  );
  await refused(1, 'there is no build', 'flight-launch:promote', '--pipeline', other, '--build', good);
  await refused(1, 'is no build that', 'flight-launch:rollback', good, '--pipeline', other);
  await refused(2, 'there is no pipeline nosuch', 'flight-launch:status', 'nosuch');
  // A host that is not ours alone may have more pipelines.
  if (!host.isReal) {
    await refused(1, `nothing to promote is live on ${other}-staging`, 'flight-launch:promote');
    await refused(1, `there is no job "${job}" in pipeline ${other}`, 'flight-launch:logs', job);
  }
  await rule();
  for (const { output } of shown) {
    assert.not.match(output, new RegExp(`${staging}(?!\\.)|${production}|${commit.slice(0, 8)}`));
    assert.not.match(output, /\bpaccess(?!-)/);
  }
  assert.match((await host.dokku('flight-launch:status', 'nosuch')).output, /\bpaccess, paccess-other\b/);
  assert.is(await written(), before);
});

test('a build that never went live is there for what follows', async () => {
  await repository.commit('never', {
    'server/app.json': JSON.stringify({
      healthchecks: { web: [{ type: 'startup', name: 'health', path: '/nothing', attempts: 1, wait: 1 }] },
    }),
  });
  const pushed = await repository.push(host, staging);
  assert.is.not(pushed.status, 0);
  never = buildIn(pushed);
});

const named = ['--pipeline', pipeline];

/** Words, exit status, and what the one line says. */
const mistakes = (): [words: string[], status: number, says: string][] => [
  [['promote', '--pipeline', 'nosuch'], 2, 'there is no pipeline nosuch'],
  [['promote', '--pipeline', '../x'], 2, '"../x" cannot be the name of a pipeline'],
  [['promote', '--pipeline'], 2, '--pipeline needs a value'],
  [['promote', pipeline], 2, `"${pipeline}" is one argument too many`],
  [['promote', ...named, '--build'], 2, '--build needs a value'],
  [['promote', ...named, '--build', '--dry-run'], 2, '--build needs a value'],
  [['promote', ...named, "--build it's"], 2, '--build needs a value'],
  [['promote', ...named, '--build=', '--dry-run'], 1, 'there is no build ""'],
  [['promote', ...named, '--build', 'nosuch'], 1, 'there is no build "nosuch"'],
  [['promote', ...named, '--build', good, '--build', never], 2, '--build is given 2 times'],
  [['promote', ...named, '--build', never], 1, `build ${never} never went live`],
  [['promote', ...named, '--build=--upload-pack=id'], 1, 'there is no build "--upload-pack=id"'],
  [['promote', ...named, '--build', '../../settings'], 1, 'there is no build "../../settings"'],
  [['promote', ...named, "--build='$(id)'"], 1, 'there is no build "$(id)"'],
  [['promote', ...named, `--build\n${never}\nextra`], 2, '"extra" is one argument too many'],
  [['promote', ...named, '--force-push'], 2, "Unknown option '--force-push'"],
  [['promote', ...named, '--dry-run=yes'], 2, "Option '--dry-run' does not take an argument"],
  [['rollback', ...named], 2, 'rollback takes either a build or --previous'],
  [['rollback', ...named, "it's"], 2, 'rollback takes either a build or --previous'],
  [['rollback', good, '--previous', ...named], 2, 'rollback takes either a build or --previous'],
  [['rollback', good, good, ...named], 2, `"${good}" is one argument too many`],
  [['rollback', never, ...named], 1, `"${never}" is no build that ${production} can go back to`],
  [['rollback', 'nosuch', ...named], 1, '"nosuch" is no build that'],
  [['rollback', '../x', ...named], 1, '"../x" is no build that'],
  [['rollback', '-d', ...named], 2, "Unknown option '-d'"],
  [['rollback', '--output=x', ...named], 2, "Unknown option '--output'"],
  [['diff', 'nosuch'], 2, 'there is no pipeline nosuch'],
  [['diff', other], 1, `there is nothing to compare: ${other}-staging has no live build`],
  [['diff', pipeline, 'extra'], 2, '"extra" is one argument too many'],
  [['diff', pipeline, '--format', 'xml'], 2, 'there is no format "xml"'],
  [['history', 'nosuch'], 2, 'there is no pipeline nosuch'],
  [['history', '--global'], 2, "Unknown option '--global'"],
  [['history', pipeline, 'extra'], 2, '"extra" is one argument too many'],
  [['logs', 'nosuch', ...named], 1, 'there is no job "nosuch"'],
  [['logs', '../../settings', ...named], 1, 'there is no job "../../settings"'],
  [['logs', job, 'extra', ...named], 2, '"extra" is one argument too many'],
  [['logs', ...named, '--follow=x'], 2, "Option '--follow' does not take an argument"],
  [['logs', '--pipeline', other], 1, `pipeline ${other} has no job yet`],
];

test('a mistake on the command line gets one clear line, and nothing is written (H13, I55-I64, I70, I71)', async () => {
  const before = await written();
  for (const [words, status, says] of mistakes()) {
    const [verb = '', ...args] = words;
    const { status: ended, stdout, stderr } = await host.dokku(`flight-launch:${verb}`, ...args);
    const shown = `${[verb, ...args].join(' ')}:\n${stdout}${stderr}`;
    assert.is(ended, status, shown);
    assert.is(stdout, '', shown);
    assert.match(stderr, says, shown);
    const problems = stderr.split('\n').filter((line) => line.startsWith(' !     flight-launch: '));
    assert.is(problems.length, 1, shown);
    assert.not.match(stderr, 'this is a bug', shown);
  }
  assert.is(await written(), before);
  assert.match((await get(url)).body, 'the good page');
});

test.run();
