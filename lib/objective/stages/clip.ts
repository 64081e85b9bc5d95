import { check } from "../../options/check.js";
import { object, option } from "../../options/describe.js";
import { asImage, defineStage, emitAffine, imageWords, side, turns } from "./kind.js";
import { emitNormalize, normalizing } from "./normalize.js";
import { emitResize } from "./resize.js";

export interface ClipStage {
  readonly kind: "clip";
  readonly size: number;
}

/** CLIP's mean and standard deviation a channel, for values in [0, 1]. */
export const clipStatistics = {
  mean: Object.freeze([0.48145466, 0.4578275, 0.40821073]),
  std: Object.freeze([0.26862954, 0.26130258, 0.27577711]),
} as const;

const members = object({ size: option(side, "pixels", { default: 224 }) });

/** CLIP's preprocessing of the generator's images: from its range, or what earlier stages made of it, to [0, 1], bilinear to size × size (224), mean and std of CLIP. */
function make(options?: { size?: number }): ClipStage {
  return Object.freeze({ kind: "clip", ...check(members, options, { name: "stage.clip options" }) });
}

export const clip = defineStage({
  kind: "clip",
  is: "CLIP's preprocessing",
  options: members,
  make,
  check: ({ size }: ClipStage) => make({ size }),
  takes: () => imageWords("3"),
  shape: ({ size }, shape) => (asImage(shape)?.[0] === 3 ? [3, size, size] : null),
  scaling: (_, [low, high]) => {
    const { scale, offset } = normalizing(clipStatistics);
    const unit = 1 / (high - low);
    return {
      scale: scale.map((k) => k * unit),
      offset: offset.map((b, i) => b - scale[i]! * unit * low),
    };
  },
  readsRange: true,
  emit: (b, x, { size }, [low, high]) => {
    const unit = emitAffine(b, x, 1 / (high - low), -low / (high - low));
    return emitNormalize(
      b,
      emitResize(b, unit, { height: size, width: size, mode: "linear" }),
      clipStatistics,
    );
  },
  flag: {
    name: "clip-preprocess",
    turn: turns.clip,
    help: "CLIP's preprocessing: [0, 1], 224 × 224, its mean and deviation",
    read: () => make(),
  },
});
