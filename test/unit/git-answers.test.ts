import { noAnswer, parseMergeTree, parseRefusal, upstreamError } from '../../src/domain/git-answers';
import { assert, suite } from '../support/suite';

const upstream = {
  pipeline: 'shop',
  url: 'git@example.org:a/shop.git',
  shownUrl: 'git@example.org:a/shop.git',
};

const test = suite('what git says');

// What ssh, curl, git and hosts of repositories print, with what people are told.
const cases: [said: string, problem: RegExp, remedy: RegExp][] = [
  ['ssh: Could not resolve hostname nowhere.example: Name or service not known', /cannot be reached/, /URL/],
  ['ssh: connect to host example.org port 22: Connection refused', /cannot be reached/, /URL/],
  ['ssh: connect to host example.org port 22: Connection timed out', /cannot be reached/, /URL/],
  ['ssh: connect to host 10.0.0.1 port 22: No route to host', /cannot be reached/, /URL/],
  [
    "fatal: unable to access 'https://127.0.0.1:9/x/': Failed to connect to 127.0.0.1 port 9 after 0 ms: Couldn't connect to server",
    /cannot be reached/,
    /URL/,
  ],
  [
    "fatal: unable to access 'https://nowhere.example/x/': Could not resolve host: nowhere.example",
    /cannot be reached/,
    /URL/,
  ],
  [
    'No ED25519 host key is known for example.org and you have requested strict checking.\nHost key verification failed.',
    /host key of .* is not known/,
    /setup shop --upstream URL/,
  ],
  [
    '@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key for example.org has changed and you have requested strict checking.\nHost key verification failed.',
    /host key of .* is another/,
    /Find out why/,
  ],
  ['git@example.org: Permission denied (publickey).', /does not let us in/, /Add the deploy key/],
  [
    "fatal: could not read Username for 'https://example.org': terminal prompts disabled",
    /does not let us in/,
    /deploy key/,
  ],
  ["fatal: Authentication failed for 'https://example.org/x/'", /does not let us in/, /deploy key/],
  [
    'ERROR: The key you are authenticating with has been marked as read only.',
    /not let us write/,
    /right to write/,
  ],
  ['ERROR: Permission to a/shop.git denied to deploy key', /not let us write/, /right to write/],
  [
    'remote: You are not allowed to push code to this project.\nfatal: Could not read from remote repository.',
    /not let us write/,
    /right to write/,
  ],
  ['ERROR: Repository not found.\nfatal: Could not read from remote repository.', /no repository at/, /URL/],
  ["fatal: '/a/shop.git' does not appear to be a git repository", /no repository at/, /URL/],
  ["remote: Not Found\nfatal: repository 'https://example.org/x/' not found", /no repository at/, /URL/],
  ['kex_exchange_identification: read: Connection reset by peer', /connection to .* broke/, /Try again/],
  ['Connection closed by 10.0.0.1 port 22', /connection to .* broke/, /Try again/],
  ['fatal: the remote end hung up unexpectedly', /connection to .* broke/, /Try again/],
  ["fatal: transport 'ext' not allowed", /git cannot work with/, /setup shop --upstream URL/],
];

test('a failure is told in one line, with what was said below it and what to do', () => {
  for (const [said, problem, remedy] of cases) {
    const error = upstreamError(upstream, `${said}\n`);
    assert.match(error.message, problem, said);
    assert.match(error.message, upstream.shownUrl);
    assert.match(String(error.remedy), remedy, said);
    assert.equal(error.details, said.split('\n'));
  }
});

test('of long output the last lines are shown, without control characters', () => {
  const lines = Array.from({ length: 30 }, (_, index) => `line ${index}\u001b[2J`);
  const { details } = upstreamError(upstream, lines.join('\r\n'));
  assert.is(details.length, 10);
  assert.is(details.at(-1), 'line 29\\u001b[2J');
});

test('the password of a URL is shown in no form', () => {
  const url = 'https://bot:p%40ss@example.org/shop.git';
  const shownUrl = 'https://example.org/shop.git';
  const error = upstreamError({ pipeline: 'shop', url, shownUrl }, `a ${url}\nb p%40ss\nc p@ss\n`);
  assert.equal(error.details, [`a ${shownUrl}`, 'b [REDACTED]', 'c [REDACTED]']);
  assert.not.match(error.message, 'p%40ss');
});

test('an upstream that does not answer is told with the limit', () => {
  assert.is(noAnswer(upstream, '5m').message, 'git@example.org:a/shop.git did not answer within 5m');
});

test('a refusal names the refs that caused it', () => {
  const stdout = [
    'To example.org:a/shop.git',
    '=\trefs/heads/a:refs/heads/a\t[up to date]',
    '!\t1234:refs/heads/new\t[remote rejected] (atomic push failure)',
    '!\t1234:refs/heads/develop\t[remote rejected] (protected branch hook declined)',
    '!\t:refs/heads/release/1\t[rejected] (stale info)',
    'Done',
    '',
  ].join('\n');
  const stderr =
    'remote: error: GH006: Protected branch update failed.        \nremote: \nerror: failed to push\n';
  assert.equal(parseRefusal(stdout, stderr), {
    accepted: false,
    refused: [
      {
        ref: 'refs/heads/develop',
        reason: 'protected branch hook declined; GH006: Protected branch update failed.',
      },
      { ref: 'refs/heads/release/1', reason: 'it moved on meanwhile' },
    ],
  });
});

test('a transaction that failed upstream is a refusal of all', () => {
  const stdout = ['a', 'b'].map(
    (name) => `!\t1:refs/heads/${name}\t[remote rejected] (atomic transaction failed)`,
  );
  const result = parseRefusal(stdout.join('\n'), '');
  assert.is(result?.accepted === false && result.refused.length, 2);
});

test('F46 where the answer is lost nothing is known: that is no refusal', () => {
  assert.is(parseRefusal('', 'fatal: the remote end hung up unexpectedly\n'), undefined);
  const lost = '!\t1:refs/heads/a\t[remote failure] (remote failed to report status)';
  assert.is(parseRefusal(`!\t1:refs/heads/b\t[remote rejected] (x)\n${lost}\n`, ''), undefined);
});

test('a conflict of which only the message names the paths is one of these paths', () => {
  const tree = '8'.repeat(40);
  const messages = [
    '1',
    'g',
    'Auto-merging',
    'Auto-merging g\n',
    '2',
    'a',
    'b',
    'CONFLICT (file location)',
    'x\n',
    '',
  ];
  assert.equal(parseMergeTree([tree, '', ...messages].join('\0')), { tree, conflicts: ['a', 'b'] });
  assert.equal(parseMergeTree([tree, 'f', 'f', '', ...messages].join('\0')), { tree, conflicts: ['f'] });
  assert.equal(parseMergeTree(`${tree}\0`), { tree, conflicts: [] });
});

test.run();
