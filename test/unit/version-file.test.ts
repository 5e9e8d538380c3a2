import { parseConfiguration } from '../../src/domain/configuration';
import { readVersion, versionFiles, type VersionFile } from '../../src/domain/version-file';
import { assert, suite } from '../support/suite';

const test = suite('version files');

const text: VersionFile = { path: 'VERSION', kind: 'text' };
const json = (pointer: string): VersionFile => ({ path: 'a.json', kind: 'json', pointer });
const pattern = (source: string): VersionFile => ({ path: 'a.rb', kind: 'pattern', pattern: source });
const named = (configuration: object) => versionFiles(parseConfiguration(JSON.stringify(configuration)));

test('without any named, those of the layout are looked for', () => {
  assert.equal(
    named({ client: { folder: 'web' }, server: { folder: 'api' } }).map(({ path }) => path),
    ['VERSION', 'api/VERSION', 'web/VERSION', 'web/package.json'],
  );
  assert.equal(
    named({ server: { folder: '.' } }).map(({ path }) => path),
    ['VERSION', 'VERSION', 'client/VERSION', 'client/package.json'],
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
