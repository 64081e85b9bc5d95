import { ArgumentError } from "../../base/errors.js";
import { check } from "../../options/check.js";
import { integer, number, object, option, words, type TypeOf } from "../../options/describe.js";
import { asPlanes, defineStage, madeOr, planeWords, turns, wholeNumbers, type RowShape } from "./kind.js";

export type PadMode = "constant" | "reflect" | "edge";

export interface PadStage {
  readonly kind: "pad";
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  readonly left: number;
  readonly mode: PadMode;
  readonly value: number;
}

const width = integer({ min: 0, max: 2 ** 14 });
const sides = object({
  top: option(width, "pixels above", { default: 0 }),
  right: option(width, "pixels to the right", { default: 0 }),
  bottom: option(width, "pixels below", { default: 0 }),
  left: option(width, "pixels to the left", { default: 0 }),
});
const how = object({
  mode: option(words("constant", "reflect", "edge"), "what is put there", {
    more: "One number; the image in a mirror, its outermost pixels once; or its outermost pixels again.",
    default: "constant",
  }),
  value: option(number(), "the number of mode constant, in the range that values have there", { default: 0 }),
});
const options = object(
  { ...sides.form.properties, ...how.form.properties },
  ({ top, right, bottom, left, mode, value }, name) => {
    if (![top, right, bottom, left].some((pixels) => Number(pixels) > 0))
      throw new ArgumentError(`${name("top")}: expected pixels on one side at least, got 0 on all four`);
    if (mode !== "constant" && value !== 0)
      throw new ArgumentError(`${name("value")}: expected it with the mode "constant" alone`);
  },
);

/**
 * Pixels around each image: as many on all sides, or { top, right, bottom, left }. They are `value` (0, in the range that values
 * have there), or by the `mode` "reflect" or "edge" what is near.
 */
function make(pixels: number | TypeOf<typeof sides>, options?: TypeOf<typeof how>): PadStage {
  const around =
    typeof pixels === "number" ? { top: pixels, right: pixels, bottom: pixels, left: pixels } : pixels;
  const checked = check(how, options, { name: "stage.pad options" });
  return whole({ ...check(sides, around, { name: "stage.pad" }), ...checked });
}

function whole(given: TypeOf<typeof options>): PadStage {
  return Object.freeze({ kind: "pad", ...check(options, given, { name: "stage.pad" }) });
}

function padded({ top, right, bottom, left, mode }: PadStage, shape: RowShape): RowShape | null {
  if (!asPlanes(shape)) return null;
  const [height, width] = shape.slice(-2) as [number, number];
  // A mirror does not show more than there is.
  if (mode === "reflect" && (Math.max(top, bottom) >= height || Math.max(left, right) >= width)) return null;
  return [...shape.slice(0, -2), top + height + bottom, left + width + right];
}

export const pad = defineStage({
  kind: "pad",
  is: "pixels around each image",
  options,
  make,
  check: ({ top, right, bottom, left, mode, value }: PadStage) =>
    whole({ top, right, bottom, left, mode, value }),
  takes: ({ mode }) => `${planeWords}${mode === "reflect" ? ", larger than what is reflected of them" : ""}`,
  shape: padded,
  range: ({ mode, value }, [low, high]) =>
    mode === "constant" ? [Math.min(low, value), Math.max(high, value)] : [low, high],
  emit: (b, x, { top, right, bottom, left, mode, value }) => {
    const rank = b.rank(x)!;
    const fill = mode === "constant" ? b.scalar(value, x) : null;
    return b.op("Pad", [x, b.ints([top, left, bottom, right]), fill, b.ints([rank - 2, rank - 1])], { mode });
  },
  flag: {
    name: "pad",
    turn: turns.pad,
    value: "N[:MODE]",
    help: "pixels around each image, N or TOP,RIGHT,BOTTOM,LEFT: 4, 4:reflect, 4:edge, or 4:constant:-1 (default constant 0)",
    expected: "N or TOP,RIGHT,BOTTOM,LEFT, with :reflect, :edge or :constant:NUMBER behind it",
    read: (value) => {
      const [text, mode = "constant", fill = "0", ...rest] = value.split(":");
      const widths = wholeNumbers(text!);
      if (!widths || rest.length > 0 || fill.trim() === "") return null;
      const how = { mode: mode as PadMode, value: Number(fill) };
      const [top, right, bottom, left] = widths as [number, number, number, number];
      if (widths.length === 1) return madeOr(() => make(top, how));
      return widths.length === 4 ? madeOr(() => make({ top, right, bottom, left }, how)) : null;
    },
  },
});
