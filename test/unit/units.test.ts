import { formatCount } from '../../src/domain/units';
import { assert, suite } from '../support/suite';

const test = suite('units');

test('a count has its noun in the right number', () => {
  assert.equal(
    [0, 1, 2, 21].map((count) => formatCount(count, 'commit')),
    ['0 commits', '1 commit', '2 commits', '21 commits'],
  );
});

test.run();
