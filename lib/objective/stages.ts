/** What happens to images between generator and encoder. Every stage is differentiable. */
import { checkChoice, checkInteger, checkNumber, checkOptions } from "../base/check.js";
import { ArgumentError, invalid } from "../base/errors.js";

export type ResizeMode = "linear" | "cubic" | "nearest";

/** One step on images [N, C, H, W]. Plain data; make one with {@link stage}. */
export type Stage =
  | { readonly kind: "resize"; readonly height: number; readonly width: number; readonly mode: ResizeMode }
  | { readonly kind: "normalize"; readonly mean: readonly number[]; readonly std: readonly number[] }
  | { readonly kind: "affine"; readonly scale: number; readonly offset: number }
  | { readonly kind: "clamp"; readonly min: number; readonly max: number }
  | { readonly kind: "grayscale"; readonly channels: 1 | 3 }
  | { readonly kind: "clip"; readonly size: number };

const sides = { min: 1, max: 2 ** 14 };

function numbers(name: string, value: unknown): readonly number[] {
  const list = typeof value === "number" ? [value] : value;
  if (!Array.isArray(list) || list.length === 0)
    throw invalid(name, "a number or one number a channel", value);
  return Object.freeze(list.map((item, index) => checkNumber(`${name}[${index}]`, item ?? Number.NaN, 0)));
}

/** CLIP's mean and standard deviation a channel, for values in [0, 1]. */
export const clipMean = Object.freeze([0.48145466, 0.4578275, 0.40821073]);
export const clipStd = Object.freeze([0.26862954, 0.26130258, 0.27577711]);

export const stage = {
  /**
   * Resizes to height × width; `mode` is "linear" by default (bilinear with half-pixel centres, as PyTorch's
   * `interpolate` with `align_corners=False`).
   */
  resize(height: number, width: number, options?: { mode?: ResizeMode }): Stage {
    const o = checkOptions("stage.resize options", options, ["mode"]);
    return Object.freeze({
      kind: "resize",
      height: checkInteger("height", height ?? Number.NaN, 0, sides),
      width: checkInteger("width", width ?? Number.NaN, 0, sides),
      mode: checkChoice("mode", o.mode, "linear", ["linear", "cubic", "nearest"]),
    });
  },
  /** (x − mean) / std, each a number or one number a channel. */
  normalize(mean: number | readonly number[], std: number | readonly number[]): Stage {
    const m = numbers("mean", mean);
    const s = numbers("std", std);
    if (m.length !== s.length && m.length !== 1 && s.length !== 1)
      throw new ArgumentError(`std: expected as many numbers as mean has (${m.length}), got ${s.length}`);
    s.forEach((value, index) => {
      if (!(value > 0)) throw invalid(`std[${index}]`, "a number > 0", value);
    });
    return Object.freeze({ kind: "normalize", mean: m, std: s });
  },
  /** x · scale + offset. */
  affine(scale: number, offset = 0): Stage {
    return Object.freeze({
      kind: "affine",
      scale: checkNumber("scale", scale ?? Number.NaN, 1),
      offset: checkNumber("offset", offset, 0),
    });
  },
  /** Maps the range `from`, such as the generator's, onto the range `to`; by default [-1, 1] onto [0, 1]. */
  scale(from: readonly [number, number] = [-1, 1], to: readonly [number, number] = [0, 1]): Stage {
    const range = (name: string, value: unknown): [number, number] => {
      const list = numbers(name, value);
      if (list.length !== 2 || list[0] === list[1])
        throw invalid(name, "two different numbers [low, high]", value);
      return [list[0]!, list[1]!];
    };
    const [a, b] = range("from", from);
    const [c, d] = range("to", to);
    const scale = (d - c) / (b - a);
    return stage.affine(scale, c - a * scale);
  },
  /** Limits values to [min, max], by default [-1, 1]. The gradient is 0 outside. */
  clamp(min = -1, max = 1): Stage {
    checkNumber("min", min, 0);
    if (!(checkNumber("max", max, 0) > min))
      throw new ArgumentError(`max: expected a number above min (${min}), got ${max}`);
    return Object.freeze({ kind: "clamp", min, max });
  },
  /**
   * Luma of RGB images (0.299 R + 0.587 G + 0.114 B), as 1 channel (default) or repeated in 3. Images of one channel are
   * gray already: grayscale(3) makes them fit an encoder of RGB images.
   */
  grayscale(channels: 1 | 3 = 1): Stage {
    if (channels !== 1 && channels !== 3) throw invalid("channels", "1 or 3", channels);
    return Object.freeze({ kind: "grayscale", channels });
  },
  /** CLIP's preprocessing of the generator's images: from its range, or what earlier stages made of it, to [0, 1], bilinear to size × size (224), mean and std of CLIP. */
  clip(options?: { size?: number }): Stage {
    const o = checkOptions("stage.clip options", options, ["size"]);
    return Object.freeze({ kind: "clip", size: checkInteger("size", o.size, 224, sides) });
  },
};

/** @throws ArgumentError unless `value` is a list of stages; their options are checked again. */
export function checkStages(name: string, value: unknown): readonly Stage[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalid(name, "an array of stages", value);
  return Object.freeze(value.map((item, index) => checkStage(`${name}[${index}]`, item)));
}

function checkStage(name: string, value: unknown): Stage {
  const given = value as Stage | null;
  switch (given !== null && typeof given === "object" ? given.kind : undefined) {
    case "resize": {
      const { height, width, mode } = given as Stage & { kind: "resize" };
      return stage.resize(height, width, { mode });
    }
    case "normalize": {
      const { mean, std } = given as Stage & { kind: "normalize" };
      return stage.normalize(mean, std);
    }
    case "affine": {
      const { scale, offset } = given as Stage & { kind: "affine" };
      return stage.affine(scale, offset);
    }
    case "clamp": {
      const { min, max } = given as Stage & { kind: "clamp" };
      return stage.clamp(min, max);
    }
    case "grayscale":
      return stage.grayscale((given as Stage & { kind: "grayscale" }).channels);
    case "clip":
      return stage.clip({ size: (given as Stage & { kind: "clip" }).size });
    default:
      throw invalid(name, "a stage such as stage.resize(height, width)", value);
  }
}
