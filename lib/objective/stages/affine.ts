import { check } from "../../options/check.js";
import { number, object, option, required } from "../../options/describe.js";
import { defineStage, emitAffine, turns, twoNumbers } from "./kind.js";

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
  flag: {
    name: "affine",
    turn: turns.affine,
    value: "A,B",
    help: "A · x + B for the encoder: 127.5,127.5 brings [-1, 1] to [0, 255]",
    expected: "A,B such as 127.5,127.5",
    read: (value) => {
      const given = twoNumbers(value);
      return given && make(...given);
    },
  },
});
