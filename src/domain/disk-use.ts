import { repositoryOf } from './image-reference';

/** An image as far as it tells what its removal would free. */
export interface ImageLayers {
  /** `repository:tag`; none for what only a build cache holds. */
  references: readonly string[];
  /** Bytes of all its layers. */
  size: number;
  /** Digests of its layers, the lowest first. */
  layers: readonly string[];
}

/**
 * Bytes that are free once all images of some repositories are gone: layers that another tagged image has as well stay.
 * Docker tells sizes of whole images only, so a layer's share is what an image has more than the one that ends below it.
 * Where no image ends there, layers of ours that branch are counted for each branch.
 */
export function ownBytes(repositories: readonly string[], all: readonly ImageLayers[]): number {
  const isOurs = (reference: string) => repositories.includes(repositoryOf(reference));
  const tagged = all.filter(({ references }) => references.length > 0);
  const staying = tagged.filter(({ references }) => !references.every(isOurs));
  const ours = tagged
    .filter(({ references }) => references.every(isOurs))
    .sort((a, b) => a.layers.length - b.layers.length);
  const sizes = new Map(all.map(({ layers, size }) => [layers.join(), size]));
  /** Every stack of layers that is accounted for. */
  const counted = new Set(staying.flatMap(({ layers }) => stacks(layers)));
  let bytes = 0;
  for (const { layers, size } of ours) {
    const below = stacks(layers).findLast((stack) => counted.has(stack) && sizes.has(stack));
    bytes += size - (below === undefined ? 0 : (sizes.get(below) ?? 0));
    for (const stack of stacks(layers)) counted.add(stack);
  }
  return bytes;
}

/** The lowest layer, the two lowest, and so on. */
function stacks(layers: readonly string[]): string[] {
  return layers.map((_, index) => layers.slice(0, index + 1).join());
}
