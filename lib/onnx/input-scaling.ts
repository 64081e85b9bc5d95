/** What a model does to the numbers of its images first: (x − mean) / std, as exports with their preprocessing inside have it. */
import { constantNumbers } from "./bounds.js";
import { consumers, type Graph, type Node } from "./graph.js";

/** x → scale · x + offset, a number a channel, or one for all. */
export interface InputScaling {
  readonly scale: readonly number[];
  readonly offset: readonly number[];
}

/** Operators behind which the range of what went in does not matter, or is learned. */
const normalising = new Set([
  ...["BatchNormalization", "InstanceNormalization", "LayerNormalization", "GroupNormalization"],
  ...["MeanVarianceNormalization", "LpNormalization"],
]);

/** Operators that leave the numbers and their channels as they are. */
const keeping = new Set(["Identity", "Cast", "Resize", "Upsample", "Dropout", "Transpose"]);

/**
 * The scaling that a graph's first operators make of an input [N, C, H, W], up to the first operator that is something
 * else; null where they make none, undefined where nobody can tell: several read the input, or a
 * normalisation makes its range no matter.
 */
export function inputScaling(graph: Graph, input: string): InputScaling | null | undefined {
  const makers = new Map<string, Node>();
  for (const node of graph.nodes) for (const output of node.outputs) makers.set(output, node);
  const readers = consumers(graph);
  let [scale, offset] = [[1], [0]];
  let scaled = false;
  for (let value = input; ;) {
    const [node, ...others] = readers.get(value) ?? [];
    if (others.length > 0 && !scaled) return undefined;
    if (node?.domain !== "" || others.length > 0) break;
    if (!scaled && normalising.has(node.opType)) return undefined;
    if (!keeping.has(node.opType)) {
      const first = node.inputs[0] === value;
      const constant = constantNumbers(graph, makers, node.inputs[first ? 1 : 0] ?? "");
      // One number, or one a channel: of shape [C, 1, 1] or [1, C, 1, 1] in any export that works.
      if (!constant || ![1, 3].includes(constant.length)) break;
      const next = applied(node.opType, scale, offset, Array.from(constant), first);
      if (!next) break;
      [scale, offset] = next;
      scaled = true;
    }
    value = node.outputs[0]!;
  }
  return scaled ? { scale, offset } : null;
}

/** One more operator; `first`: the value is its first input, a constant the second. */
function applied(
  op: string,
  scale: number[],
  offset: number[],
  constant: readonly number[],
  first: boolean,
): [number[], number[]] | null {
  const channels = Math.max(scale.length, offset.length, constant.length);
  const at = (list: readonly number[], i: number): number => list[list.length === 1 ? 0 : i]!;
  const each = (make: (a: number, b: number, k: number) => [number, number]): [number[], number[]] => {
    const pairs = Array.from({ length: channels }, (_, i) =>
      make(at(scale, i), at(offset, i), at(constant, i)),
    );
    return [pairs.map(([a]) => a), pairs.map(([, b]) => b)];
  };
  switch (op) {
    case "Add":
      return each((a, b, k) => [a, b + k]);
    case "Sub":
      return each((a, b, k) => (first ? [a, b - k] : [-a, k - b]));
    case "Mul":
      return each((a, b, k) => [a * k, b * k]);
    case "Div":
      return first ? each((a, b, k) => [a / k, b / k]) : null;
    default:
      return null;
  }
}
