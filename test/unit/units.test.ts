import { formatCount, formatLimit } from '../../src/domain/units';
import { assert, suite } from '../support/suite';

const test = suite('units');

test('a count has its noun in the right number', () => {
  assert.equal(
    [0, 1, 2, 21].map((count) => formatCount(count, 'commit')),
    ['0 commits', '1 commit', '2 commits', '21 commits'],
  );
});

test('a limit is written as people give it', () => {
  assert.equal([500, 90_000, 300_000, 3_600_000, 5_400_000].map(formatLimit), [
    '1s',
    '90s',
    '5m',
    '1h',
    '90m',
  ]);
});

test.run();
