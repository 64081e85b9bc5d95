import { check } from "../../options/check.js";
import { number, object, option, required } from "../../options/describe.js";
import { defineStage, emitAffine } from "./kind.js";

export interface AffineStage {
  readonly kind: "affine";
  readonly scale: number;
  readonly offset: number;
}

const options = object({
  scale: required(number(), "of x · scale + offset"),
  offset: option(number(), "of x · scale + offset", { default: 0 }),
});

/** x · scale + offset. */
function make(scale: number, offset = 0): AffineStage {
  return Object.freeze({ kind: "affine", ...check(options, { scale, offset }, { name: "stage.affine" }) });
}

export const affine = defineStage({
  kind: "affine",
  is: "x · scale + offset",
  options,
  make,
  check: ({ scale, offset }: AffineStage) => make(scale, offset),
  scaling: ({ scale, offset }) => ({ scale: [scale], offset: [offset] }),
  emit: (b, x, { scale, offset }) => emitAffine(b, x, scale, offset),
});
