/** Inputs and outputs in float32, whatever the file has: casts stand between them and the rest. */
import { makeAttribute } from "../attributes.js";
import { copyGraph, Names, renameValues, type Graph, type Node, type ValueInfo } from "../graph.js";
import { DataType, isFloat, typeName } from "../tensors.js";

/** Whether an input or output has real numbers of another type than float32. */
function isNarrowEdge({ elemType }: ValueInfo): boolean {
  return isFloat(elemType) && elemType !== DataType.FLOAT;
}

/** Such an input or output, in words; null for any other. */
export function floatEdge(value: ValueInfo): string | null {
  return isNarrowEdge(value) ? `${value.name} is ${typeName(value.elemType)}` : null;
}

export function cast(from: string, to: string, elemType: number): Node {
  return {
    ...{ opType: "Cast", domain: "", name: `${to}/cast`, overload: "", inputs: [from], outputs: [to] },
    attributes: new Map([["to", makeAttribute("to", elemType)]]),
  };
}

/** Its inputs and outputs keep their names. */
export function floatEdges(graph: Graph): Graph {
  const inputs = graph.inputs.filter(isNarrowEdge);
  const taken = new Set(graph.inputs.map(({ name }) => name));
  // An output that is an input as it is has that one's type.
  const outputs = graph.outputs.filter((value) => isNarrowEdge(value) && !taken.has(value.name));
  if (inputs.length + outputs.length === 0) return graph;
  const result = copyGraph(graph);
  const names = new Names(result);
  const inner = new Map(
    [...inputs, ...outputs].map(({ name }) => [name, names.fresh(`${name}/as in the file`)] as const),
  );
  renameValues(result, inner);
  const outer = new Map([...inner].map(([name, within]) => [within, name]));
  const restored = (value: ValueInfo): ValueInfo => {
    const name = outer.get(value.name);
    return name === undefined ? value : { ...value, name, elemType: DataType.FLOAT };
  };
  result.inputs = result.inputs.map(restored);
  result.outputs = result.outputs.map(restored);
  result.nodes.unshift(...inputs.map(({ name, elemType }) => cast(name, inner.get(name)!, elemType)));
  result.nodes.push(...outputs.map(({ name }) => cast(inner.get(name)!, name, DataType.FLOAT)));
  return result;
}
