/** What happens to images between generator and encoder. Every stage is differentiable. What a kind is stands in its file in stages/. */
import { invalid } from "../base/errors.js";
import { factories, type Factories } from "../base/kinds.js";
import { stageKinds, stages, type Stage } from "./stages/index.js";
import { scale } from "./stages/scale.js";

export type { Stage };
export type { AffineStage } from "./stages/affine.js";
export type { ClampStage } from "./stages/clamp.js";
export type { ClipStage } from "./stages/clip.js";
export type { GrayscaleStage } from "./stages/grayscale.js";
export type { NormalizeStage } from "./stages/normalize.js";
export type { ResizeMode, ResizeStage } from "./stages/resize.js";

const kinds = { ...stageKinds, scale };

export const stage: Factories<typeof kinds> = factories(kinds);

/** @throws ArgumentError unless `value` is a list of stages; their options are checked again. */
export function checkStages(name: string, value: unknown): readonly Stage[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalid(name, "an array of stages", value);
  return Object.freeze(
    value.map((item: unknown, index) => {
      const kind = stages.find(item);
      if (!kind) throw invalid(`${name}[${index}]`, `a stage: one of ${stages.known}`, item);
      return kind.check(item as Stage);
    }),
  );
}

/** Whether what the encoder receives depends on the range of the generator's images. */
export function readsRange(list: readonly Stage[]): boolean {
  return list.some((item) => stages.of(item).readsRange);
}
