/** What happens to images between generator and encoder. Every stage is differentiable. What a kind is stands in its file in stages/. */
import { invalid } from "../base/errors.js";
import { either, named, type Shape } from "../options/describe.js";
import { factories, type Factories } from "../options/family.js";
import * as list from "./stages/all.js";
import { stages, type Stage, type StageDescription, type StageSpec } from "./stages/index.js";

export type { Stage, StageDescription, StageSpec };
export type { AffineStage } from "./stages/affine.js";
export type { ChannelsStage } from "./stages/channels.js";
export type { ClampStage } from "./stages/clamp.js";
export type { ClipStage } from "./stages/clip.js";
export type { CropStage } from "./stages/crop.js";
export type { GrayscaleStage } from "./stages/grayscale.js";
export type { NormalizeStage } from "./stages/normalize.js";
export type { OnnxStage } from "./stages/onnx.js";
export type { PadMode, PadStage } from "./stages/pad.js";
export type { ReshapeStage } from "./stages/reshape.js";
export type { ResizeMode, ResizeStage } from "./stages/resize.js";
export type { TransposeStage } from "./stages/transpose.js";

export const stage: Factories<typeof list> = factories(list);

/** How a configuration file says a stage. */
export const stageInFile: Shape<unknown, StageSpec> = named("stage", () => either(...stages.inFile));

/** @throws ArgumentError unless `value` is a list of stages; their options are checked again. */
export function checkStages(name: string, value: unknown): readonly Stage[] {
  return Object.freeze(checkedKinds(name, value).map(([kind, item]) => kind.check(item as Stage)));
}

/** The stages that a configuration describes. @throws ArgumentError; FileError for a model that cannot be read */
export async function stagesFromSpecs(specs: readonly StageSpec[]): Promise<readonly Stage[]> {
  const made = specs.map((spec) => {
    const kind = stages.of(spec);
    return kind.build ? kind.build(spec) : kind.check(spec as Stage);
  });
  return Object.freeze(await Promise.all(made));
}

/** JSON for files: the same data with models' bytes left out. */
export function describeStages(list: readonly Stage[]): readonly StageDescription[] {
  return list.map((item) => (stages.of(item).describe?.(item) ?? item) as StageDescription);
}

/** Descriptions of a file, checked as far as they hold their stages. @throws ArgumentError */
export function checkDescriptions(name: string, value: unknown): readonly StageDescription[] {
  return checkedKinds(name, value).map(([kind, item]) =>
    kind.model ? (item as StageDescription) : (kind.check(item as Stage) as StageDescription),
  );
}

/** Stages of a file, with models from `given` by their SHA-256; null where one of these is not there. */
export function withModels(
  stored: readonly StageDescription[],
  given: readonly Stage[],
): readonly Stage[] | null {
  const whole = stored.map((item) => {
    if (!stages.of(item).model) return item as Stage;
    return given.find((own) => own.kind === "onnx" && own.sha256 === (item as { sha256?: string }).sha256);
  });
  return whole.includes(undefined) ? null : Object.freeze(whole as Stage[]);
}

/** Whether files do not hold all of them. */
export function needModels(specs: readonly StageSpec[] | undefined): boolean {
  return specs?.some((spec) => stages.of(spec).model) ?? false;
}

function checkedKinds(name: string, value: unknown) {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalid(name, "an array of stages", value);
  return value.map((item: unknown, index) => {
    const kind = stages.find(item);
    if (!kind) throw invalid(`${name}[${index}]`, `a stage: one of ${stages.known}`, item);
    return [kind, item] as const;
  });
}

/** Whether what the encoder receives depends on the range of the generator's images. */
export function readsRange(list: readonly { readonly kind: string }[]): boolean {
  return list.some((item) => stages.of(item).readsRange);
}
