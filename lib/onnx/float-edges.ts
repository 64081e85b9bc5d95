/** A graph whose inputs and outputs are whole numbers, as one of float32. */
import { Builder } from "./builder.js";
import { compose } from "./compose.js";
import { emptyGraph, type Graph } from "./graph.js";
import { DataType, typeName } from "./tensors.js";

/** What whole numbers can be that float32 can be, too, by type. */
export const wholeRanges: ReadonlyMap<string, readonly [number, number]> = new Map([
  ["uint8", [0, 255]],
  ["int32", [-(2 ** 24), 2 ** 24]],
  ["int64", [-(2 ** 24), 2 ** 24]],
]);

/** Inputs are rounded to whole numbers, and limited to what there is of them; outputs are cast. */
export function floatEdgesGraph(graph: Graph): Graph {
  const whole = ({ elemType }: { elemType: number }): boolean => wholeRanges.has(typeName(elemType));
  let result = graph;
  const inputs = graph.inputs.filter(whole);
  if (inputs.length > 0) {
    const front = new Builder(emptyGraph("tr0n_whole_numbers"));
    const connections: Record<string, string> = {};
    for (const { name, elemType, dims } of inputs) {
      const x = front.input(name, DataType.FLOAT, dims);
      const [low, high] = wholeRanges.get(typeName(elemType))!;
      const rounded = front.op("Round", [x]);
      front.maker(rounded)!.name = `${name} as ${typeName(elemType)}`;
      const limited = front.op("Clip", [rounded, front.scalar(low, x), front.scalar(high, x)]);
      front.output(`whole_${name}`, front.op("Cast", [limited], { to: elemType }));
      connections[name] = front.graph.outputs.at(-1)!.name;
    }
    result = compose(front.graph, result, connections, { prefix: "whole/", keepOutputs: [] });
  }
  const outputs = result.outputs.filter(whole);
  if (outputs.length === 0) return result;
  const back = new Builder(emptyGraph("tr0n_whole_numbers"));
  for (const { name, elemType, dims } of outputs) {
    const y = back.input(`whole_${name}`, elemType, dims);
    back.output(name, back.op("Cast", [y], { to: DataType.FLOAT }));
  }
  const connections = Object.fromEntries(outputs.map(({ name }) => [`whole_${name}`, name]));
  return compose(result, back.graph, connections, { prefix: "real/" });
}
