/** Stages, as callers make them and configurations describe them. */
import { Family, type Factory, type Made } from "../../options/family.js";
import type { StageKind } from "./kind.js";
import * as list from "./list.js";

/** One step on rows [N, …], such as images [N, C, H, W]. Plain data; make one with `stage`. */
export type Stage = Made<typeof list>;

type FromFile = Parameters<(typeof list.fromOnnx)["build"] & object>[0];

/** What a configuration has for one: what is left out has its default. */
export type StageSpec = Exclude<Stage, { kind: "onnx" }> | FromFile;

/** What files of tr0n's own have for one: a model's bytes are left out. */
export type StageDescription = Exclude<Stage, { kind: "onnx" }> | { kind: "onnx"; sha256: string };

export const stages = new Family<StageKind<Stage, Factory<Stage>, StageSpec>, StageSpec>("stage", list);
