/** The index of stages. A new one is a file beside this one, and its line here: flags of the command line apply in this order. */
import { Kinds, type Made } from "../../base/kinds.js";
import { affine } from "./affine.js";
import { clamp } from "./clamp.js";
import { clip } from "./clip.js";
import { grayscale } from "./grayscale.js";
import type { StageKind } from "./kind.js";
import { normalize } from "./normalize.js";
import { resize } from "./resize.js";

export const stageKinds = { resize, grayscale, normalize, affine, clamp, clip };

/** One step on images [N, C, H, W]. Plain data; make one with `stage`. */
export type Stage = Made<typeof stageKinds>;

export const stages = new Kinds<StageKind<Stage>>("stage", stageKinds);
