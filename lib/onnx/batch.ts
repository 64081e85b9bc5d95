/** A symbolic batch, made a number. */
import { copyGraph, type Dim, type Graph, type ValueInfo } from "./graph.js";

/**
 * The graph for `rows` rows: the first dimension of every input becomes that number where it is symbolic or open, and so
 * does every dimension of the same name. What the file declares of inner values is dropped where it names the batch.
 * `changed` is false where no input has such a dimension.
 */
export function fixBatch(graph: Graph, rows: number): { graph: Graph; changed: boolean } {
  const result = copyGraph(graph);
  const symbols = new Set<Dim>();
  let changed = false;
  for (const input of result.inputs) {
    const first = input.dims?.[0];
    if (!input.dims || first === undefined || typeof first === "number") continue;
    if (first !== null) symbols.add(first);
    input.dims[0] = rows;
    changed = true;
  }
  const fix = (value: ValueInfo): void => {
    if (value.dims) value.dims = value.dims.map((dim) => (symbols.has(dim) ? rows : dim));
  };
  result.inputs.forEach(fix);
  result.outputs.forEach(fix);
  result.valueInfos.forEach(fix);
  return { graph: result, changed };
}
