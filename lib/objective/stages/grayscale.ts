import { check } from "../../options/check.js";
import { constant, either, object, option } from "../../options/describe.js";
import { asImage, defineStage, imageWords, turns } from "./kind.js";

export interface GrayscaleStage {
  readonly kind: "grayscale";
  readonly channels: 1 | 3;
}

const options = object({
  channels: option(either(constant(1), constant(3)), "channels of the result", { default: 1 }),
});

/**
 * Luma of RGB images (0.299 R + 0.587 G + 0.114 B), as 1 channel (default) or repeated in 3. Images of one channel are
 * gray already: grayscale(3) makes them fit an encoder of RGB images.
 */
function make(channels: 1 | 3 = 1): GrayscaleStage {
  return Object.freeze({ kind: "grayscale", ...check(options, { channels }, { name: "stage.grayscale" }) });
}

export const grayscale = defineStage({
  kind: "grayscale",
  is: "luma of RGB images",
  options,
  make,
  check: ({ channels }: GrayscaleStage) => make(channels),
  takes: () => imageWords("1 or 3"),
  shape: ({ channels }, shape) => {
    const [from, height, width] = asImage(shape) ?? [];
    return from === 1 || from === 3 ? [channels, height!, width!] : null;
  },
  emit: (b, x, { channels }) => {
    if (b.shapes.dims(x)?.[1] === 1) return channels === 1 ? x : b.op("Concat", [x, x, x], { axis: 1 });
    const luma = b.constantLike([0.299, 0.587, 0.114], [1, 3, 1, 1], x);
    const gray = b.sum(b.op("Mul", [x, luma]), [1], true);
    return channels === 1 ? gray : b.op("Concat", [gray, gray, gray], { axis: 1 });
  },
  flag: { name: "grayscale", turn: turns.grayscale, help: "one channel for the encoder", read: () => make() },
});
