/** What happens to images between generator and encoder. Every stage is differentiable. What a kind is stands in its file in stages/. */
import { invalid } from "../base/errors.js";
import { either, named, type Shape } from "../options/describe.js";
import { factories, type Factories } from "../options/family.js";
import * as list from "./stages/all.js";
import { stages, type Stage } from "./stages/index.js";

export type { Stage };
export type { AffineStage } from "./stages/affine.js";
export type { ClampStage } from "./stages/clamp.js";
export type { ClipStage } from "./stages/clip.js";
export type { GrayscaleStage } from "./stages/grayscale.js";
export type { NormalizeStage } from "./stages/normalize.js";
export type { ResizeMode, ResizeStage } from "./stages/resize.js";

export const stage: Factories<typeof list> = factories(list);

/** How a configuration file says a stage. */
export const stageInFile: Shape<unknown, Stage> = named("stage", () => either(...stages.inFile));

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
