import { readFileSync } from 'node:fs';
import { configurationJsonSchema, parseConfiguration } from '../../src/domain/configuration';
import { UserError } from '../../src/domain/errors';
import { assert, suite } from '../support/suite';
import { thrown } from '../support/thrown';

const test = suite('configuration');

const mistakes = (value: unknown) => mistakesIn(JSON.stringify(value));

function mistakesIn(text: string): readonly string[] {
  const error = thrown(() => parseConfiguration(text), UserError);
  assert.is(error.exit, 2);
  assert.match(error.message, /^flight-launch\.json has (a mistake|\d+ mistakes)$/);
  assert.match(error.remedy ?? '', /commit and push again/);
  return error.details;
}

const defaults = {
  client: { folder: 'client', env: [], inputs: [], installInputs: [], network: false },
  server: { folder: 'server', public: 'public' },
};

test('without a file, and with an empty one, everything has its default', () => {
  assert.equal(parseConfiguration(undefined), defaults);
  assert.equal(parseConfiguration('{}'), defaults);
  assert.equal(parseConfiguration('{"client": {}, "server": {}}'), defaults);
});

test('I78 a byte order mark before the text is no mistake', () => {
  assert.equal(parseConfiguration('\uFEFF{}'), defaults);
});

test('every key is read', () => {
  const full = {
    client: {
      folder: 'web/client',
      image: 'registry.example:5000/node@sha256:0123',
      install: 'npm ci',
      build: 'npm run build',
      output: 'out',
      env: ['VITE_API_URL'],
      inputs: ['shared', '.nvmrc'],
      installInputs: ['patches', '../../shared/package.json'],
      network: true,
    },
    server: { folder: '.', public: 'static/assets' },
    versionFiles: [
      'server/VERSION',
      { file: 'client/package.json', pointer: '/version' },
      { file: 'server/lib/version.rb', pattern: "VERSION = '(.*)'" },
    ],
  };
  assert.equal(parseConfiguration(JSON.stringify({ $schema: 'docs/x.json', ...full })), full);
});

test('paths come out in their shortest form, so that one folder has one client key', () => {
  const { client, server } = parseConfiguration(
    JSON.stringify({ client: { folder: './web//client/', inputs: ['a/./b/'] }, server: { folder: './' } }),
  );
  assert.is(client.folder, 'web/client');
  assert.equal(client.inputs, ['a/b']);
  assert.is(server.folder, '.');
});

test('all mistakes are listed at once, each with its path, what was found and what is allowed', () => {
  const found = mistakes({
    client: { folder: 5, image: 'UP:er', output: '../x', env: ['A', '9x', 'PATH'], network: 'yes', foo: 1 },
    server: null,
    versionFiles: 'server/VERSION',
    bar: 2,
  });
  for (const pattern of [
    /^client\.folder: found 5 \(number\); allowed: a subfolder of the repository/,
    /^client\.image: found "UP:er" \(string\); allowed: a Docker image such as/,
    /^client\.output: found "\.\.\/x" \(string\); allowed: a subfolder of the client.*without `\.\.`/,
    /^client\.env\[1\]: found "9x" \(string\); allowed: the name of an environment variable$/,
    /^client\.env\[2\]: found "PATH" \(string\); allowed: a variable other than PATH, HOME and CI/,
    /^client\.network: found "yes" \(string\); allowed: `true` or `false`$/,
    /^client\.foo: unknown key; allowed here: folder, image, install, build, output, env, inputs, installInputs, network$/,
    /^server: found null \(null\); allowed: an object$/,
    /^versionFiles: found "server\/VERSION" \(string\); allowed: a list of version files$/,
    /^bar: unknown key; allowed here: client, server, versionFiles$/,
  ]) {
    assert.is(
      found.filter((line) => pattern.test(line)).length,
      1,
      `${String(pattern)} in ${found.join('\n')}`,
    );
  }
  assert.is(found.length, 10);
});

const paths: [rule: string, path: string][] = [
  ['I1 ..', '../x'],
  ['I1 .. alone', '..'],
  ['I2 a way out of the middle', 'a/../../x'],
  ['I3 an absolute path', '/etc'],
  ['I27 .. behind a line break', 'a\n/../../../x'],
  ['I27 a line break', 'a\nb'],
  ['I28 an escape sequence', 'a\u001b[2J'],
  ['I29 a leading dash', '--output=x'],
  ['a backslash', 'a\\b'],
  ['a NUL', 'a\0b'],
  ['nothing', ''],
];

