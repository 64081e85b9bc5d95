/** Which nodes of a graph run on a target and which fall to the CPU, and what that costs. */
import { int } from "../attributes.js";
import { subgraphs, type Graph, type Node } from "../graph.js";
import { inferShapes, inferSteps, type Shapes } from "../shapes.js";
import type { Steps } from "../steps.js";
import { DataType, isFloat } from "../tensors.js";
import { hasKernel } from "./kernels.js";
import type { Target } from "./target.js";

/** A node that does not run on the target. */
interface FallenNode {
  /** Its name, or its first output where it has none. */
  readonly name: string;
  readonly opType: string;
  readonly domain: string;
  /** Whether it does much of a network's work: a convolution, product, resize, pooling, normalisation or activation. */
  readonly heavy: boolean;
  readonly why: string;
}

export interface GraphPlacement {
  readonly nodes: number;
  /** Nodes on the CPU that compute with a network's numbers; those that only compute shapes are not told. */
  readonly onCpu: readonly FallenNode[];
  /** Nodes that the target takes and cannot run. */
  readonly failing: readonly FallenNode[];
  /** Values that are copied between the target's memory and the CPU's in each run, but for inputs and outputs. */
  readonly copies: number;
}

/** Operators that do a network's work. Whatever is not standard is taken for work, too. */
const heavyOperators = new Set(
  (
    "Conv ConvTranspose ConvInteger DeformConv QLinearConv Col2Im " +
    "MatMul Gemm Einsum MatMulInteger QLinearMatMul Attention LSTM GRU RNN Det " +
    "Resize Upsample GridSample AffineGrid " +
    "AveragePool MaxPool LpPool GlobalAveragePool GlobalMaxPool GlobalLpPool MaxUnpool MaxRoiPool RoiAlign " +
    "BatchNormalization InstanceNormalization LayerNormalization GroupNormalization RMSNormalization LRN " +
    "MeanVarianceNormalization LpNormalization " +
    "Relu LeakyRelu PRelu ThresholdedRelu Elu Celu Selu Gelu Mish Swish HardSwish HardSigmoid Sigmoid Tanh Softplus Softsign " +
    "Softmax LogSoftmax Hardmax"
  ).split(" "),
);

function isHeavy({ opType, domain }: { opType: string; domain: string }): boolean {
  return (domain !== "" && domain !== "ai.onnx" && domain !== "ai.onnx.ml") || heavyOperators.has(opType);
}

/** Why a target takes a node and cannot run it, as far as is known; null where nothing is known against it. */
function faultOf(target: Target, node: Node, shapes: Shapes): string | null {
  if (target !== "webgpu" || node.domain !== "") return null;
  const rank = shapes.dims(node.inputs[0] ?? "")?.length ?? 0;
  const groups = int(node, "group", 1) !== 1;
  switch (node.opType) {
    case "MaxPool":
      return node.outputs[1] ? "its kernel does not tell the indices" : null;
    case "Conv":
      return rank > 4 && groups ? "its kernel for three axes has no groups" : null;
    case "ConvTranspose":
      return rank > 4 ? "its kernel is for one and two axes" : null;
    case "Resize":
      return int(node, "antialias", 0) !== 0 ? "its kernel has no antialias" : null;
    default:
      return null;
  }
}

/** Where the nodes of a graph run as the tables of kernels tell. */
export function tabledPlacement(graph: Graph, target: Target): GraphPlacement {
  const shapes = inferShapes(graph);
  const opset = graph.opsets.get("") ?? 0;
  const why = (node: Node): string | null => {
    if (target === "cpu" || subgraphs(node).length > 0) return null;
    if (node.domain !== "") return `${target} has no kernel for it that is known here`;
    if (!hasKernel(target, node.opType, opset))
      return `${target} has no kernel for it at operator set ${opset}`;
    const double = [node.inputs[0], node.outputs[0]].some(
      (name) => shapes.elemType(name ?? "") === DataType.DOUBLE,
    );
    return target === "webgpu" && double ? "webgpu has no float64" : null;
  };
  const fallen = new Map<Node, string>();
  for (const node of graph.nodes) {
    const reason = why(node);
    if (reason !== null) fallen.set(node, reason);
  }
  const failing = graph.nodes.flatMap((node) => {
    const fault = fallen.has(node) ? null : faultOf(target, node, shapes);
    return fault === null ? [] : [described(node, fault)];
  });
  return { ...placed(graph, shapes, fallen), failing };
}

/**
 * Where they run as the runtime told: `onCpu` holds the names of the nodes that it gave to the CPU. Of its own changes to the
 * graph only the names that are left are known here.
 */
export function* reportedPlacementSteps(
  graph: Graph,
  target: Target,
  onCpu: readonly { name: string; opType: string; domain: string }[],
): Steps<GraphPlacement> {
  const shapes = yield* inferSteps(graph);
  const names = new Set(onCpu.map(({ name }) => name));
  const fallen = new Map(
    graph.nodes
      .filter(({ name }) => names.has(name))
      .map((node) => [node, "the runtime gives it to the CPU"]),
  );
  const known = placed(graph, shapes, fallen);
  // Nodes that the runtime made, or named, itself.
  const own = new Set(graph.nodes.map(({ name }) => name));
  const others = onCpu
    .filter((node) => !own.has(node.name) && isHeavy(node))
    .map((node) => ({ ...node, heavy: true, why: "the runtime gives it to the CPU" }));
  const failing = graph.nodes.flatMap((node) => {
    const fault = fallen.has(node) ? null : faultOf(target, node, shapes);
    return fault === null ? [] : [described(node, fault)];
  });
  return { ...known, onCpu: [...known.onCpu, ...others], failing };
}

function described(node: Node, why: string): FallenNode {
  const { name, opType, domain, outputs } = node;
  return { name: name || (outputs[0] ?? ""), opType, domain, heavy: isHeavy(node), why };
}

function placed(
  graph: Graph,
  shapes: Shapes,
  fallen: ReadonlyMap<Node, string>,
): Omit<GraphPlacement, "failing"> {
  // What only computes shapes lies on the CPU anyway.
  const computes = (node: Node): boolean =>
    [...node.inputs, ...node.outputs].some((name) => {
      const type = shapes.elemType(name);
      return (
        name !== "" &&
        (type === 0 || isFloat(type) || type === DataType.BOOL) &&
        !graph.initializers.has(name)
      );
    });
  const onCpu = [...fallen].filter(([node]) => computes(node) && !sizeOnly.has(node.opType));
  const hosts = new Set(onCpu.map(([node]) => node));
  const made = new Map<string, boolean>();
  for (const node of graph.nodes) for (const output of node.outputs) made.set(output, hosts.has(node));
  const crossing = new Set<string>();
  for (const node of graph.nodes) {
    if (sizeOnly.has(node.opType)) continue;
    for (const input of node.inputs) {
      const maker = made.get(input);
      const type = shapes.elemType(input);
      const moves = type === 0 || isFloat(type) || type === DataType.BOOL;
      if (maker !== undefined && maker !== hosts.has(node) && moves) crossing.add(`${input} ${maker}`);
    }
  }
  return {
    nodes: graph.nodes.length,
    onCpu: onCpu.map(([node, why]) => described(node, why)),
    copies: crossing.size,
  };
}

/** Operators that read nothing but how large a value is. */
const sizeOnly = new Set(["Shape", "Size"]);
