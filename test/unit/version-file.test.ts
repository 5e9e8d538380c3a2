import { parseConfiguration } from '../../src/domain/configuration';
import { UserError } from '../../src/domain/errors';
import {
  maxVersionFileBytes,
  planVersionFiles,
  readVersion,
  versionFiles,
  writeVersion,
  type VersionFile,
} from '../../src/domain/version-file';
import { assert, suite } from '../support/suite';
import { thrown } from '../support/thrown';

const test = suite('version files');

const text: VersionFile = { path: 'VERSION', kind: 'text' };
const json = (pointer: string): VersionFile => ({ path: 'a.json', kind: 'json', pointer });
const pattern = (source: string): VersionFile => ({ path: 'a.rb', kind: 'pattern', pattern: source });
const named = (configuration: object) => versionFiles(parseConfiguration(JSON.stringify(configuration)));

test('without any named, those of the layout are looked for', () => {
  assert.equal(
    named({ client: { folder: 'web' }, server: { folder: 'api' } }).map(({ path }) => path),
    [
      'VERSION',
      'api/VERSION',
      'web/VERSION',
      'web/package.json',
      'web/package-lock.json',
      'web/package-lock.json',
      'web/npm-shrinkwrap.json',
      'web/npm-shrinkwrap.json',
    ],
  );
  assert.equal(
    named({ server: { folder: '.' } })
      .map(({ path }) => path)
      .slice(0, 3),
    ['VERSION', 'client/VERSION', 'client/package.json'],
  );
});

test('those that are named take their place, each in its kind', () => {
  const files = [
    'lib/VERSION',
    { file: 'a.json', pointer: '/version' },
    { file: 'a.rb', pattern: "VERSION = '(.*)'" },
  ];
  assert.equal(named({ versionFiles: files }), [
    { path: 'lib/VERSION', kind: 'text' },
    { path: 'a.json', kind: 'json', pointer: '/version' },
    { path: 'a.rb', kind: 'pattern', pattern: "VERSION = '(.*)'" },
  ]);
});

test('a text file is the version, without BOM and line ends', () => {
  assert.is(readVersion(text, '201704.15\n'), '201704.15');
  assert.is(readVersion(text, '\uFEFF201704.15\r\n'), '201704.15');
});

test('a JSON pointer leads to it, names with slashes and tildes included', () => {
  assert.is(readVersion(json('/version'), '{"version":"1.2.3"}'), '1.2.3');
  assert.is(readVersion(json('/a~1b/0/~0'), '{"a/b":[{"~":"1.2.3"}]}'), '1.2.3');
  for (const broken of ['{', '{}', '{"version":1}', '{"version":null}', '[]', 'null']) {
    assert.is(readVersion(json('/version'), broken), undefined, broken);
  }
  assert.is(readVersion(json('/constructor/name'), '{}'), undefined);
});

test('the group of a pattern is it', () => {
  const ruby = pattern("^\\s*VERSION = '([^']+)'$");
  assert.is(readVersion(ruby, "module Shop\n  VERSION = '1.2.3'\nend\n"), '1.2.3');
  assert.is(readVersion(ruby, 'nothing'), undefined);
});

test('what a line could not show is no version', () => {
  for (const bad of ['', '1\n2', '1 2', '\u001b[2J', 'x'.repeat(65), '<<<<<<< HEAD\n1\n=======\n2\n']) {
    assert.is(readVersion(text, bad), undefined, bad);
  }
});

test.run();

const writing = suite('writing version files');

const inFile = (path: string, pointer = '/version'): VersionFile => ({ path, kind: 'json', pointer });
const written = (places: VersionFile | VersionFile[], content: string, version = '201704.15') =>
  writeVersion([places].flat(), Buffer.from(content), version).toString();
const refused = (places: VersionFile | VersionFile[], content: string | Buffer, version = '201704.15') =>
  thrown(() => writeVersion([places].flat(), Buffer.from(content), version), UserError).message;

writing('I78 a text file keeps its BOM, its line end or that it has none', () => {
  for (const [before, after] of [
    ['201704.14\n', '201704.15\n'],
    ['201704.14\r\n', '201704.15\r\n'],
    ['201704.14', '201704.15'],
    ['\uFEFF201704.14\r\n', '\uFEFF201704.15\r\n'],
    [' 201704.14\n\n', ' 201704.15\n\n'],
  ] as const) {
    assert.is(written(text, before), after, JSON.stringify(before));
  }
});

writing('a text file that is not a version in one line is left alone', () => {
  for (const content of ['', '\n', '1.2.3\n1.2.4\n', 'version 1.2.3\n', 'é\n', 'x'.repeat(65), '1\0']) {
    assert.is(refused(text, content), 'VERSION is not a version in one line', JSON.stringify(content));
  }
});

writing('I78 JSON keeps its BOM, indentation, order, line ends and escapes', () => {
  const before =
    '\uFEFF{\r\n\t"b" :1e3 , "nested": {"version":"0"},\r\n\t"version"  :  "1.0.0-\\u0061",\r\n  "a":[1,2 ,"\\u00e9\\/", "é"]}\r\n\r\n';
  assert.is(written(inFile('x.json'), before, '201704.05'), before.replace('"1.0.0-\\u0061"', '"201704.05"'));
});

