import { childEnvironment } from '../../src/domain/environment';
import { ProcessError, UsageError, UserError, type ProcessFailure } from '../../src/domain/errors';
import { describeValue, isInside, normalizePath, printable, quoted } from '../../src/domain/paths';
import { assert, suite } from '../support/suite';

const errors = suite('errors');

errors('a user error ends with 1, a usage error with 2, unless it says otherwise', () => {
  assert.is(new UserError('x').exit, 1);
  assert.is(new UserError('x', { exit: 4 }).exit, 4);
  assert.is(new UsageError('x').exit, 2);
  assert.instance(new UsageError('x'), UserError);
  assert.equal(new UserError('x').details, []);
});

const failure: ProcessFailure = {
  command: ['git', 'push'],
  exitCode: 1,
  signal: undefined,
  timedOut: false,
  durationMs: 1234,
  stdout: 'out\n',
  stderr: 'err\n',
};

errors('a process error tells the command, how it ended, how long it took and what it said', () => {
  const texts: [Partial<ProcessFailure>, string][] = [
    [{}, '`git push` exited with 1 after 1.2 s: err'],
    [{ stderr: ' ' }, '`git push` exited with 1 after 1.2 s: out'],
    [{ stderr: '', stdout: '' }, '`git push` exited with 1 after 1.2 s'],
    [{ exitCode: undefined, signal: 'SIGKILL' }, '`git push` was ended by SIGKILL after 1.2 s: err'],
    [
      { exitCode: undefined, signal: 'SIGTERM', timedOut: true },
      '`git push` ran past its time after 1.2 s: err',
    ],
    [{ exitCode: undefined }, '`git push` could not be started after 1.2 s: err'],
  ];
  for (const [change, text] of texts) assert.is(new ProcessError({ ...failure, ...change }).message, text);
});

errors.run();

const environment = suite('child environment');

environment('H9, H12, H17, H21 drops what would redirect or change a child', () => {
  const dropped = [
    'GIT_DIR',
    'GIT_OBJECT_DIRECTORY',
    'GIT_CONFIG_COUNT',
    'NODE_OPTIONS',
    'NODE_EXTRA_CA_CERTS',
    'LD_PRELOAD',
    'BASH_ENV',
    'ENV',
    'SSH_ORIGINAL_COMMAND',
    'DOKKU_APP_NAME',
    'DOKKU_TRACE',
    'DOKKU_APPS_FORCE_DELETE',
    'DOKKU_REDIRECT_OUTPUT',
    'DOKKU_BUILD_ID',
    'DOKKU_BUILD_LOG_FILE',
  ];
  assert.equal(childEnvironment(Object.fromEntries(dropped.map((name) => [name, 'x']))), {});
});

environment("keeps Dokku's settings, which reach triggers only through it", () => {
  const kept = {
    PATH: '/usr/bin',
    HOME: '/home/dokku',
    DOKKU_ROOT: '/home/dokku',
    DOKKU_LIB_ROOT: '/var/lib/dokku',
    DOKKU_PID: '1',
    DOCKER_HOST: 'tcp://x',
    DOKKU_QUIET_OUTPUT: '1',
    PLUGIN_PATH: '/p',
    SSH_NAME: 'ada',
    FINGERPRINT: 'SHA256:x',
    HTTPS_PROXY: 'http://proxy',
    LC_ALL: 'C',
    MY_BASH_ENV: 'x',
    EMPTY: '',
  };
  assert.equal(childEnvironment({ ...kept, UNSET: undefined }), kept);
});

environment.run();

const paths = suite('paths');

paths('a path in its shortest form', () => {
  for (const [path, normal] of [
    ['a/./b/', 'a/b'],
    ['./', '.'],
    ['a//b', 'a/b'],
    ['a/../..', '..'],
    ['a/b/..', 'a'],
  ] as const) {
    assert.is(normalizePath(path), normal);
  }
});

paths('I10 a folder holds what is below it, and no sibling that begins with its name', () => {
  assert.ok(isInside('client', 'client'));
  assert.ok(isInside('client/src', 'client'));
  assert.ok(isInside('anything', '.'));
  assert.not.ok(isInside('clients', 'client'));
  assert.not.ok(isInside('client-old/x', 'client'));
  assert.not.ok(isInside('web/client', 'client'));
});

const hostile = '\u0000\t\n\r\u001b[2J\u007f\u009b31m\u2028\u202e\u2066';

paths('I27, I28, I51 text from outside is shown without control characters, in one line', () => {
  for (const shown of [
    printable(hostile),
    quoted(hostile),
    describeValue(hostile),
    describeValue([hostile]),
  ]) {
    assert.not.match(shown, /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066]/);
  }
  assert.is(printable('a\nb'), 'a\\u000ab');
  assert.is(printable('Größe 大'), 'Größe 大');
});

paths('long text is cut', () => {
  assert.is(printable('x'.repeat(300)).length, 201);
  assert.is(printable('x'.repeat(300), 10), `${'x'.repeat(10)}…`);
  assert.ok(describeValue('x'.repeat(5000)).length < 120);
});

paths('a value is shown with its type', () => {
  assert.equal([undefined, null, 5, 'a', [1], { a: 1 }, true].map(describeValue), [
    'nothing',
    'null (null)',
    '5 (number)',
    '"a" (string)',
    '[1] (a list)',
    '{"a":1} (object)',
    'true (boolean)',
  ]);
});

paths.run();
