import { ownBytes, type ImageLayers } from '../../src/domain/disk-use';
import { assert, suite } from '../support/suite';

const test = suite('disk use');

const image = (size: number, layers: string[], ...references: string[]): ImageLayers => ({
  references,
  size,
  layers,
});

const base = image(100, ['a'], 'debian:12');

test('a layer that another image has is not counted', () => {
  assert.is(ownBytes(['ours'], [base, image(130, ['a', 'b'], 'ours:1')]), 30);
});

test('an image that is another one as well frees nothing', () => {
  assert.is(ownBytes(['ours'], [base, image(130, ['a', 'b'], 'ours:1', 'dokku/shop:latest')]), 0);
  const same = image(130, ['a', 'b'], 'ours:1');
  assert.is(ownBytes(['ours'], [base, same, image(131, ['a', 'b', 'c'], 'dokku/shop:latest')]), 0);
});

test('layers that two of ours share are counted once', () => {
  const first = image(130, ['a', 'b'], 'ours:1');
  assert.is(ownBytes(['ours'], [base, image(137, ['a', 'b', 'c'], 'ours:2'), first]), 37);
});

test('an image of a build cache tells a size, but keeps no layer', () => {
  const step = image(120, ['a', 'b']);
  const ours = [image(125, ['a', 'b', 'c'], 'ours:1'), image(121, ['a', 'b', 'd'], 'ours:2')];
  assert.is(ownBytes(['ours'], [base, step, ...ours]), 26);
});

test('where no image ends at the last shared layer, the next one below that tells the size', () => {
  const other = image(150, ['a', 'b', 'c'], 'dokku/shop:latest');
  assert.is(ownBytes(['ours'], [base, other, image(130, ['a', 'b', 'd'], 'ours:1')]), 30);
});

test('without the base image everything is ours', () => {
  assert.is(ownBytes(['ours', 'also/ours'], [image(5, ['x'], 'also/ours:1')]), 5);
  assert.is(ownBytes(['ours'], []), 0);
});

test('a repository whose name begins alike is another', () => {
  assert.is(ownBytes(['ours'], [image(5, ['x'], 'ours-too:1'), image(7, ['y'], 'ours/too:1')]), 0);
});

test.run();
