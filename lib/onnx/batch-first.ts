/** A graph whose batch is not the first axis, as one where it is. */
import { makeAttribute } from "./attributes.js";
import { copyGraph, Names, renameValues, type Graph, type Node } from "./graph.js";

/** Where the batch lies: an axis of inputs (0 where none is given) and of one output. */
export interface BatchAxes {
  readonly inputs: Readonly<Record<string, number>>;
  readonly output: string;
  readonly outputAxis: number;
}

/** With axis `from` moved to the place `to`: the axes that those of the result come from, `perm` of a Transpose. */
export function movedAxes(rank: number, from: number, to: number): number[] {
  const order = Array.from({ length: rank }, (_, axis) => axis);
  order.splice(to, 0, ...order.splice(from, 1));
  return order;
}

/** The graph with a Transpose behind inputs and in front of the output, whose names they keep. */
export function batchFirstGraph(graph: Graph, axes: BatchAxes): Graph {
  const result = copyGraph(graph);
  const names = new Names(result);
  const inner = new Map<string, string>();
  const give = (name: string): void => void inner.set(name, names.fresh(`${name}/as the model has it`));
  const inputs = result.inputs.filter(({ name, dims }) => dims && (axes.inputs[name] ?? 0) !== 0);
  for (const { name } of inputs) give(name);
  const output = result.outputs.find(({ name }) => name === axes.output);
  if (output?.dims && axes.outputAxis !== 0) give(output.name);
  renameValues(result, inner);
  const back = new Map([...inner].map(([name, to]) => [to, name]));
  for (const value of [...result.inputs, ...result.outputs]) {
    const name = back.get(value.name);
    if (name === undefined) continue;
    const isInput = result.inputs.includes(value);
    const axis = isInput ? axes.inputs[name]! : axes.outputAxis;
    const order = movedAxes(value.dims!.length, axis, 0);
    const [from, to] = isInput ? [name, value.name] : [value.name, name];
    const perm = isInput ? movedAxes(order.length, 0, axis) : order;
    if (isInput) result.nodes.unshift(transpose(from, to, perm));
    else result.nodes.push(transpose(from, to, perm));
    value.name = name;
    value.dims = order.map((k) => value.dims![k]!);
  }
  return result;
}

function transpose(from: string, to: string, perm: readonly number[]): Node {
  return {
    opType: "Transpose",
    domain: "",
    name: "",
    overload: "",
    inputs: [from],
    outputs: [to],
    attributes: new Map([["perm", makeAttribute("perm", perm)]]),
  };
}