writing('a pointer leads through lists, names with slashes and tildes, and empty names', () => {
  assert.is(
    written(inFile('x.json', '/a~1b/1/~0'), '{"a/b":["1",{"~":"1"}]}'),
    '{"a/b":["1",{"~":"201704.15"}]}',
  );
  assert.is(written(inFile('x.json', '/0/0'), '{"0":{"0":"1"}}'), '{"0":{"0":"201704.15"}}');
  assert.is(written(inFile('x.json', '/'), '{"":"1"}'), '{"":"201704.15"}');
});

writing('a manifest of npm gets a semantic version, all places of its lockfile at once', () => {
  const lock =
    '{\n  "version": "1.0.0",\n  "packages": { "": { "version": "1.0.0" }, "a": { "version": "1.0.0" } }\n}\n';
  for (const path of ['package-lock.json', 'client/package-lock.json', 'client/npm-shrinkwrap.json']) {
    assert.is(
      written([inFile(path), inFile(path, '/packages//version')], lock, '201704.05'),
      '{\n  "version": "201704.5.0",\n  "packages": { "": { "version": "201704.5.0" }, "a": { "version": "1.0.0" } }\n}\n',
    );
  }
  assert.is(written(inFile('client/package.json'), '{"version":"1.0.0"}'), '{"version":"201704.15.0"}');
  assert.is(written(inFile('client/package.json'), '{"version":"1.0.0"}', '1.2.3'), '{"version":"1.2.3"}');
  assert.is(written(inFile('client/my-package.json'), '{"version":"1.0.0"}'), '{"version":"201704.15"}');
  // One place was mended by hand before; the file changes all the same.
  assert.is(
    written(
      [inFile('package-lock.json'), inFile('package-lock.json', '/packages//version')],
      lock.replace('1.0.0', '201704.15.0'),
    ),
    lock.replace('1.0.0', '201704.15.0').replace('1.0.0', '201704.15.0'),
  );
});

writing('JSON that is broken, has comments or no version in its place is left alone', () => {
  const file = inFile('a.json');
  for (const content of [
    '{',
    '',
    '{"version":"1",}',
    '{"version":"1"} // x',
    '/* x */{"version":"1"}',
    "{'version':'1'}",
  ]) {
    assert.is(refused(file, content), 'a.json is not valid JSON', content);
  }
  for (const content of [
    '{}',
    '[]',
    'null',
    '"1"',
    '{"version":1}',
    '{"version":null}',
    '{"version":{}}',
    '{"version":"1 2"}',
  ]) {
    assert.is(refused(file, content), 'a.json has no version at /version', content);
  }
  for (const pointer of ['/constructor/name', '/list/length', '/list/01', '/list/-']) {
    assert.is(refused(inFile('a.json', pointer), '{"list":["1"]}'), `a.json has no version at ${pointer}`);
  }
  // Readers of JSON disagree on which one counts.
  assert.is(
    refused(file, '{"version":"1","version":"2"}'),
    'a.json would not read as 201704.15 after it is written',
  );
});

writing("a pattern's group is replaced and nothing else", () => {
  const ruby = pattern("^\\s*VERSION = '([^']+)'$");
  const before = "\uFEFFmodule Shop\r\n  # 1.2.3\r\n  VERSION = '1.2.3'\r\n  OTHER = '1.2.3'\r\nend";
  assert.is(written(ruby, before), before.replace("VERSION = '1.2.3'", "VERSION = '201704.15'"));
  assert.is(written(pattern('^x (\\S+)$'), 'é 😀\nx 1\n'), 'é 😀\nx 201704.15\n');
  // No such thing as `$1` or `$&` in what is put there.
  assert.is(written(pattern('v(\\S+)'), 'v1 $', '1.2.3'), 'v1.2.3 $');
});

writing('a pattern that fits no place, several, none for a version, or not the new one, is refused', () => {
  const file = pattern('^v=(.*)$');
  assert.is(refused(file, 'x=1\n'), 'a.rb has no version that matches ^v=(.*)$');
  assert.is(refused(file, 'v=1\nv=2\n'), 'a.rb has 2 places that match ^v=(.*)$');
  assert.is(refused(file, 'v=\n'), 'a.rb has no version that matches ^v=(.*)$');
  assert.is(refused(file, 'v=1 2\n'), 'a.rb has no version that matches ^v=(.*)$');
  assert.is(refused(pattern('^v(?:=(\\d+))?$'), 'v\n'), 'a.rb has no version that matches ^v(?:=(\\d+))?$');
  assert.is(
    refused(pattern('^v=(\\d+\\.\\d+\\.\\d+)$'), 'v=1.2.3\n'),
    'a.rb would not read as 201704.15 after it is written',
  );
});

