import { check } from "../../options/check.js";
import { integer, object, option, required, type TypeOf } from "../../options/describe.js";
import { asPlanes, defineStage, madeOr, planeWords, side, turns, type RowShape } from "./kind.js";

export interface CropStage {
  readonly kind: "crop";
  readonly height: number;
  readonly width: number;
  readonly top?: number;
  readonly left?: number;
}

const offset = integer({ min: 0, max: 2 ** 14 });
const options = object({
  height: required(side, "pixels"),
  width: required(side, "pixels"),
  top: option(offset, "pixels above it", { otherwise: "the middle" }),
  left: option(offset, "pixels to its left", { otherwise: "the middle" }),
});

/**
 * A part of each image, of height × width pixels: in the middle, or with `top` pixels above and `left` to its left. An odd pixel
 * that is left over from the middle is below, or to the right.
 */
function make(part: TypeOf<typeof options>): CropStage {
  return Object.freeze({ kind: "crop", ...check(options, part, { name: "stage.crop" }) });
}

/** The part's top left corner; null where it is not all within. */
function corner({ height, width, top, left }: CropStage, shape: RowShape): [number, number] | null {
  const [fullHeight, fullWidth] = shape.slice(-2) as [number, number];
  const y = top ?? Math.floor((fullHeight - height) / 2);
  const x = left ?? Math.floor((fullWidth - width) / 2);
  return y >= 0 && x >= 0 && y + height <= fullHeight && x + width <= fullWidth ? [y, x] : null;
}

export const crop = defineStage({
  kind: "crop",
  is: "a part of each image",
  options,
  make,
  check: ({ height, width, top, left }: CropStage) => make({ height, width, top, left }),
  takes: ({ height, width, top = 0, left = 0 }) =>
    `${planeWords} of at least ${height + top} × ${width + left} pixels`,
  shape: (stage, shape) =>
    asPlanes(shape) && corner(stage, shape) && [...shape.slice(0, -2), stage.height, stage.width],
  emit: (b, x, stage) => {
    const dims = b.shapes.dims(x)!;
    const [y, left] = corner(stage, dims.slice(1) as number[])!;
    const axes = [dims.length - 2, dims.length - 1];
    return b.op("Slice", [
      x,
      b.ints([y, left]),
      b.ints([y + stage.height, left + stage.width]),
      b.ints(axes),
    ]);
  },
  flag: {
    name: "crop",
    turn: turns.crop,
    value: "HxW[+TOP+LEFT]",
    help: "a part of each image: in the middle, or so many pixels from its top and its left",
    expected: "HxW such as 28x28, or HxW+TOP+LEFT such as 28x28+2+0",
    read: (value) => {
      const match = /^(\d{1,5})x(\d{1,5})(?:\+(\d{1,5})\+(\d{1,5}))?$/i.exec(value);
      if (!match) return null;
      const [height, width, top, left] = match.slice(1).map((text) => text && Number(text)) as number[];
      return madeOr(() =>
        make({ height: height!, width: width!, ...(top === undefined ? {} : { top, left }) }),
      );
    },
  },
});
