/** Stages, as callers make them and configurations describe them. */
import { Family, type Made } from "../../options/family.js";
import type { StageKind } from "./kind.js";
import * as list from "./list.js";

/** One step on images [N, C, H, W]. Plain data; make one with `stage`. */
export type Stage = Made<typeof list>;

/** What is left out in a configuration has its default: it is checked as what callers give. */
export const stages = new Family<StageKind<Stage>, Stage>("stage", list);