writing(
  'I78 conflict markers, what is not UTF-8, and files that are too long are refused in every kind',
  () => {
    const kinds = [text, inFile('VERSION'), { ...pattern('^v=(.*)$'), path: 'VERSION' }];
    for (const file of kinds) {
      for (const line of ['<<<<<<< HEAD', '>>>>>>> develop', '<<<<<<<']) {
        for (const end of ['\n', '\r\n']) {
          assert.is(refused(file, `v=1${end}${line}${end}`), 'VERSION has conflict markers');
        }
      }
      for (const bytes of [
        [0xff, 0xfe, 0x31, 0],
        [0x76, 0x3d, 0xe9, 0x0a],
        [0xc0, 0x80],
        [0xed, 0xa0, 0x80],
      ]) {
        assert.is(refused(file, Buffer.from(bytes)), 'VERSION is not UTF-8');
      }
      assert.is(
        refused(file, Buffer.alloc(maxVersionFileBytes + 1, ' ')),
        'VERSION is too long for a version file',
      );
    }
    const long = `v=1\n${'x'.repeat(1024 ** 2)}`;
    assert.is(refused(pattern('^v=(.*)$'), long), 'a.rb is too long for a pattern');
    // Lockfiles are longer than that.
    const lock = (version: string) => JSON.stringify({ version, long });
    assert.is(written(inFile('x.json'), lock('1')), lock('201704.15'));
  },
);

writing('a line of seven equals signs may underline something', () => {
  assert.is(written(pattern('^v=(.*)$'), 'Changes\n=======\nv=1\n'), 'Changes\n=======\nv=201704.15\n');
});

writing('a file that has the version already is refused, by the version that it would get', () => {
  assert.is(refused(text, '201704.15\n'), 'VERSION has the version 201704.15 already');
  assert.is(
    refused(inFile('client/package.json'), '{"version":"201704.15.0"}'),
    'client/package.json has the version 201704.15.0 already',
  );
  assert.is(refused(pattern('^v=(.*)$'), 'v=201704.15\n'), 'a.rb has the version 201704.15 already');
});

writing.run();

const planning = suite('planning version files');

const contents = (files: Record<string, string>) =>
  new Map(Object.entries(files).map(([path, content]) => [path, Buffer.from(content)]));
const plan = (configuration: { versionFiles?: unknown[] }, files: Record<string, string>) => {
  const isNamed = configuration.versionFiles !== undefined;
  const { changes, problems } = planVersionFiles(named(configuration), contents(files), '201704.15', isNamed);
  return {
    changes: Object.fromEntries([...changes].map(([path, content]) => [path, content.toString()])),
    problems,
  };
};

planning('of the usual files those change that exist', () => {
  const lock = '{"version":"1.0.0","lockfileVersion":1}';
  assert.equal(
    plan({}, { 'server/VERSION': '1\n', 'client/package-lock.json': lock, 'other/VERSION': '1\n' }),
    {
      changes: {
        'server/VERSION': '201704.15\n',
        'client/package-lock.json': '{"version":"201704.15.0","lockfileVersion":1}',
      },
      problems: [],
    },
  );
});

planning('a manifest and a lockfile without a version are none of them, but broken ones are', () => {
  const files = {
    'client/package.json': '{"private":true}',
    'client/package-lock.json': '\uFEFF{"packages":{"":{}}}',
  };
  assert.equal(plan({}, { ...files, VERSION: '1' }), { changes: { VERSION: '201704.15' }, problems: [] });
  assert.equal(plan({}, { ...files, 'client/package.json': '{"version":1}' }).problems, [
    'client/package.json has no version at /version',
  ]);
  assert.equal(plan({}, { ...files, 'client/package.json': '{' }).problems, [
    'client/package.json is not valid JSON',
  ]);
});

planning('all problems are told at once, beside what would change', () => {
  const versionFiles = ['a/VERSION', 'b/VERSION', 'c/VERSION', { file: 'd.json', pointer: '/version' }];
  assert.equal(plan({ versionFiles }, { 'a/VERSION': '1\n', 'b/VERSION': '', 'd.json': '{}' }), {
    changes: { 'a/VERSION': '201704.15\n' },
    problems: [
      'b/VERSION is not a version in one line',
      'c/VERSION is named in flight-launch.json and is no file of the commit',
      'd.json has no version at /version',
    ],
  });
});

planning('a file may be named for several places', () => {
  const versionFiles = ['/a', '/b'].map((pointer) => ({ file: 'x.json', pointer }));
  assert.equal(plan({ versionFiles }, { 'x.json': '{"a":"1","b":"2"}' }), {
    changes: { 'x.json': '{"a":"201704.15","b":"201704.15"}' },
    problems: [],
  });
});

planning('without any version file there is nothing that a release could write', () => {
  const problem =
    'there is no version file: name those of the repository in flight-launch.json, "versionFiles"';
  for (const configuration of [{}, { versionFiles: [] }]) {
    assert.equal(plan(configuration, { 'client/package.json': '{}' }), { changes: {}, problems: [problem] });
  }
});

planning('a mistake of ours is not told as one of the repository', () => {
  const broken = { path: 'VERSION', kind: 'pattern', pattern: '(' } as const;
  assert.throws(() => planVersionFiles([broken], contents({ VERSION: '1' }), '201704.15', true), SyntaxError);
});

planning.run();
