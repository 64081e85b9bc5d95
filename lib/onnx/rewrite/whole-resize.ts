/** Resizes of some axes, which the runtime spoils where Transposes come before them. */
import { ints, string } from "../attributes.js";
import type { Builder } from "../builder.js";
import type { Graph, Node } from "../graph.js";
import { DataType } from "../tensors.js";
import type { Rewrite } from "./pass.js";

/**
 * Resize of some axes as one of all axes, behind a Transpose: ONNX Runtime (1.30) moves Transposes through a Resize as if it had
 * no `axes`, and then refuses its own graph. It is the same kernel with the same sizes.
 */
export const wholeResize: Rewrite = ({ b }, node) => {
  const [x, roi, scales, sizes] = node.inputs as [string, string?, string?, string?];
  const given = ints(node, "axes");
  const rank = b.rank(x);
  if (!given || rank === null || roi || !behindTranspose(b, x)) return null;
  if (string(node, "keep_aspect_ratio_policy", "stretch") !== "stretch") return null;
  const axes = given.map((axis) => (axis < 0 ? axis + rank : axis));
  const numbers = b.shapes.numbers(sizes || scales || "");
  if (!numbers || numbers.length !== axes.length) return null;
  const places = Array.from({ length: rank }, (_, axis) => axes.indexOf(axis));
  const all = (): string =>
    b.op(
      "Concat",
      places.map((place, axis) => (place < 0 ? b.sizes(x, [axis]) : b.ints([numbers[place]!]))),
      { axis: 0 },
    );
  const factors = (): string =>
    b.constant(
      places.map((place) => (place < 0 ? 1 : numbers[place]!)),
      [rank],
      DataType.FLOAT,
    );
  const inputs = sizes ? [x, "", "", all()] : [x, "", factors()];
  const attributes = new Map(node.attributes);
  attributes.delete("axes");
  const name = b.names.fresh(`${node.outputs[0]}/whole`);
  b.append({ ...node, name, attributes, inputs, outputs: [name] });
  return name;
};

/** Whether a graph has what {@link wholeResize} is for. */
export function hasResizeBehindTranspose(graph: Graph): boolean {
  const has = (opType: string, attribute?: string): boolean =>
    graph.nodes.some(
      (node) =>
        node.domain === "" && node.opType === opType && (!attribute || node.attributes.has(attribute)),
    );
  return has("Resize", "axes") && has("Transpose");
}

function behindTranspose(b: Builder, value: string): boolean {
  const seen = new Set<Node>();
  const open = [value];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const node = b.maker(name);
    if (!node || seen.has(node)) continue;
    if (node.domain === "" && node.opType === "Transpose") return true;
    seen.add(node);
    open.push(...node.inputs);
  }
  return false;
}
