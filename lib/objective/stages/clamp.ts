import { checkNumber } from "../../base/check.js";
import { ArgumentError } from "../../base/errors.js";
import { defineStage } from "./kind.js";

export interface ClampStage {
  readonly kind: "clamp";
  readonly min: number;
  readonly max: number;
}

/** Limits values to [min, max], by default [-1, 1]. The gradient is 0 outside. */
function make(min = -1, max = 1): ClampStage {
  checkNumber("min", min, 0);
  if (!(checkNumber("max", max, 0) > min))
    throw new ArgumentError(`max: expected a number above min (${min}), got ${max}`);
  return Object.freeze({ kind: "clamp", min, max });
}

export const clamp = defineStage({
  kind: "clamp",
  make,
  check: ({ min, max }: ClampStage) => make(min, max),
  range: ({ min, max }, [low, high]) => [
    Math.min(Math.max(low, min), max),
    Math.max(Math.min(high, max), min),
  ],
  emit: (b, x, { min, max }) => b.op("Clip", [x, b.scalar(min, x), b.scalar(max, x)]),
});
