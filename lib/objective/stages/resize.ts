import type { Builder } from "../../onnx/index.js";
import { check } from "../../options/check.js";
import { object, option, required, words } from "../../options/describe.js";
import { asImage, defineStage, imageWords, side, turns } from "./kind.js";

export type ResizeMode = "linear" | "cubic" | "nearest";

export interface ResizeStage {
  readonly kind: "resize";
  readonly height: number;
  readonly width: number;
  readonly mode: ResizeMode;
}

const own = object({
  mode: option(words("linear", "cubic", "nearest"), "interpolation", { default: "linear" }),
});
const members = object({
  height: required(side, "pixels"),
  width: required(side, "pixels"),
  ...own.form.properties,
});

/**
 * Resizes to height × width; `mode` is "linear" by default (bilinear with half-pixel centres, as PyTorch's
 * `interpolate` with `align_corners=False`).
 */
function make(height: number, width: number, options?: { mode?: ResizeMode }): ResizeStage {
  const { mode } = check(own, options, { name: "stage.resize options" });
  return Object.freeze({
    kind: "resize",
    ...check(members, { height, width, mode }, { name: "stage.resize" }),
  });
}

export function emitResize(
  b: Builder,
  x: string,
  { height, width, mode }: Omit<ResizeStage, "kind">,
): string {
  return b.op("Resize", [x, null, null, b.ints([height, width])], {
    mode,
    coordinate_transformation_mode: "half_pixel",
    axes: [2, 3],
    ...(mode === "nearest" ? { nearest_mode: "round_prefer_floor" } : {}),
    ...(mode === "cubic" ? { cubic_coeff_a: -0.75 } : {}),
  });
}

export const resize = defineStage({
  kind: "resize",
  is: "resizes to height × width",
  options: members,
  make,
  check: ({ height, width, mode }: ResizeStage) => make(height, width, { mode }),
  takes: () => imageWords("channels"),
  shape: ({ height, width }, shape) => {
    const image = asImage(shape);
    return image && [image[0], height, width];
  },
  emit: (b, x, stage) => emitResize(b, x, stage),
  flag: {
    name: "resize",
    turn: turns.resize,
    value: "HxW",
    help: "resize images for the encoder",
    expected: "HxW such as 224x224",
    read: (value) => {
      const match = /^(\d{1,5})x(\d{1,5})$/i.exec(value);
      return match && make(Number(match[1]), Number(match[2]));
    },
  },
});
