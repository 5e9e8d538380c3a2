import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { UpstreamRepository, type UpstreamDependencies } from '../../src/adapters/upstream';
import { UserError } from '../../src/domain/errors';
import type { CommitSpec, RefUpdate, TagSpec } from '../../src/domain/ports';
import { serveGitOverHttps } from '../support/https-server';
import { assert, rejects, suite } from '../support/suite';

// An upstream to copy, the repositories of apps, and a work tree to make commits in.
const scratch = mkdtempSync(join(tmpdir(), 'flight-launch-upstream-'));
const template = join(scratch, 'template.git');
const dokkuRoot = join(scratch, 'dokku');
const work = join(scratch, 'work');
const home = join(scratch, 'home');
const key = join(scratch, 'deploy-key');
const env = { PATH: process.env.PATH ?? '', HOME: home };

const by = { name: 'Ada', email: 'ada@example.org' };
const at = Date.UTC(2026, 0, 2, 3, 4, 5);

function output(
  file: string,
  args: readonly string[],
  more: Record<string, string> = {},
  input = '',
): string {
  const author = { GIT_AUTHOR_NAME: 'Ada', GIT_COMMITTER_NAME: 'Ada', EMAIL: 'ada@example.org' };
  const { status, stdout, stderr } = spawnSync(file, args, {
    cwd: work,
    env: { ...env, ...author, ...more },
    encoding: 'utf8',
    input,
  });
  if (status !== 0) throw new Error(`${file} ${args.join(' ')}: ${stderr}`);
  return stdout.trim();
}
const git = (...args: string[]) => output('git', args);

function write(path: string, content: string | Buffer): void {
  mkdirSync(dirname(join(work, path)), { recursive: true });
  writeFileSync(join(work, path), content);
}

function commit(subject: string): string {
  git('add', '--all');
  git('commit', '--quiet', '--allow-empty', '--message', subject);
  return git('rev-parse', 'HEAD');
}

const BOM = '\uFEFF';
const versionFile = `${BOM}{\r\n  "version": "1"\r\n}`;

/** Commits of the template: `master` and, on top of it, `develop`. */
let master = '';
let develop = '';
let developTree = '';

interface World {
  upstream: UpstreamRepository;
  /** The bare repository upstream. */
  bare: string;
  /** Runs git in our repository, in that of the upstream. */
  ours: (...args: string[]) => string;
  theirs: (...args: string[]) => string;
}

function world(more: Partial<UpstreamDependencies> = {}): World {
  const folder = mkdtempSync(join(scratch, 'world-'));
  const bare = join(folder, 'upstream.git');
  cpSync(template, bare, { recursive: true });
  const gitDir = join(folder, 'repo.git');
  const upstream = new UpstreamRepository({
    pipeline: 'shop',
    gitDir,
    url: bare,
    shownUrl: 'the upstream',
    timeoutMs: 60_000,
    env,
    transport: {},
    protocols: 'file',
    dokkuRoot,
    deployEnv: env,
    signingKey: key,
    ...more,
  });
  return {
    upstream,
    bare,
    ours: (...args) => git('--git-dir', gitDir, ...args),
    theirs: (...args) => git('--git-dir', bare, ...args),
  };
}

async function fetched(more: Partial<UpstreamDependencies> = {}): Promise<World> {
  const made = world(more);
  await made.upstream.fetch();
  return made;
}

