/** How to say sizes that a model leaves open, as code. */
import type { LoadedModel } from "./model.js";

/** Sizes in examples. */
const example = 64;

/** Sizes of an input but the batch's that nobody knows: their axes. */
export function openAxes({ shape }: { readonly shape: readonly (number | null)[] }): number[] {
  return [...shape.keys()].filter((axis) => axis > 0 && shape[axis] === null);
}

/**
 * What to write where sizes of an input must be known: `loadModel("g.onnx", { inputShapes: { height: 64, width: 64 } })`, or by
 * input where its axes have no names of their own.
 */
export function sizesToPass(model: LoadedModel, input: string): string {
  const shapes = inputShapesToPass(model.declaredInputs.find(({ name }) => name === input)!);
  const file = model.givenAsBytes ? "bytes" : JSON.stringify(model.name);
  return `loadModel(${file}, { inputShapes: { ${shapes.map(([name, sizes]) => `${key(name)}: ${sizes}`).join(", ")} } })`;
}

/** The same as names and values, "64" by the name of an axis or "[null, 4, 64, 64]" by input. */
export function inputShapesToPass({
  name,
  shape,
  symbols,
}: {
  readonly name: string;
  readonly shape: readonly (number | null)[];
  readonly symbols: readonly (string | null)[];
}): [string, string][] {
  const names = openAxes({ shape }).map((axis) => symbols[axis] ?? "");
  const sound = names.every((axis) => /^[A-Za-z_][\w.]*$/.test(axis) && axis !== name);
  if (sound && new Set([...names, symbols[0]]).size === names.length + 1)
    return names.map((axis) => [axis, String(example)]);
  return [[name, `[${shape.map((size, axis) => size ?? (axis === 0 ? "null" : example)).join(", ")}]`]];
}

function key(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}
