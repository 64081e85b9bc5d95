/** How to say sizes that a model leaves open, as code. */
import type { LoadedModel } from "./model.js";

/** Sizes in examples. */
const example = 64;

/**
 * What to write where sizes of an input must be known: `loadModel("g.onnx", { inputShapes: { height: 64, width: 64 } })`, or by
 * input where its axes have no names of their own.
 */
export function sizesToPass(model: LoadedModel, input: string): string {
  const { shape, symbols } = model.declaredInputs.find(({ name }) => name === input)!;
  const open = [...shape.keys()].filter((axis) => axis > 0 && shape[axis] === null);
  const names = open.map((axis) => symbols[axis] ?? "");
  const sound = names.every((name) => /^[A-Za-z_][\w.]*$/.test(name) && name !== input);
  const shapes =
    sound && new Set([...names, symbols[0]]).size === names.length + 1
      ? names.map((name) => `${key(name)}: ${example}`)
      : [`${key(input)}: [${shape.map((size, axis) => size ?? (axis === 0 ? "null" : example)).join(", ")}]`];
  const file = model.givenAsBytes ? "bytes" : JSON.stringify(model.name);
  return `loadModel(${file}, { inputShapes: { ${shapes.join(", ")} } })`;
}

function key(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}
