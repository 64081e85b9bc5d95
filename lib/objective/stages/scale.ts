import { invalid } from "../../base/errors.js";
import { affine, type AffineStage } from "./affine.js";
import { numbers } from "./kind.js";

function range(name: string, value: unknown): [number, number] {
  const list = numbers(name, value);
  if (list.length !== 2 || list[0] === list[1])
    throw invalid(name, "two different numbers [low, high]", value);
  return [list[0]!, list[1]!];
}

/** Maps the range `from`, such as the generator's, onto the range `to`; by default [-1, 1] onto [0, 1]. */
function make(
  from: readonly [number, number] = [-1, 1],
  to: readonly [number, number] = [0, 1],
): AffineStage {
  const [a, b] = range("from", from);
  const [c, d] = range("to", to);
  const scale = (d - c) / (b - a);
  return affine.make(scale, c - a * scale);
}

/** An affine stage by another name: what it makes is one. */
export const scale = { kind: "scale", make } as const;
