import { checkChoice, checkInteger, checkOptions } from "../../base/check.js";
import type { Builder } from "../../onnx/index.js";
import { defineStage, sides } from "./kind.js";

export type ResizeMode = "linear" | "cubic" | "nearest";

export interface ResizeStage {
  readonly kind: "resize";
  readonly height: number;
  readonly width: number;
  readonly mode: ResizeMode;
}

/**
 * Resizes to height × width; `mode` is "linear" by default (bilinear with half-pixel centres, as PyTorch's
 * `interpolate` with `align_corners=False`).
 */
function make(height: number, width: number, options?: { mode?: ResizeMode }): ResizeStage {
  const o = checkOptions("stage.resize options", options, ["mode"]);
  return Object.freeze({
    kind: "resize",
    height: checkInteger("height", height ?? Number.NaN, 0, sides),
    width: checkInteger("width", width ?? Number.NaN, 0, sides),
    mode: checkChoice("mode", o.mode, "linear", ["linear", "cubic", "nearest"]),
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
  make,
  check: ({ height, width, mode }: ResizeStage) => make(height, width, { mode }),
  shape: ({ height, width }, [channels]) => [channels, height, width],
  emit: (b, x, stage) => emitResize(b, x, stage),
  flag: {
    name: "resize",
    value: "HxW",
    help: "resize images for the encoder",
    expected: "HxW such as 224x224",
    read: (value) => {
      const match = /^(\d{1,5})x(\d{1,5})$/i.exec(value);
      return match && make(Number(match[1]), Number(match[2]));
    },
  },
});