function hook(bare: string, name: string, script: string): void {
  mkdirSync(join(bare, 'hooks'), { recursive: true });
  writeFileSync(join(bare, 'hooks', name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
}

const spec = (tree: string, more: Partial<CommitSpec> = {}): CommitSpec => ({
  tree,
  parents: [develop],
  message: 'Release 202601.1',
  by,
  at,
  sign: false,
  ...more,
});

const tagSpec = (more: Partial<TagSpec> = {}): TagSpec => ({
  name: '202601.1',
  commit: develop,
  message: 'Release 202601.1\n\nAll of it.',
  by,
  at,
  sign: false,
  ...more,
});

const test = suite('upstream');

/** As fetched, for tests that leave the upstream alone. */
let common: World;

test.before(async () => {
  for (const folder of [dokkuRoot, work, home]) mkdirSync(folder);
  output('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', key]);
  git('init', '--quiet', '--initial-branch', 'master', work);
  write('package.json', versionFile);
  write('run.sh', '#!/bin/sh\n');
  write('server/both.txt', 'one\n');
  write('Größe "1",2\t.txt', 'odd\n');
  chmodSync(join(work, 'run.sh'), 0o755);
  symlinkSync('run.sh', join(work, 'link'));
  master = commit('First');
  git('checkout', '--quiet', '-b', 'develop');
  write('feature.txt', 'feature\n');
  develop = commit('Add a feature');
  developTree = git('rev-parse', 'HEAD^{tree}');
  git('init', '--quiet', '--bare', '--template=', template);
  git('push', '--quiet', template, 'master', 'develop');
  common = await fetched();
});

test.after(() => rmSync(scratch, { recursive: true }));

test('a fetch brings branches and tags, those that are gone go, and nothing else is written', async () => {
  const { upstream, bare, theirs, ours } = world();
  assert.is(await upstream.has(develop), false);
  assert.is((await upstream.branches()).size, 0);
  assert.is((await upstream.tags()).size, 0);
  theirs('tag', 'light', master);
  output('git', ['--git-dir', bare, 'tag', '-m', 'x', 'annotated', master]);
  theirs(
    'update-ref',
    'refs/tags/nested',
    output(
      'git',
      ['mktag'],
      { GIT_DIR: bare },
      [
        `object ${theirs('rev-parse', 'refs/tags/annotated')}`,
        'type tag',
        'tag nested',
        `tagger A <a@b> 1 +0000`,
        '',
        'x\n',
      ].join('\n'),
    ),
  );
  theirs('update-ref', 'refs/pull/1/head', develop);
  theirs('update-ref', 'refs/heads/team/x', develop);
  await upstream.fetch();
  assert.equal(Object.fromEntries(await upstream.branches()), { master, develop, 'team/x': develop });
  const tags = await upstream.tags();
  assert.equal(tags.get('light'), { object: master, commit: master });
  assert.equal(tags.get('annotated'), { object: theirs('rev-parse', 'annotated'), commit: master });
  assert.equal(tags.get('nested'), { object: theirs('rev-parse', 'nested'), commit: master });
  assert.is(tags.size, 3);
  assert.is(await upstream.has(develop), true);

  // Gone, moved back, and a branch where a folder of branches was.
  theirs('update-ref', '-d', 'refs/heads/team/x');
  theirs('update-ref', 'refs/heads/team', master);
  theirs('update-ref', 'refs/heads/develop', master);
  theirs('tag', '-d', 'light', 'nested');
  theirs('tag', '-f', 'annotated', develop);
  await upstream.keep('x', develop);
  await upstream.fetch();
  assert.equal(Object.fromEntries(await upstream.branches()), { master, develop: master, team: master });
  assert.equal([...(await upstream.tags())], [['annotated', { object: develop, commit: develop }]]);
  assert.is(
    ours('for-each-ref', '--format=%(refname)'),
    [
      'refs/flight-launch/x',
      'refs/upstream/heads/develop',
      'refs/upstream/heads/master',
      'refs/upstream/heads/team',
      'refs/upstream/tags/annotated',
    ].join('\n'),
  );
  assert.not.ok(existsSync(join(ours('rev-parse', '--absolute-git-dir'), 'FETCH_HEAD')));
});

test('F30 a repository that a crash left half-made is mended, and two may make it at once', async () => {
  const gitDir = join(mkdtempSync(join(scratch, 'world-')), 'repo.git');
  mkdirSync(join(gitDir, 'refs'), { recursive: true });
  writeFileSync(join(gitDir, 'config'), '[core\n');
  await Promise.all([fetched({ gitDir }), world({ gitDir }).upstream.branches()]);
  assert.is((await world({ gitDir }).upstream.branches()).size, 2);
});

test('no configuration of the user takes part', async () => {
  const other = join(scratch, 'other.git');
  writeFileSync(
    join(home, '.gitconfig'),
    `[url "${other}"]\n\tinsteadOf = ${scratch}\n[push]\n\tpushOption = x\n[commit]\n\tgpgSign = true\n[core]\n\thooksPath = ${scratch}\n`,
  );
  try {
    const { upstream } = await fetched();
    const made = await upstream.commit(spec(developTree));
    assert.equal(await upstream.push([{ ref: 'refs/heads/x', from: null, to: made }]), { accepted: true });
    app('configured');
    assert.is(await upstream.deploy('configured', 'master', develop, () => Promise.resolve()), 0);
  } finally {
    rmSync(join(home, '.gitconfig'));
  }
});

test('commits are compared and listed, whatever is asked for exists or not', async () => {
  const { upstream } = common;
  assert.is(await upstream.contains(develop, master), true);
  assert.is(await upstream.contains(develop, develop), true);
  assert.is(await upstream.contains(master, develop), false);
  await rejects(upstream.contains('f'.repeat(40), develop));
  assert.is(await upstream.has('f'.repeat(40)), false);
  assert.is(await upstream.has(developTree), false);
  const [line, ...others] = await upstream.between(master, develop);
  assert.is(others.length, 0);
  assert.equal([line?.id, line?.author, line?.subject], [develop, 'Ada', 'Add a feature']);
  assert.equal(await upstream.between(develop, master), []);
});

test('I37, I38 the files of a commit are read as they are', async () => {
  git('checkout', '--quiet', '--force', '-B', 'attributes', master);
  write('.gitattributes', '* export-ignore export-subst\n*.txt text eol=crlf\n');
  write('server/subst.txt', '$Format:%H$\n');
  const revision = commit('Attributes');
  const { upstream, bare } = world();
  git('push', '--quiet', bare, 'attributes');
  await upstream.fetch();
  const { stream, done, expected } = await upstream.source(revision).archive(['server']);
  const content = await text(stream);
  await done;
  assert.is(expected, 2);
  assert.match(content, '$Format:%H$\n');
  assert.not.match(content, '\r\n');
});

/** A branch of the upstream with one commit per content of a file. */
function branch(name: string, from: string, path: string, contents: readonly string[]): string {
  git('checkout', '--quiet', '--force', '-B', name, from);
  for (const [index, content] of contents.entries()) {
    write(path, content);
    commit(`${name} ${index + 1}`);
  }
  return git('rev-parse', 'HEAD');
}

test('a clean merge is a tree, and leaves no trace but that', async () => {
  const { upstream, bare, ours } = world();
  const side = branch('side', master, 'server/side.txt', ['side\n']);
  git('push', '--quiet', bare, 'side');
  await upstream.fetch();
  const { tree, conflicts } = await upstream.merge(develop, side);
  assert.is(conflicts, undefined);
  const names = ours('ls-tree', '-r', '--name-only', String(tree)).split('\n');
  assert.ok(names.includes('feature.txt') && names.includes('server/side.txt'));
});

test('F49 a conflict is told with each file and the latest commits of both sides that touched it', async () => {
  const { upstream, bare } = world();
  const left = branch('left', develop, 'server/both.txt', ['a\n', 'b\n', 'c\n', 'd\n']);
  branch('right', master, 'server/both.txt', ['x\n']);
  const right = branch('right', 'right', 'Größe "1",2\t.txt', ['quiet\n']);
  git('push', '--quiet', bare, 'left', 'right');
  await upstream.fetch();
  const { tree, conflicts = [] } = await upstream.merge(left, right);
  assert.is(tree, undefined);
  assert.equal(
    conflicts.map(({ path, ours, theirs }) => [
      path,
      ours.map(({ subject }) => subject),
      theirs.map(({ subject }) => subject),
    ]),
    [['server/both.txt', ['left 4', 'left 3', 'left 2'], ['right 1']]],
  );
});

test('F49 of many conflicts all are told, whatever their names', async () => {
  const { upstream, bare } = world();
  const paths = Array.from({ length: 6 }, (_, index) => `${`${'long'.repeat(50)}/`.repeat(8)}*\n"${index}"`);
  for (const side of ['many-left', 'many-right']) {
    git('checkout', '--quiet', '--force', '-B', side, master);
    for (const path of paths) write(path, side);
    commit(side);
  }
  const [left, right] = [git('rev-parse', 'many-left'), git('rev-parse', 'many-right')];
  git('push', '--quiet', bare, 'many-left', 'many-right');
  await upstream.fetch();
  const { conflicts = [] } = await upstream.merge(left, right);
  assert.equal(conflicts.map(({ path }) => path).sort(), [...paths].sort());
});

test('a merge of histories that are not related is an error, not a conflict', async () => {
  const { upstream } = common;
  const root = await upstream.commit(spec(git('rev-parse', `${master}^{tree}`), { parents: [] }));
  await rejects(upstream.merge(develop, root), /unrelated histories/);
});

test('I78 content is replaced byte for byte, modes and all other files are kept', async () => {
  const { upstream, ours } = common;
  const content = Buffer.from(versionFile.replace('"1"', '"2"'));
  const odd = 'Größe "1",2\t.txt';
  const tree = await upstream.treeWith(
    develop,
    new Map([
      ['package.json', content],
      ['run.sh', Buffer.from([0, 255, 13, 10])],
      [odd, Buffer.from('')],
    ]),
  );
  const source = upstream.source(await upstream.commit(spec(tree)));
  const read = async (path: string) => {
    const entry = await source.entry(path);
    assert.ok(entry !== undefined, path);
    return [entry.mode, await source.read(entry, 1000)];
  };
  assert.equal(await read('package.json'), ['100644', content]);
  assert.equal(await read('run.sh'), ['100755', Buffer.from([0, 255, 13, 10])]);
  assert.equal(await read(odd), ['100644', Buffer.from('')]);
  assert.is(
    ours('-c', 'core.quotePath=false', 'diff-tree', '-r', '--name-only', '-z', develop, tree).split('\0')
      .length,
    4,
  );
  assert.is(await upstream.treeWith(develop, new Map()), developTree);
});

test('a path that is no file of the commit is a bug', async () => {
  const { upstream } = common;
  for (const path of ['none', 'server', 'link', 'run.sh/x', '.', 'server/', '*.sh', '-d']) {
    const error = await rejects(upstream.treeWith(develop, new Map([[path, Buffer.from('')]])), /no file/);
    assert.not.instance(error, UserError);
  }
});

test('the same specification gives the same commit and tag, with the names, dates and message given', async () => {
  const ids = [];
  for (const { upstream, ours } of [common, await fetched()]) {
    const made = await upstream.commit(spec(developTree, { parents: [develop, master] }));
    assert.is(
      ours('cat-file', 'commit', made),
      [
        `tree ${developTree}`,
        `parent ${develop}`,
        `parent ${master}`,
        `author Ada <ada@example.org> ${at / 1000} +0000`,
        `committer Ada <ada@example.org> ${at / 1000} +0000`,
        '',
        'Release 202601.1',
      ].join('\n'),
    );
    const tag = await upstream.tag(tagSpec());
    assert.is(
      ours('cat-file', 'tag', tag),
      [
        `object ${develop}`,
        'type commit',
        'tag 202601.1',
        `tagger Ada <ada@example.org> ${at / 1000} +0000`,
        '',
        'Release 202601.1',
        '',
        'All of it.',
      ].join('\n'),
    );
    assert.not.match(ours('for-each-ref'), 'refs/tags/2');
    ids.push([
      made,
      tag,
      await upstream.commit(spec(developTree, { sign: true })),
      await upstream.tag(tagSpec({ sign: true })),
    ]);
  }
  assert.equal(ids[0], ids[1]);
});

test('a message is kept as it is: comments, quotes, empty lines, other scripts', async () => {
  const { upstream, ours } = common;
  const message = '# no comment\n\n\n$(id) "x" Größe\n\n';
  const raw = (type: string, id: string) =>
    spawnSync('git', ['--git-dir', ours('rev-parse', '--absolute-git-dir'), 'cat-file', type, id], {
      encoding: 'utf8',
      env,
    }).stdout.replace(/^[^]*?\n\n/, '');
  assert.is(raw('commit', await upstream.commit(spec(developTree, { message }))), message);
  assert.is(raw('tag', await upstream.tag(tagSpec({ message }))), message);
  assert.is(raw('commit', await upstream.commit(spec(developTree, { message: 'x' }))), 'x\n');
});

test('signed commits and tags verify with the public half of the key, and with no other', async () => {
  const { upstream, bare } = await fetched();
  const made = await upstream.commit(spec(developTree, { sign: true }));
  const tag = await upstream.tag(tagSpec({ commit: made, sign: true }));
  const tagged: RefUpdate = { ref: 'refs/tags/202601.1', from: null, to: tag };
  assert.equal(await upstream.push([tagged]), { accepted: true });
  const signers = join(scratch, 'signers');
  const verify = (email: string) => {
    writeFileSync(signers, `${email} ${readFileSync(`${key}.pub`, 'utf8')}`);
    const options = [
      '-c',
      'gpg.format=ssh',
      '-c',
      `gpg.ssh.allowedSignersFile=${signers}`,
      '--git-dir',
      bare,
    ];
    git(...options, 'verify-commit', made);
    git(...options, 'verify-tag', '202601.1');
  };
  verify('ada@example.org');
  output('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(scratch, 'other-key')]);
  writeFileSync(signers, `ada@example.org ${readFileSync(join(scratch, 'other-key.pub'), 'utf8')}`);
  const options = ['-c', `gpg.ssh.allowedSignersFile=${signers}`, '--git-dir', bare];
  assert.throws(() => git(...options, 'verify-commit', made));
  assert.throws(() => git(...options, 'verify-tag', '202601.1'));
});

test('an object is kept under a name and let go', async () => {
  const { upstream, ours } = common;
  const tag = await upstream.tag(tagSpec());
  await upstream.keep('releases/202601.1', tag);
  assert.is(ours('rev-parse', 'refs/flight-launch/releases/202601.1'), tag);
  await upstream.keep('releases/202601.1', null);
  await upstream.keep('releases/202601.1', null);
  assert.is(ours('for-each-ref', 'refs/flight-launch'), '');
});

test('a push makes, moves and removes refs at once, and may be said again', async () => {
  const { upstream, theirs } = await fetched();
  theirs('update-ref', 'refs/heads/release/x', master);
  const updates: RefUpdate[] = [
    { ref: 'refs/heads/master', from: master, to: develop },
    { ref: 'refs/tags/202601.1', from: null, to: await upstream.tag(tagSpec()) },
    { ref: 'refs/heads/release/x', from: master, to: null },
  ];
  assert.equal(await upstream.push(updates, true), { accepted: true });
  assert.is(theirs('rev-parse', 'master'), master);
  assert.is(theirs('for-each-ref', 'refs/tags'), '');
  assert.equal(await upstream.push(updates), { accepted: true });
  assert.is(theirs('rev-parse', 'master'), develop);
  assert.is(theirs('rev-parse', '202601.1^{commit}'), develop);
  assert.is(theirs('for-each-ref', 'refs/heads/release'), '');
  // What is there already is taken, whatever was expected (F46).
  assert.equal(await upstream.push(updates.slice(0, 2)), { accepted: true });
});

test('F48, I75 a ref that is not what it has to be is refused, and with it all the others', async () => {
  const { upstream, theirs } = await fetched();
  theirs('tag', '202601.1', master);
  const before = theirs('for-each-ref');
  const good: RefUpdate = { ref: 'refs/heads/new', from: null, to: develop };
  const tag = await upstream.tag(tagSpec());
  const wrong: RefUpdate[] = [
    { ref: 'refs/heads/master', from: develop, to: null },
    { ref: 'refs/heads/develop', from: master, to: await upstream.commit(spec(developTree)) },
    { ref: 'refs/tags/202601.1', from: null, to: tag },
    { ref: 'refs/heads/gone', from: master, to: develop },
    { ref: 'refs/heads/gone', from: master, to: null },
  ];
  for (const update of wrong) {
    for (const dryRun of [true, false]) {
      assert.equal(await upstream.push([good, update], dryRun), {
        accepted: false,
        refused: [{ ref: update.ref, reason: 'it moved on meanwhile' }],
      });
    }
  }
  assert.is(theirs('for-each-ref'), before);
});

test('F48 a ref that moves on while the push is under way is refused by the other side', async () => {
  const { upstream, bare, theirs } = await fetched();
  hook(bare, 'pre-receive', `env -u GIT_QUARANTINE_PATH git update-ref refs/heads/master ${develop}`);
  const made = await upstream.commit(spec(developTree));
  const result = await upstream.push([
    { ref: 'refs/heads/new', from: null, to: made },
    { ref: 'refs/heads/master', from: master, to: made },
  ]);
  assert.is(result.accepted, false);
  assert.is(theirs('rev-parse', 'master'), develop);
  assert.is(theirs('for-each-ref', 'refs/heads/new'), '');
});

test('F47 a protected branch is refused with what the server says, printable, and nothing is taken', async () => {
  const { upstream, bare, theirs } = await fetched();
  hook(
    bare,
    'update',
    '[ "$1" = refs/heads/master ] || exit 0; printf "error: GH006: Protected branch.\\nUse a \\033[1mpull request\\n" >&2; exit 1',
  );
  const before = theirs('for-each-ref');
  const updates: RefUpdate[] = [
    { ref: 'refs/heads/new', from: null, to: develop },
    { ref: 'refs/heads/master', from: master, to: develop },
    { ref: 'refs/heads/other', from: null, to: develop },
  ];
  assert.equal(await upstream.push(updates), {
    accepted: false,
    refused: [
      {
        ref: 'refs/heads/master',
        reason: 'hook declined; GH006: Protected branch.; Use a \\u001b[1mpull request',
      },
    ],
  });
  assert.is(theirs('for-each-ref'), before);
});

test('I70, I71, I77 refs and branches that look like options are refs', async () => {
  const { upstream, theirs } = await fetched();
  const names = ['refs/heads/-d', 'refs/heads/--output=x', 'refs/tags/--upload-pack=y', 'refs/heads/+x'];
  assert.equal(await upstream.push(names.map((ref) => ({ ref, from: null, to: develop }))), {
    accepted: true,
  });
  for (const ref of names) assert.is(theirs('rev-parse', '--verify', ref), develop);
  await upstream.fetch();
  assert.is((await upstream.branches()).get('--output=x'), develop);
  assert.is((await upstream.tags()).get('--upload-pack=y')?.commit, develop);
  for (const dash of ['-d', '--output=x', '--help', '--all']) {
    assert.is(await upstream.has(dash), false);
    await rejects(upstream.contains(dash, develop));
    await rejects(upstream.between(dash, develop));
    await rejects(upstream.merge(dash, develop));
    await rejects(upstream.treeWith(dash, new Map()));
  }
});

test('I72, I73, I74 names that git does not take for refs are an error, and nothing is written', async () => {
  const { upstream, theirs } = await fetched();
  const before = theirs('for-each-ref');
  for (const name of ['a..b', 'x.lock', 'a b', '.x', 'x/', '*', 'a:b', '']) {
    const bad: RefUpdate = { ref: `refs/heads/${name}`, from: null, to: develop };
    const good: RefUpdate = { ref: 'refs/heads/good', from: null, to: develop };
    await rejects(upstream.push([good, bad]), UserError);
  }
  assert.is(theirs('for-each-ref'), before);
});

test('I76, I77 a URL starts no program', async () => {
  const canary = join(scratch, 'canary');
  const script = join(scratch, 'canary.sh');
  writeFileSync(script, `#!/bin/sh\ntouch ${canary}\n`, { mode: 0o755 });
  const urls = [
    `ext::${script}`,
    `--upload-pack=${script}`,
    `-u${script}`,
    `fd::0`,
    `ssh://-oProxyCommand=${script}/x`,
    `-oProxyCommand=${script}:x`,
    template,
    `file://${template}`,
    'git://127.0.0.1:9/x',
    'http://127.0.0.1:9/x',
  ];
  const gitDir = common.ours('rev-parse', '--absolute-git-dir');
  for (const url of urls) {
    const { upstream } = world({ gitDir, url, shownUrl: 'shown', protocols: 'ssh:https' });
    const error = await rejects(upstream.fetch(), UserError);
    assert.match(error.message, 'shown');
    await rejects(upstream.push([{ ref: 'refs/heads/x', from: null, to: null }]), UserError);
  }
  assert.not.ok(existsSync(canary));
});

/** Where ssh is a script. */
const bySsh = (script: string, more: Partial<UpstreamDependencies> = {}) => {
  const folder = mkdtempSync(join(scratch, 'ssh-'));
  writeFileSync(join(folder, 'ssh'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return world({
    url: 'ssh://git@example.org/shop.git',
    shownUrl: 'ssh://git@example.org/shop.git',
    protocols: 'ssh:https',
    transport: { GIT_SSH_COMMAND: join(folder, 'ssh'), GIT_SSH_VARIANT: 'ssh' },
    ...more,
  });
};

test('F45 an upstream that hangs is left after the limit, and the ssh that waits for it is ended', async () => {
  const { upstream } = bySsh('exec sleep 60', { timeoutMs: 500 });
  const started = Date.now();
  const error = await rejects(upstream.fetch(), UserError);
  // What git prints has been read to its end, and `sleep` would still hold it.
  assert.ok(Date.now() - started < 30_000);
  assert.is(error.message, 'ssh://git@example.org/shop.git did not answer within 1s');
  assert.match(String(error.remedy), 'flight-launch:set shop upstream-timeout');
});

test('what ssh and the server say becomes one clear error, what is unknown is shown', async () => {
  const { upstream } = bySsh('echo "git@example.org: Permission denied (publickey)." >&2; exit 255');
  const denied = await rejects(upstream.fetch(), UserError);
  assert.is(denied.message, 'ssh://git@example.org/shop.git does not let us in');
  assert.match(String(denied.remedy), 'dokku flight-launch:setup shop');
  assert.match(denied.details.join('\n'), 'Permission denied (publickey).');

  const odd = bySsh('printf "all \\033[31mwrong\\n" >&2; exit 1');
  const error = await rejects(
    odd.upstream.push([{ ref: 'refs/heads/x', from: master, to: null }]),
    UserError,
  );
  assert.match(error.details.join('\n'), 'all \\u001b[31mwrong');
});

test('F45 a connection that breaks before the answer to a push is an error, not a refusal', async () => {
  // The server's end of the push dies once it has all.
  const dies = await fetched();
  const { upstream } = bySsh('for last; do :; done; exec sh -c "$last"', {
    url: `ssh://git@example.org${dies.bare}`,
  });
  hook(dies.bare, 'pre-receive', 'kill -9 $PPID');
  await upstream.fetch();
  const error = await rejects(upstream.push([{ ref: 'refs/heads/x', from: null, to: develop }]), UserError);
  assert.match(error.message, 'the connection to ssh://git@example.org/shop.git broke');
});

test('nothing asks for a password, and that of a URL is not shown', async () => {
  const { upstream } = world({
    url: 'https://git:s%40cret@127.0.0.1:9/shop.git',
    shownUrl: 'https://127.0.0.1:9/shop.git',
    protocols: 'ssh:https',
  });
  const error = await rejects(upstream.fetch(), UserError);
  assert.not.match([error.message, ...error.details, error.remedy, error.cause].join('\n'), /s(%40|@)cret/);
  assert.is(error.message, 'https://127.0.0.1:9/shop.git cannot be reached');
});

test('over https, by the token in the URL: fetch, push, and each thing that may be wrong', async () => {
  const { bare, theirs } = world();
  const server = await serveGitOverHttps(dirname(bare), scratch, {
    'ada:may%write': 'write',
    'ada:may-read': 'read',
  });
  const at = (token: string, name = 'upstream.git', transport = { GIT_SSL_CAINFO: server.caFile }) =>
    world({
      url: `https://ada:${token}@127.0.0.1:${server.port}/${name}`,
      shownUrl: 'the upstream',
      protocols: 'ssh:https',
      transport,
    }).upstream;
  const hidden = (error: UserError) => {
    const text = [error.message, ...error.details, error.remedy, error.cause].join('\n');
    assert.not.match(text, /may(%25|%)write|may-read|mistyped/);
    // Over https there is none.
    assert.not.match(text, /deploy key/);
    return `${error.message}. ${String(error.remedy)}`;
  };
  try {
    const upstream = at('may%25write');
    await upstream.fetch();
    assert.equal((await upstream.branches()).get('develop'), develop);
    const update: RefUpdate = { ref: 'refs/heads/pushed', from: null, to: develop };
    assert.equal(await upstream.push([update], true), { accepted: true });
    assert.not.match(theirs('for-each-ref'), 'pushed');
    assert.equal(await upstream.push([update]), { accepted: true });
    assert.is(theirs('rev-parse', 'refs/heads/pushed'), develop);
    hook(bare, 'pre-receive', 'echo "the branch is protected" >&2; exit 1');
    const refused = await upstream.push([{ ref: 'refs/heads/other', from: null, to: develop }]);
    assert.equal(refused, {
      accepted: false,
      refused: [{ ref: 'refs/heads/other', reason: 'pre-receive hook declined; the branch is protected' }],
    });

    const reader = at('may-read');
    await reader.fetch();
    const wrong: [problem: RegExp, work: () => Promise<unknown>][] = [
      [/^the upstream does not let us in\. Look at user and token in the URL/, () => at('mistyped').fetch()],
      [
        /^the upstream does not let us in\. Look at user and token in the URL/,
        () => reader.push([update], true),
      ],
      [
        /^there is no repository at the upstream.*let the token in it read/,
        () => at('may-read', 'none.git').fetch(),
      ],
      [
        /^the certificate of the upstream is not trusted\. If it is of a CA of your own/,
        () =>
          at('may-read', 'upstream.git', { GIT_SSL_CAINFO: '/etc/ssl/certs/ca-certificates.crt' }).fetch(),
      ],
    ];
    for (const [problem, work] of wrong) assert.match(hidden(await rejects(work(), UserError)), problem);
  } finally {
    await server.close();
  }
});

/** An app's bare repository below dokkuRoot. */
function app(name: string): string {
  const bare = join(dokkuRoot, name);
  git('init', '--quiet', '--bare', '--template=', bare);
  return bare;
}

test('a commit of an app is taken, also one that no ref points at', async () => {
  const bare = app('taken');
  git('push', '--quiet', bare, `${develop}:refs/heads/master`);
  git('--git-dir', bare, 'update-ref', 'refs/heads/master', master);
  const { upstream, ours } = world();
  await upstream.take('taken', develop);
  assert.is(await upstream.has(develop), true);
  assert.is(ours('for-each-ref', '--format=%(refname)'), `refs/flight-launch/taken/${develop}`);
  const none = 'f'.repeat(40);
  const error = await rejects(upstream.take('taken', none), UserError);
  assert.is(error.message, `commit ${none} is not in the repository of taken`);
});

test('a deploy is a push like that of a user: no variable of ours reaches Dokku', async () => {
  const bare = app('deployed');
  const seen = join(scratch, 'seen');
  hook(bare, 'pre-receive', `env | sed 's/=.*//' | sort >${seen}; cat >>${seen}`);
  git('push', '--quiet', bare, `${develop}:refs/heads/master`);
  const { upstream } = await fetched({
    transport: { GIT_SSH_COMMAND: 'ssh -x' },
    env: { ...env, FLIGHT_LAUNCH_JOB: 'x' },
    deployEnv: { ...env, SSH_NAME: 'ada' },
  });
  let pid = 0;
  const started = (id: number) => {
    pid = id;
    return Promise.resolve();
  };
  // Backwards, too.
  assert.is(await upstream.deploy('deployed', 'master', master, started), 0);
  assert.ok(pid > 0);
  assert.is(git('--git-dir', bare, 'rev-parse', 'master'), master);
  const names = readFileSync(seen, 'utf8').trim().split('\n');
  assert.is(names.pop(), `${develop} ${master} refs/heads/master`);
  assert.ok(names.includes('SSH_NAME'));
  assert.not.ok(names.includes('FLIGHT_LAUNCH_JOB'));
  assert.equal(
    names.filter((name) => name.startsWith('GIT_')),
    gitVariablesOfAPush(seen),
  );
  assert.is(await upstream.deploy('deployed', 'master', master, started), 0);
  hook(bare, 'pre-receive', 'exit 1');
  assert.is(await upstream.deploy('deployed', 'master', develop, started), 1);
  assert.is(git('--git-dir', bare, 'rev-parse', 'master'), master);
});

/** Those that git sets itself for a hook, as seen in a plain push. */
function gitVariablesOfAPush(seen: string): string[] {
  const bare = app('plain');
  hook(bare, 'pre-receive', `env | sed 's/=.*//' | sort >${seen}`);
  git('push', '--quiet', bare, `${master}:refs/heads/x`);
  return readFileSync(seen, 'utf8')
    .split('\n')
    .filter((name) => name.startsWith('GIT_') && !/^GIT_(AUTHOR|COMMITTER)_/.test(name));
}

test.run();
