import { parseCommits, parseFiles } from '../../src/domain/changes';
import { assert, suite } from '../support/suite';

const test = suite('changes');

test('commits are parsed whatever their subjects hold', () => {
  const output = 'a1\0Ada\0One, "two" | three\x0060\x01\nb2\0Bob B.\0\x000\x01\n';
  assert.equal(parseCommits(output), [
    { id: 'a1', author: 'Ada', subject: 'One, "two" | three', at: 60_000 },
    { id: 'b2', author: 'Bob B.', subject: '', at: 0 },
  ]);
  assert.equal(parseCommits(''), []);
});

test('files are parsed with line breaks and spaces in their names (I27)', () => {
  assert.equal(parseFiles('M\0a b\0D\0c\nd\0'), [
    { status: 'M', path: 'a b' },
    { status: 'D', path: 'c\nd' },
  ]);
});

test.run();
