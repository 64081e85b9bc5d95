/** The matrices of a graph's products: most of a transformer's weights, of which an optimiser can fold none. */
import { nodeReads, type Graph, type Node } from "./graph.js";
import { isFloat, tensorBytes } from "./tensors.js";

/** Smaller constants may be sizes or tables, and cost nothing. */
const leastBytes = 64 << 10;

/** Operators that an optimiser looks through for a normalisation to merge into a product. */
const transparent = new Set(["Reshape", "Transpose", "Identity", "Squeeze", "Unsqueeze", "Flatten"]);

/**
 * Large constants that only serve as the right operand of MatMul or Gemm, as they are or transposed. One whose product is
 * normalised per channel is left out: the normalisation can be merged into it.
 */
export function productWeights(graph: Graph): string[] {
  const readers = new Map<string, Node[]>();
  for (const node of graph.nodes)
    for (const name of new Set(nodeReads(node))) {
      const list = readers.get(name);
      if (list) list.push(node);
      else readers.set(name, [node]);
    }
  const outputs = new Set(graph.outputs.map((output) => output.name));
  /** Every reader of a value, and of what `through` makes of it; no chain is too long for it. */
  function* reached(value: string, through: (node: Node) => boolean): Generator<[Node, string]> {
    const seen = new Set([value]);
    const open = [value];
    for (let name = open.pop(); name !== undefined; name = open.pop())
      for (const node of readers.get(name) ?? []) {
        yield [node, name];
        if (!through(node)) continue;
        for (const output of node.outputs) {
          if (seen.has(output)) continue;
          seen.add(output);
          open.push(output);
        }
      }
  }
  const normalized = (value: string): boolean => {
    for (const [node] of reached(value, ({ opType }) => transparent.has(opType)))
      if (node.opType === "BatchNormalization") return true;
    return false;
  };
  const isTurn = ({ opType, domain }: Node): boolean => domain === "" && opType === "Transpose";
  const multiplies = (weights: string): boolean => {
    if (outputs.has(weights)) return false;
    for (const [node, name] of reached(weights, isTurn)) {
      const { opType, domain, inputs, outputs: results } = node;
      if (isTurn(node)) {
        if (results.some((result) => outputs.has(result))) return false;
        continue;
      }
      if (domain !== "" || (opType !== "MatMul" && opType !== "Gemm")) return false;
      if (!inputs.every((input, i) => input !== name || i === 1) || normalized(results[0]!)) return false;
    }
    return true;
  };
  const found: string[] = [];
  for (const [name, tensor] of graph.initializers) {
    if (!isFloat(tensor.dataType) || (tensorBytes(tensor) ?? 0) < leastBytes) continue;
    if (readers.has(name) && multiplies(name)) found.push(name);
  }
  return found;
}

/** The bytes of the matrices that more than one product reads, as forward and backward passes do. */
export function sharedProductBytes(graph: Graph): number {
  const uses = new Map<string, number>();
  for (const { domain, opType, inputs } of graph.nodes)
    if (domain === "" && (opType === "MatMul" || opType === "Gemm"))
      uses.set(inputs[1]!, (uses.get(inputs[1]!) ?? 0) + 1);
  let bytes = 0;
  for (const [name, count] of uses) {
    const tensor = count > 1 ? graph.initializers.get(name) : undefined;
    if (tensor) bytes += tensorBytes(tensor) ?? 0;
  }
  return bytes;
}