for (const [rule, path] of paths) {
  test(`no folder setting takes ${rule}`, () => {
    for (const [where, value] of [
      ['client.folder', { client: { folder: path } }],
      ['client.output', { client: { output: path } }],
      ['client.inputs[0]', { client: { inputs: [path] } }],
      ['server.folder', { server: { folder: path } }],
      ['server.public', { server: { public: path } }],
      ['versionFiles[0]', { versionFiles: [path] }],
      ['versionFiles[0].file', { versionFiles: [{ file: path, pointer: '/version' }] }],
    ] as const) {
      const [mistake, ...others] = mistakes(value);
      assert.is(others.length, 0);
      assert.ok(mistake?.startsWith(`${where}: found `), mistake);
    }
  });
}

test('only the server may be the whole repository', () => {
  for (const value of [
    { client: { folder: '.' } },
    { client: { folder: './' } },
    { client: { output: '.' } },
    { server: { public: './.' } },
  ]) {
    assert.match(mistakes(value)[0] ?? '', /found "\.\/?\.?" \(string\); allowed: a subfolder of/);
  }
});

test('I10 a server beside the client, but not in it', () => {
  assert.is(parseConfiguration('{"server": {"folder": "client-server"}}').server.folder, 'client-server');
  for (const folder of ['client', 'client/server', './client/']) {
    assert.match(
      mistakes({ server: { folder } })[0] ?? '',
      /^server\.folder: found "client.*", which lies in client\.folder "client"; allowed: /,
    );
  }
});

test('installInputs may leave the client but not the repository', () => {
  const inside = { client: { folder: 'web/client', installInputs: ['../../shared', '..'] } };
  assert.equal(parseConfiguration(JSON.stringify(inside)).client.installInputs, ['../../shared', '..']);
  assert.match(
    mistakes({ client: { folder: 'web/client', installInputs: ['patches', '../../../etc'] } })[0] ?? '',
    /^client\.installInputs\[1\]: found "\.\.\/\.\.\/\.\.\/etc", which leaves the repository; allowed: /,
  );
  for (const path of ['/etc', '-x', 'a\nb', '']) {
    assert.match(
      mistakes({ client: { installInputs: [path] } })[0] ?? '',
      /^client\.installInputs\[0\]: found .*; allowed: a path relative to the client/,
    );
  }
});

test('mistakes that show in a comparison are listed along with all others', () => {
  assert.equal(
    mistakes({
      client: { folder: 'web', output: '..', env: ['A', '9', 'A'], installInputs: [7, '../../etc'] },
      server: { folder: 'web/api', colour: 1 },
    }).map((line) => line.replace(/: .*/, '')),
    [
      ...['client.output', 'client.env[1]', 'client.installInputs[0]', 'server.colour'],
      ...['client.env', 'server.folder', 'client.installInputs[1]'],
    ],
  );
});

test('what is wrong by itself is not compared as well', () => {
  for (const file of [
    { client: { folder: '../x', installInputs: ['../../etc'] }, server: { folder: 'client' } },
    { client: 7, server: { folder: 'client' } },
    { client: {}, server: { folder: '/client' } },
    { client: { installInputs: ['/../../etc'] } },
    { client: { env: ['9', '9'], folder: 'client' }, server: {} },
  ]) {
    for (const line of mistakes(file)) assert.not.match(line, /lies in|leaves the repository|more than once/);
  }
});

test('every variable that is named more than once is told', () => {
  assert.equal(mistakes({ client: { env: ['A', 'B', 'A', 'B', 'A'] } }), [
    'client.env: found "A" more than once; allowed: each variable once',
    'client.env: found "B" more than once; allowed: each variable once',
  ]);
});

test('variables that the build container sets itself are not taken from the app', () => {
  for (const name of ['PATH', 'HOME', 'CI']) {
    assert.match(mistakes({ client: { env: [name] } })[0] ?? '', /a variable other than PATH, HOME and CI/);
  }
});

test('a command is a text with something in it and without a NUL', () => {
  for (const build of ['', ' \n', 'a\0b', '\0', 5]) {
    assert.match(
      mistakes({ client: { build } })[0] ?? '',
      /^client\.build: found .*; allowed: a shell command$/,
    );
  }
  assert.match(mistakes({ client: { install: 'x'.repeat(4097) } })[0] ?? '', /at most 4096 characters$/);
  assert.is(parseConfiguration('{"client": {"build": "a &&\\n b"}}').client.build, 'a &&\n b');
});

