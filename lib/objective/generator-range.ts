/** Between which numbers a generator's pixels lie, found out from its last operators and from images of it. */
import { rangeText, sameRange, type Range } from "../base/range.js";
import type { Bounds } from "../onnx/index.js";

const standard: readonly Range[] = [
  [-1, 1],
  [0, 1],
  [0, 255],
];

/** What numbers are like. */
interface SeenValues {
  readonly images: number;
  readonly min: number;
  readonly max: number;
  /** The quantiles 0.5 % and 99.5 %: a few numbers may lie beyond what pictures use. */
  readonly low: number;
  readonly high: number;
}

/** Numbers of an image that are looked at. */
const looked = 2 ** 12;

/** @param data images of `size` numbers each */
export function lookAtValues(data: Float32Array, size: number): SeenValues {
  const images = data.length / size;
  // Not a divisor of any side that images have, so that the numbers come from all over the image.
  const step = Math.max(1, Math.floor(size / looked)) | 1;
  const values: number[] = [];
  for (let image = 0; image < images; image++)
    for (let at = 0; at < size; at += step) values.push(data[image * size + at]!);
  const sorted = Float32Array.from(values).sort();
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))]!;
  return { images, min: at(0), max: at(1), low: at(0.005), high: at(0.995) };
}

/** Decides where nobody says it. `bounds` are of the operators, where they tell. */
export function decideRange(
  bounds: Bounds | null,
  seen: SeenValues,
): { range: Range; reason: string; certain: boolean } {
  const images = `${seen.images} images lie in ${rangeText([seen.min, seen.max])}`;
  if (
    bounds?.tight &&
    Number.isFinite(bounds.low) &&
    Number.isFinite(bounds.high) &&
    bounds.low < bounds.high
  ) {
    const own: Range = [bounds.low, bounds.high];
    const range = standard.find((candidate) => sameRange(candidate, own));
    return {
      range: range ?? Object.freeze(own),
      reason: `the generator ends in ${bounds.by}, and ${images}`,
      certain: range !== undefined,
    };
  }
  const [range, certain] = rangeOf(seen);
  return {
    range,
    reason: certain
      ? images
      : `${images}, which fits none of ${standard.map(rangeText).join(", ")} well: this is the likeliest`,
    certain,
  };
}

/** The standard range that values are likely to be of, and whether any other is unlikely. */
function rangeOf({ min, max, low, high }: SeenValues): [Range, boolean] {
  const [signed, unit, bytes] = standard as [Range, Range, Range];
  if (high > 8 && low > -high / 4) return [bytes, min >= -64 && high >= 64 && max <= 320];
  if (low >= -0.01) return [unit, low <= 0.4 && high >= 0.6 && high <= 1.1];
  // A few numbers under black, as a decoder without a last activation has them.
  if (low >= -0.15 && high >= 0.6) return [unit, false];
  return [signed, low >= -1.3 && high <= 1.3 && low <= -0.4 && high >= 0.4];
}
