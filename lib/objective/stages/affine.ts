import { checkNumber } from "../../base/check.js";
import { defineStage, emitAffine } from "./kind.js";

export interface AffineStage {
  readonly kind: "affine";
  readonly scale: number;
  readonly offset: number;
}

/** x · scale + offset. */
function make(scale: number, offset = 0): AffineStage {
  return Object.freeze({
    kind: "affine",
    scale: checkNumber("scale", scale ?? Number.NaN, 1),
    offset: checkNumber("offset", offset, 0),
  });
}

export const affine = defineStage({
  kind: "affine",
  make,
  check: ({ scale, offset }: AffineStage) => make(scale, offset),
  scaling: ({ scale, offset }) => ({ scale: [scale], offset: [offset] }),
  emit: (b, x, { scale, offset }) => emitAffine(b, x, scale, offset),
});
