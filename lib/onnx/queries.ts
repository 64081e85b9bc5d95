/** What a graph says of its values, without running it. */
import { consumers, describeNode, type Dim, type Graph, type Node } from "./graph.js";
import { randomNodes } from "./random.js";
import { inferShapes } from "./shapes.js";
import { constantNumbers } from "./bounds.js";

/** Operators that only move numbers about. */
const moves = new Set(["Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast"]);

/** The operator that makes an output's numbers; null when it is an input or a constant. */
export function lastOperator(graph: Graph, output: string): string | null {
  return lastNode(makersOf(graph), output)?.opType ?? null;
}

/** Operators whose results are means of numbers. */
const means = new Set(["GlobalAveragePool", "AveragePool", "ReduceMean"]);

/** Whether an output's numbers come from a linear layer, scaled and moved by constants and averaged over places or not. */
export function endsLinear(graph: Graph, output: string): boolean {
  const makers = makersOf(graph);
  for (let value = output; ;) {
    const node = lastNode(makers, value);
    if (node?.domain !== "") return false;
    if (node.opType === "Gemm" || node.opType === "MatMul" || node.opType === "Conv") return true;
    if (means.has(node.opType)) {
      value = node.inputs[0] ?? "";
      continue;
    }
    if (!["Add", "Sub", "Mul", "Div"].includes(node.opType)) return false;
    const varying = node.inputs.filter((name) => constantNumbers(graph, makers, name) === null);
    if (varying.length !== 1) return false;
    value = varying[0]!;
  }
}

function makersOf(graph: Graph): Map<string, Node> {
  const makers = new Map<string, Node>();
  for (const node of graph.nodes) for (const name of node.outputs) makers.set(name, node);
  return makers;
}

/** The node that makes a value's numbers. */
function lastNode(makers: ReadonlyMap<string, Node>, value: string): Node | undefined {
  let node = makers.get(value);
  while (node && node.domain === "" && moves.has(node.opType)) node = makers.get(node.inputs[0] ?? "");
  return node;
}

/** The first node on the way to an output that draws random numbers, in words; null when there is none. */
export function randomOperator(graph: Graph, output: string): string | null {
  const [node] = randomNodes(graph, [output]);
  return node ? describeNode(node) : null;
}

/** The dimensions of a value, as far as shape inference knows them. */
export function dimsOf(graph: Graph, name: string): Dim[] | null {
  return inferShapes(graph).valueInfo(name).dims;
}

/** Operators behind which a number still chooses the same row. */
const keepsIndex = new Set([...moves, "Clip", "Expand", "Tile"]);

/** How many rows the tables have out of which an input chooses by its numbers; null where it does anything else. */
export function chosenRows(graph: Graph, input: string): number | null {
  const readers = consumers(graph);
  const open = [input];
  const seen = new Set(open);
  let rows: number | null = null;
  for (let value = open.pop(); value !== undefined; value = open.pop())
    for (const node of readers.get(value) ?? []) {
      if (node.domain !== "") return null;
      if (node.opType === "Shape") continue;
      if (keepsIndex.has(node.opType) && node.inputs[0] === value) {
        const [made] = node.outputs;
        if (made !== undefined && !seen.has(made)) open.push(made);
        seen.add(made!);
        continue;
      }
      const table =
        node.opType === "Gather" && node.inputs[1] === value ? graph.initializers.get(node.inputs[0]!) : null;
      const axis = Number(node.attributes.get("axis")?.i ?? 0n);
      if (!table || axis !== 0 || table.dims.length === 0) return null;
      rows = Math.min(rows ?? Infinity, Number(table.dims[0]));
    }
  return rows;
}