test('what is wrong with a version file is said where it is', () => {
  assert.equal(
    mistakes({
      versionFiles: [
        'server/VERSION',
        5,
        { file: 'a', pointer: 'version' },
        { file: 'b', pattern: 'no group' },
        { file: 'b', pattern: '(two)(groups)' },
        { file: 'b', pattern: '((((' },
        { file: 'a', pointer: '/v', x: 1 },
      ],
    }).map((line) =>
      line.replace(/; allowed: a path, or an object with `file`.*/, '; allowed: one of three'),
    ),
    [
      'versionFiles[1]: found 5 (number); allowed: one of three',
      'versionFiles[2].pointer: found "version" (string); allowed: a JSON pointer such as `/version`',
      'versionFiles[3].pattern: found "no group" (string); allowed: a regular expression with exactly one group',
      'versionFiles[4].pattern: found "(two)(groups)" (string); allowed: a regular expression with exactly one group',
      'versionFiles[5].pattern: found "((((" (string); allowed: a regular expression with exactly one group',
      'versionFiles[6].x: unknown key; allowed here: file, pointer, pattern',
    ],
  );
});

test('keys that every object has are unknown keys too', () => {
  assert.match(mistakesIn('{"__proto__": {}}')[0] ?? '', /^__proto__: unknown key/);
  assert.match(mistakesIn('{"constructor": 1}')[0] ?? '', /^constructor: unknown key/);
  assert.match(mistakesIn('{"client": {"toString": 1}}')[0] ?? '', /^client\.toString: unknown key/);
});

test('the whole file may be of a wrong type', () => {
  assert.equal(mistakesIn('[]'), ['(whole file): found [] (a list); allowed: an object']);
  assert.equal(mistakesIn('null'), ['(whole file): found null (null); allowed: an object']);
});

test('text that is no JSON is told with its line', () => {
  assert.match(mistakesIn('{\n  "client": {},\n}')[0] ?? '', /^not valid JSON: .*line 3/);
  assert.match(mistakesIn('')[0] ?? '', /^not valid JSON: /);
  assert.match(mistakesIn('<<<<<<< HEAD\n{}')[0] ?? '', /^not valid JSON: /);
});

test('I27, I28 each mistake is one line, without control characters, whatever the file holds', () => {
  const hostile = 'x\u001b[2J\n\u009b31m\u202e';
  const found = [
    ...mistakes({ [hostile]: 1, client: { [hostile]: 1, folder: hostile, image: hostile } }),
    ...mistakesIn(`{"client": ${hostile}}`),
    ...mistakesIn('{"a": \n\u001b[2J}'),
    ...mistakes({ client: { folder: 'a\u202eb' }, server: { folder: 'a\u202eb/c' } }),
  ];
  assert.is(found.length, 7);
  for (const line of found) assert.not.match(line, /[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/);
});

test('a long value is shown by its beginning', () => {
  const [line = ''] = mistakes({ client: { network: 'x'.repeat(5000) } });
  assert.ok(line.length < 200, `${String(line.length)} characters`);
});

test('the published schema is that of this version', () => {
  assert.is(
    readFileSync('docs/flight-launch.schema.json', 'utf8'),
    `${JSON.stringify(configurationJsonSchema(), undefined, 2)}\n`,
  );
});

test('the published schema says of the same texts whether they are right', () => {
  const patterns = new Map(stringPatterns(configurationJsonSchema()));
  const folder = patterns.get('folder');
  assert.ok(folder !== undefined);
  for (const good of ['client', 'a/b', 'a..b', '.hidden']) assert.match(good, folder);
  for (const [rule, path] of paths) {
    assert.not.match(path, folder, rule);
  }
});

function stringPatterns(schema: unknown): [key: string, pattern: RegExp][] {
  if (typeof schema !== 'object' || schema === null) return [];
  return Object.entries(schema).flatMap(([key, value]): [string, RegExp][] => {
    const pattern = (value as { pattern?: unknown } | null)?.pattern;
    return [
      ...(typeof pattern === 'string' ? [[key, new RegExp(pattern, 'u')] as [string, RegExp]] : []),
      ...stringPatterns(value),
    ];
  });
}

test.run();
