/** A graph whose open sizes are numbers. */
import { ArgumentError, describe } from "../../base/errors.js";
import { copyGraph, type Dim, type Graph, type ValueInfo } from "../graph.js";
import type { Steps } from "../steps.js";
import { inferredOutputs } from "./declarations.js";

/** A number is the size of the axes of that name, a list the shape of the input of that name: null where the file's stays. */
export type InputShapes = Readonly<Record<string, number | readonly (number | null)[]>>;

/** @throws ArgumentError for an axis or an input that there is not, and a size that the file declares otherwise */
export function* sizedGraph(graph: Graph, shapes: InputShapes, name: string): Steps<Graph> {
  const result = copyGraph(graph);
  for (const [key, given] of Object.entries(shapes))
    if (typeof given === "number") setAxis(result, key, given, name);
  for (const [key, given] of Object.entries(shapes))
    if (typeof given !== "number") setInput(result, key, given, name);
  // What the file says of other values was said of open sizes.
  result.valueInfos.clear();
  return yield* inferredOutputs(result);
}

function setAxis(graph: Graph, axis: string, size: number, name: string): void {
  let found = false;
  for (const { dims } of graph.inputs)
    dims?.forEach((dim, k) => {
      if (dim !== axis) return;
      dims[k] = size;
      found = true;
    });
  if (!found)
    throw new ArgumentError(
      `options.inputShapes: ${name} has no axis ${describe(axis)}; its inputs are ${inputsText(graph)}. A number is the size ` +
        "of an axis by its name; a list of sizes is the shape of an input",
    );
}

function setInput(graph: Graph, key: string, sizes: readonly (number | null)[], name: string): void {
  const input = graph.inputs.find((value) => value.name === key);
  if (!input)
    throw new ArgumentError(
      `options.inputShapes: ${name} has no input ${describe(key)}; its inputs are ${inputsText(graph)}`,
    );
  const declared: Dim[] = input.dims ?? sizes.map(() => null);
  const fits = (size: number | null, axis: number): boolean =>
    size === null || typeof declared[axis] !== "number" || declared[axis] === size;
  if (sizes.length !== declared.length || !sizes.every(fits))
    throw new ArgumentError(
      `options.inputShapes.${key}: expected a shape that ${inputText(input)} of ${name} can have, got ` +
        `[${sizes.map((size) => size ?? "null").join(", ")}]`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  input.dims = declared.map((dim, axis) => sizes[axis] ?? dim);
}

function inputText({ name, dims }: ValueInfo): string {
  return `${name} [${dims?.map((dim) => dim ?? "null").join(", ") ?? "…"}]`;
}

function inputsText({ inputs }: Graph): string {
  return inputs.map(inputText).join(", ");
}
