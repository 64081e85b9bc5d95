/**
 * Graphs brought back to the operator set that providers of GPUs have kernels for. Their kernels are often registered for one
 * version of an operator, and a newer one, which differs in nothing but the types it takes, falls to the CPU.
 */
import { int, ints, makeAttribute, string, type AttributeValue } from "../attributes.js";
import { subgraphs, type Graph, type Node } from "../graph.js";
import { inferSteps, type Shapes } from "../shapes.js";
import type { Steps } from "../steps.js";
import { DataType } from "../tensors.js";

/** The operator set of the forms for GPUs. */
const loweredOpset = 18;

/** Operators of newer sets, which have no older spelling of the same name. */
const introduced: ReadonlyMap<string, number> = new Map(
  Object.entries({
    AffineGrid: 20,
    Gelu: 20,
    ImageDecoder: 20,
    RegexFullMatch: 20,
    StringConcat: 20,
    StringSplit: 20,
    // Its scale and bias are per channel since then.
    GroupNormalization: 21,
    Attention: 23,
    RMSNormalization: 23,
    RotaryEmbedding: 23,
    Swish: 24,
    TensorScatter: 24,
    BitCast: 26,
    CumProd: 26,
  }),
);

/** Whether an operator, at a newer operator set, has no spelling at the one that graphs are brought back to. */
export function isNewer(node: Node, opset: number): boolean {
  const first = introduced.get(node.opType);
  return node.domain === "" && first !== undefined && opset >= first;
}

/** Attributes at the lowered operator set; null where the node means something that was not there yet. */
type Lowering = (node: Node, shapes: Shapes) => Record<string, AttributeValue | undefined> | null;

const unchanged: Lowering = () => ({});
const floats: Lowering = (node, shapes) => (shapes.elemType(node.inputs[0]!) === DataType.BOOL ? null : {});

const lowerings: Readonly<Record<string, Lowering>> = {
  AveragePool: (node) =>
    (ints(node, "dilations") ?? []).some((step) => step !== 1) || int(node, "ceil_mode", 0) !== 0
      ? null
      : { dilations: undefined },
  Cast: () => ({ saturate: undefined, round_mode: undefined }),
  CastLike: () => ({ saturate: undefined, round_mode: undefined }),
  // The axis is an input since operator set 20.
  DFT: () => null,
  DequantizeLinear: (node) => (node.attributes.has("block_size") ? null : { output_dtype: undefined }),
  GridSample: (node, shapes) => {
    if (shapes.dims(node.inputs[0]!)?.length !== 4) return null;
    const mode = string(node, "mode", "linear");
    return { mode: mode === "linear" ? "bilinear" : mode === "cubic" ? "bicubic" : mode };
  },
  Pad: (node) => (string(node, "mode", "constant") === "wrap" ? null : {}),
  QuantizeLinear: (node) =>
    ["block_size", "output_dtype", "precision"].some((name) => node.attributes.has(name))
      ? null
      : { saturate: undefined },
  ReduceMax: floats,
  ReduceMin: floats,
  Resize: (node) =>
    string(node, "coordinate_transformation_mode", "half_pixel") === "half_pixel_symmetric" ? null : {},
};

/**
 * The graph at operator set 18, where all of its nodes can be spelled there, else as it was. Changes `graph`. Operators that
 * are newer must have been spelled out before.
 */
export function* loweredSteps(graph: Graph): Steps<Graph> {
  const opset = graph.opsets.get("") ?? 0;
  if (opset <= loweredOpset) return graph;
  const shapes = yield* inferSteps(graph);
  const changes: [Node, Record<string, AttributeValue | undefined>][] = [];
  for (const node of graph.nodes) {
    if (node.domain !== "") continue;
    // What bodies hold would have to be brought back too.
    if (isNewer(node, opset) || subgraphs(node).length > 0) return graph;
    // Types that came later: float8, 4 and 2 bits.
    if ([...node.inputs, ...node.outputs].some((name) => shapes.elemType(name) > DataType.BFLOAT16))
      return graph;
    const change = (lowerings[node.opType] ?? unchanged)(node, shapes);
    if (change === null) return graph;
    changes.push([node, change]);
  }
  for (const [node, change] of changes)
    for (const [name, value] of Object.entries(change))
      if (value === undefined) node.attributes.delete(name);
      else node.attributes.set(name, makeAttribute(name, value));
  graph.opsets.set("", loweredOpset);
  return graph;
}
