import { UsageError, UserError } from '../../src/domain/errors';
import {
  checkAppName,
  checkNewAppName,
  checkPipelineName,
  choosePipeline,
  defaultApps,
  stageOf,
} from '../../src/domain/pipeline';
import { assert, suite } from '../support/suite';
import { thrown } from '../support/thrown';

const test = suite('pipeline');

const names: [hazard: string, name: string][] = [
  ['I63', '../x'],
  ['I63', 'a/b'],
  ['I63', 'a..b'],
  ['I63', '..'],
  ['I64', '--global'],
  ['I56', 'a\nb'],
  ['I56', 'a\n'],
  ['I57', '-n'],
  ['I61', '$(id)'],
  ['I62', '*'],
  ['I28', '\u001b[2J'],
  ['upper case', 'Shop'],
  ['a space', 'a b'],
  ['another script', '\u0430'],
  ['a leading dot', '.a'],
  ['64 characters', 'a'.repeat(64)],
  ['nothing', ''],
];

for (const [hazard, name] of names) {
  test(`${hazard}: ${JSON.stringify(name).slice(0, 20)} names no app and no pipeline`, () => {
    for (const check of [checkAppName, checkNewAppName, checkPipelineName]) {
      const error = thrown(() => check(name), UsageError);
      assert.match(error.message, /^".*" cannot be the name of an? (app|pipeline)$/);
      assert.not.match(error.message, /[\u0000-\u001f]/);
      assert.match(error.remedy ?? '', /^Use lower-case letters, digits/);
    }
  });
}

test('names as Dokku has them', () => {
  for (const name of ['a', '9', 'flight-launch', 'shop.example', 'a--b', 'a'.repeat(63)]) {
    checkNewAppName(name);
    checkPipelineName(name);
  }
});

test('an underscore is left to apps of older versions of Dokku', () => {
  for (const name of ['old_shop', 'a_', 'a__b']) {
    checkAppName(name);
    const error = thrown(() => checkNewAppName(name), UsageError);
    assert.is(error.message, `"${name}" cannot be the name of a new app`);
  }
  thrown(() => checkAppName('_a'), UsageError);
});

test("a pipeline's name is part of an image's name, for which Docker takes no separator at its end", () => {
  for (const name of ['a.', 'a-', 'a.-b', 'a-.b']) {
    checkAppName(name);
    thrown(() => checkPipelineName(name), UsageError);
  }
});

test('the default apps', () => {
  assert.equal(defaultApps('shop'), { staging: 'shop-staging', production: 'shop' });
});

test('an app plays one part in its pipeline, others none', () => {
  const pipeline = { name: 'shop', ...defaultApps('shop'), settings: {} };
  assert.is(stageOf(pipeline, 'shop'), 'production');
  assert.is(stageOf(pipeline, 'shop-staging'), 'staging');
  assert.is(
    thrown(() => stageOf(pipeline, 'blog'), UserError).message,
    'blog is not an app of pipeline shop',
  );
});

test('the only pipeline need not be named', () => {
  assert.is(choosePipeline(undefined, ['shop']), 'shop');
  assert.is(choosePipeline('blog', ['shop', 'blog']), 'blog');
});

test('where the choice is not clear, the answer says what there is', () => {
  const answers: [string | undefined, string[], string, RegExp][] = [
    [undefined, [], 'there is no pipeline yet', /flight-launch:setup NAME` creates one/],
    [undefined, ['a', 'b'], 'this host has several pipelines', /^Name one: a, b\.$/],
    ['c', ['a', 'b'], 'there is no pipeline c', /^Pipelines of this host: a, b\.$/],
    ['c', [], 'there is no pipeline c', /flight-launch:setup NAME` creates one/],
  ];
  for (const [named, all, problem, remedy] of answers) {
    const error = thrown(() => choosePipeline(named, all), UsageError);
    assert.is(error.message, problem);
    assert.match(error.remedy ?? '', remedy);
  }
});

test('I63 a name that could not be one is refused before it is looked for', () => {
  assert.match(thrown(() => choosePipeline('../x', ['../x']), UsageError).message, /cannot be the name/);
});

test.run();
