import { invalid } from "../../base/errors.js";
import { check } from "../../options/check.js";
import { number, object, option } from "../../options/describe.js";
import { defineStage, turns, twoNumbers } from "./kind.js";

export interface ClampStage {
  readonly kind: "clamp";
  readonly min: number;
  readonly max: number;
}

const options = object(
  {
    min: option(number(), "smallest number", { default: -1 }),
    max: option(number(), "largest number", { default: 1 }),
  },
  ({ min, max }, name) => {
    if (!(Number(max) > Number(min))) throw invalid(name("max"), `a number above min (${String(min)})`, max);
  },
);

/** Limits values to [min, max], by default [-1, 1]. The gradient is 0 outside. */
function make(min = -1, max = 1): ClampStage {
  return Object.freeze({ kind: "clamp", ...check(options, { min, max }, { name: "stage.clamp" }) });
}

export const clamp = defineStage({
  kind: "clamp",
  is: "limits values to [min, max]",
  options,
  make,
  check: ({ min, max }: ClampStage) => make(min, max),
  range: ({ min, max }, [low, high]) => [
    Math.min(Math.max(low, min), max),
    Math.max(Math.min(high, max), min),
  ],
  emit: (b, x, { min, max }) => b.op("Clip", [x, b.scalar(min, x), b.scalar(max, x)]),
  flag: {
    name: "clamp",
    turn: turns.clamp,
    value: "MIN,MAX",
    help: "limit the numbers that the encoder gets: 0,255, or =-1,1",
    expected: "MIN,MAX with MIN < MAX",
    read: (value) => {
      const [min, max] = twoNumbers(value) ?? [0, 0];
      return min < max ? make(min, max) : null;
    },
  },
});
