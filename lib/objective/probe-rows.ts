/** Rows that models are tried with while it is found out what fits what. */
import type { Change } from "../model/batch-axis.js";
import { groupClasses, latent as latents, latentGroups, sizeFor, type Latent } from "../latent/latent.js";
import { LatentSource } from "../latent/source.js";
import { elementCount, knownElementCount, type Tensor } from "../base/tensor.js";

/**
 * Rows of N(0, I) for inputs of a generator; where one size is open it follows from the latent's. With `changed` the last
 * row is another one.
 */
export function latentRows(latent: Latent | undefined, seed: number, signal: AbortSignal | undefined) {
  return async (
    input: string,
    row: readonly (number | null)[],
    rows: number,
    changed: boolean,
  ): Promise<Tensor | null> => {
    const classes = latent && classesFor(latent, input);
    if (classes !== undefined) return labelRows(row, classes, rows, changed);
    const known = knownElementCount(row);
    const given = sizeFor(latent, input);
    const open = row.filter((size) => size === null).length;
    const size = open === 0 ? 1 : (given ?? 0) / known;
    if (open > 1 || !Number.isInteger(size) || size < 1 || known === 0) return null;
    const shape = row.map((length) => length ?? size);
    const d = elementCount(shape);
    const source = await LatentSource.create(
      latents.normal(d),
      () => Promise.reject(new Error("a normal has no mapping")),
      signal,
    );
    const drawn = await source.draw(seed, 0, 0, rows + 1, { signal });
    if (changed) drawn.copyWithin((rows - 1) * d, rows * d);
    return { data: drawn.subarray(0, rows * d), shape: [rows, ...shape] };
  };
}

function classesFor(latent: Latent, input: string): number | undefined {
  const group = latentGroups(latent).find(({ name }) => name === input)?.latent;
  return group && groupClasses(group);
}

/** Rows of classes, one after the other; the last one is the first again unless it is to be another. */
function labelRows(
  row: readonly (number | null)[],
  classes: number,
  rows: number,
  changed: boolean,
): Tensor | null {
  const shape = row.map((length) => length ?? classes);
  const size = elementCount(shape);
  if (size !== 1 && size !== classes) return null;
  const data = new Float32Array(rows * size);
  for (let i = 0; i < rows; i++) {
    const number = (changed && i === rows - 1 ? rows : i) % classes;
    data[size === 1 ? i : i * size + number] = size === 1 ? number : 1;
  }
  return { data, shape: [rows, ...shape] };
}

/**
 * `rows` of the images, over and over; every second time around as negatives, which have the same range. A last row that is far
 * from all others is no image at all: stripes of the darkest and the lightest.
 */
export function imageRows(images: Tensor, rows: number, change: Change): Tensor {
  const shape = images.shape.slice(1);
  const size = elementCount(shape);
  const count = images.shape[0]!;
  let [low, high] = [Infinity, -Infinity];
  for (const x of images.data) {
    low = Math.min(low, x);
    high = Math.max(high, x);
  }
  const data = new Float32Array(rows * size);
  for (let i = 0; i < rows; i++) {
    const changed = i === rows - 1 && change !== "none";
    const from = changed ? 0 : i;
    const negative = Math.floor(from / count) % 2 === 1;
    for (let j = 0; j < size; j++) {
      const x = images.data[(from % count) * size + j]!;
      data[i * size + j] =
        changed && change === "far" ? (j % 3 === 0 ? low : high) : negative ? low + high - x : x;
    }
  }
  return { data, shape: [rows, ...shape] };
}
