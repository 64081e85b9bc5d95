/**
 * One spelling for all models: a graph of any operator set from 7 on is rewritten to operator set 18 or newer, so
 * that every later pass sees one form of each operator (axes as inputs, Softmax over one axis, Resize instead of
 * Upsample, standard operators instead of the runtime's own, …). Sources: the operator changelog of the ONNX specification, and ONNX Runtime where the
 * specification of an old version leaves room.
 */
import { create } from "@bufbuild/protobuf";
import { AttributeProto_AttributeType, AttributeProtoSchema, GraphProtoSchema } from "onnx-buf";
import { ModelError } from "../base/errors.js";
import {
  float,
  floatList,
  int,
  makeAttribute,
  string,
  tensor,
  wholeInt,
  wholeInts,
  type AttributeValue,
} from "./attributes.js";
import { mapBodies } from "./body.js";
import { encodeNode, encodeValue } from "./codec.js";
import { standardSteps } from "./contrib/index.js";
import { copyGraph, describeNode, Names, onNode, withFields, type Graph, type Node } from "./graph.js";
import { Shapes } from "./shapes.js";
import { normalAxis } from "./shapes/operators.js";
import { finish, type Steps } from "./steps.js";
import { DataType, makeTensor } from "./tensors.js";

/** The oldest operator set that is read. */
export const oldestOpset = 7;
/** The oldest operator set that later passes see. */
export const canonicalOpset = 18;

/** The first IR version that may carry an operator set (onnx/docs/Versioning.md). */
function irVersionFor(opset: number): number {
  return opset >= 25 ? 13 : opset >= 24 ? 12 : opset >= 23 ? 11 : opset >= 21 ? 10 : opset >= 19 ? 9 : 8;
}

/** What an upgrade of one operator works with. */
interface Upgrade {
  node: Node;
  /** The operator set that the node was written for. */
  from: number;
  /** The operator set that it becomes. */
  to: number;
  /** What is known of the values before the node, in the new spelling. */
  shapes: Shapes;
  /** A new constant. */
  constant(data: readonly (number | bigint)[], dims: readonly number[], elemType: number): string;
  /** A node before this one. */
  emit(opType: string, inputs: string[], attributes?: Record<string, AttributeValue>): string;
  /** A name that nothing has. */
  fresh(hint: string): string;
  fail(why: string): ModelError;
}

/** Changes `node` in place. A list of nodes returned takes its place (after what was emitted). */
type UpgradeRule = (u: Upgrade) => void;

interface Step {
  /** Nodes of operator sets before this one are changed. */
  before: number;
  rule: UpgradeRule;
}

const steps = new Map<string, Step[]>();

/** Rules of one operator run in the order they are defined: oldest first. */
function define(opTypes: string, before: number, rule: UpgradeRule): void {
  for (const opType of opTypes.split(" ")) {
    const list = steps.get(opType);
    if (list) list.push({ before, rule });
    else steps.set(opType, [{ before, rule }]);
  }
}

function setInput(node: Node, index: number, value: string): void {
  while (node.inputs.length <= index) node.inputs.push("");
  node.inputs[index] = value;
}

/** Moves an integer list from an attribute to an input. */
function intsToInput(u: Upgrade, attribute: string, index: number): void {
  const values = wholeInts(u.node, attribute);
  u.node.attributes.delete(attribute);
  if (values) setInput(u.node, index, u.constant(values, [values.length], DataType.INT64));
}

/** A scalar of the type of input 0. */
function scalarLikeInput(u: Upgrade, value: number): string {
  const elemType = u.shapes.elemType(u.node.inputs[0] ?? "");
  if (elemType === DataType.DOUBLE || elemType === DataType.FLOAT || elemType === DataType.FLOAT16)
    return u.constant([value], [], elemType);
  const constant = u.constant([value], [], DataType.FLOAT);
  return elemType === 0
    ? u.emit("CastLike", [constant, u.node.inputs[0]!])
    : u.emit("Cast", [constant], { to: elemType });
}

define("Squeeze Unsqueeze ReduceSum", 13, (u) => intsToInput(u, "axes", 1));
define(
  "ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum ReduceLogSumExp",
  18,
  (u) => intsToInput(u, "axes", 1),
);
define("Split", 13, (u) => intsToInput(u, "split", 1));
define("Split", 18, (u) => {
  if (!u.node.inputs[1])
    u.node.attributes.set("num_outputs", makeAttribute("num_outputs", u.node.outputs.length));
});

define("Softmax LogSoftmax Hardmax", 13, (u) => {
  // Before operator set 13 everything from `axis` on (default 1) was one axis.
  const axis = int(u.node, "axis", 1);
  const x = u.node.inputs[0]!;
  const dims = u.shapes.dims(x);
  u.node.attributes.set("axis", makeAttribute("axis", -1));
  if (axis === -1 || (dims && normalAxis(axis, dims.length) === dims.length - 1)) return;
  u.node.inputs[0] = u.emit("Flatten", [x], { axis });
  const [output] = u.node.outputs;
  const flat = u.emit(u.node.opType, u.node.inputs, { axis: -1 });
  becomes(u.node, "Reshape", [flat, u.emit("Shape", [x])], {});
  u.node.outputs = [output!];
});

function becomes(
  node: Node,
  opType: string,
  inputs: string[],
  attributes: Record<string, AttributeValue>,
): void {
  node.opType = opType;
  node.inputs = inputs;
  node.attributes = new Map(
    Object.entries(attributes).map(([name, value]) => [name, makeAttribute(name, value)]),
  );
}

define("Clip", 11, (u) => {
  for (const [index, name] of [
    [1, "min"],
    [2, "max"],
  ] as const) {
    if (!u.node.attributes.has(name)) continue;
    setInput(u.node, index, scalarLikeInput(u, float(u.node, name, 0)));
    u.node.attributes.delete(name);
  }
});
define("Dropout", 12, (u) => {
  // Only inference was ever defined before: the ratio says nothing then.
  u.node.attributes.delete("ratio");
});
define("Pad", 11, (u) => {
  intsToInput(u, "pads", 1);
  const value = float(u.node, "value", 0);
  u.node.attributes.delete("value");
  if (value !== 0) setInput(u.node, 2, scalarLikeInput(u, value));
});
define("Slice", 10, (u) => {
  intsToInput(u, "starts", 1);
  intsToInput(u, "ends", 2);
  intsToInput(u, "axes", 3);
});
define("TopK", 10, (u) => {
  const k = wholeInt(u.node, "k", 1n);
  u.node.attributes.delete("k");
  setInput(u.node, 1, u.constant([k], [1], DataType.INT64));
});
define("Scatter", Infinity, (u) => {
  u.node.opType = "ScatterElements";
});

define("BatchNormalization", 9, (u) => {
  if (int(u.node, "spatial", 1) === 0)
    throw u.fail("statistics per position (spatial = 0) are no longer part of ONNX");
  u.node.attributes.delete("spatial");
});
define("BatchNormalization", 14, (u) => {
  if (u.node.outputs.slice(1).some((output) => output !== ""))
    throw u.fail("it is exported for training (more than one output): export the model in evaluation mode");
  u.node.outputs.length = 1;
});

define("Upsample", 9, (u) => {
  const scales = floatList(u.node, "scales");
  if (!scales) throw u.fail("it has no scales");
  u.node.attributes.delete("scales");
  setInput(u.node, 1, u.constant(scales, [scales.length], DataType.FLOAT));
});
define("Upsample", Infinity, (u) => {
  u.node.opType = "Resize";
  oldResize(u, "floor");
});
define("Resize", 11, (u) => {
  // Operator set 10 does not say how "nearest" rounds; ONNX Runtime truncates upwards and rounds up downwards.
  const scales = u.shapes.numbers(u.node.inputs[1] ?? "");
  const shrinks = scales?.some((scale) => scale < 1) ?? false;
  if (shrinks && scales!.some((scale) => scale > 1) && string(u.node, "mode", "nearest") === "nearest")
    throw u.fail("one axis grows and another shrinks in operator set 10, which does not define the rounding");
  oldResize(u, shrinks ? "ceil" : "floor");
});
function oldResize(u: Upgrade, rounding: string): void {
  const [x, scales] = u.node.inputs;
  u.node.inputs = [x!, "", scales ?? ""];
  const mode = string(u.node, "mode", "nearest");
  u.node.attributes = new Map();
  for (const [name, value] of Object.entries({
    mode: mode === "bilinear" ? "linear" : mode,
    coordinate_transformation_mode: "asymmetric",
    nearest_mode: rounding,
  }))
    u.node.attributes.set(name, makeAttribute(name, value));
}
define("Resize", 13, (u) => {
  if (string(u.node, "coordinate_transformation_mode", "half_pixel") === "tf_half_pixel_for_nn")
    throw u.fail("the coordinate mode tf_half_pixel_for_nn is no longer part of ONNX");
  // Operator set 11 wants empty scales beside sizes; later ones want them left out.
  if (u.node.inputs[3]) u.node.inputs[2] = "";
});

define("GridSample", 20, (u) => {
  const mode = string(u.node, "mode", "bilinear");
  if (u.to < 20) return;
  const renamed = mode === "bilinear" ? "linear" : mode === "bicubic" ? "cubic" : mode;
  u.node.attributes.set("mode", makeAttribute("mode", renamed));
});
define("DFT", 20, (u) => {
  if (u.to < 20) return;
  const axis = wholeInt(u.node, "axis", 1n);
  u.node.attributes.delete("axis");
  setInput(u.node, 2, u.constant([axis], [], DataType.INT64));
});
define("GroupNormalization", 21, (u) => {
  if (u.to < 21) return;
  // Scale and bias were per group, they are per channel now.
  const groups = int(u.node, "num_groups", 1);
  const channels = u.shapes.dims(u.node.inputs[0]!)?.[1];
  if (typeof channels !== "number") throw u.fail("its number of channels is not known");
  for (const index of [1, 2]) {
    const column = u.emit("Unsqueeze", [u.node.inputs[index]!, u.constant([1], [1], DataType.INT64)]);
    const spread = u.emit("Expand", [column, u.constant([groups, channels / groups], [2], DataType.INT64)]);
    u.node.inputs[index] = u.emit("Reshape", [spread, u.constant([-1], [1], DataType.INT64)]);
  }
});
define("Scan", 9, (u) => {
  // Everything had the batch as its first axis, and the body saw one row of it: a Scan over rows, each with one over time.
  const { node } = u;
  const [lengths, ...inputs] = node.inputs;
  if (lengths) throw u.fail("its rows have lengths of their own, which operator set 9 no longer has");
  const row = (name: string): string => u.fresh(`${name || node.opType}/row`);
  const inner: Node = {
    ...node,
    inputs: inputs.map(row),
    outputs: node.outputs.map(row),
    attributes: new Map(node.attributes),
  };
  const directions = wholeInts(node, "directions");
  inner.attributes.delete("directions");
  if (directions)
    inner.attributes.set("scan_input_directions", makeAttribute("scan_input_directions", directions));
  const open = (name: string): ReturnType<typeof encodeValue> =>
    encodeValue({ name, elemType: 0, dims: null });
  const g = create(GraphProtoSchema, {
    name: "row",
    input: inner.inputs.map(open),
    node: [encodeNode(inner)],
    output: inner.outputs.map(open),
  });
  becomes(node, "Scan", inputs, { num_scan_inputs: inputs.length });
  node.attributes.set(
    "body",
    create(AttributeProtoSchema, { name: "body", type: AttributeProto_AttributeType.GRAPH, g }),
  );
});

/**
 * The same model in one spelling.
 *
 * @param target the operator set wanted at least
 * @throws ModelError ERR_MODEL_UNSUPPORTED for an operator set before 7 or a node that has no new spelling
 */
export function upgradeGraph(graph: Graph, target = canonicalOpset): Graph {
  return finish(upgradeSteps(graph, target));
}

export function* upgradeSteps(graph: Graph, target = canonicalOpset): Steps<Graph> {
  const from = graph.opsets.get("");
  if (from === undefined) {
    // Only operators of other domains: nothing to upgrade.
    const result = copyGraph(graph);
    result.opsets.set("", Math.max(target, canonicalOpset));
    result.irVersion = Math.max(result.irVersion, irVersionFor(target));
    return yield* standardSteps(result);
  }
  if (!(from >= oldestOpset))
    throw new ModelError(
      "ERR_MODEL_UNSUPPORTED",
      `the model is of operator set ${from}, expected ${oldestOpset} or newer: export it again`,
    );
  const to = Math.max(target, canonicalOpset, from);
  const result = copyGraph(graph);
  result.opsets.set("", to);
  result.irVersion = Math.max(result.irVersion, irVersionFor(to));
  if (from < 21 && from < to) yield* upgradeNodes(result, from, to);
  constantsToInitializers(result);
  for (const f of result.functions)
    if (f.opsetImport.some((entry) => entry.domain === "" && Number(entry.version) !== to) && from < to)
      throw new ModelError(
        "ERR_MODEL_UNSUPPORTED",
        `the model's function ${f.name} is of operator set ${from}: export the model with operator set ${to}`,
      );
  return yield* standardSteps(result);
}

/** Constants that are nodes become initializers, where rules look for numbers they can fold. */
export function constantsToInitializers(graph: Graph): void {
  const outputs = new Set(graph.outputs.map((output) => output.name));
  graph.nodes = graph.nodes.filter((node) => {
    const name = node.outputs[0];
    const value = node.domain === "" && node.opType === "Constant" ? tensor(node, "value") : null;
    if (value === null || name === undefined || outputs.has(name)) return true;
    graph.initializers.set(name, withFields(value, { name }));
    return false;
  });
}

/** Both graphs in the newer of their operator sets. */
export function* unifyOpsets(a: Graph, b: Graph): Steps<[Graph, Graph]> {
  const target = Math.max(a.opsets.get("") ?? 0, b.opsets.get("") ?? 0, canonicalOpset);
  const both: [Graph, Graph] = [yield* upgradeSteps(a, target), yield* upgradeSteps(b, target)];
  const opsets = new Map(both[0].opsets);
  for (const [domain, version] of both[1].opsets)
    opsets.set(domain, Math.max(version, opsets.get(domain) ?? 0));
  const irVersion = Math.max(both[0].irVersion, both[1].irVersion);
  for (const graph of both) {
    graph.opsets = new Map(opsets);
    graph.irVersion = irVersion;
  }
  return both;
}

function* upgradeNodes(graph: Graph, from: number, to: number): Steps<void> {
  const names = new Names(graph);
  const shapes = new Shapes(graph);
  const constant: Upgrade["constant"] = (data, dims, elemType) => {
    const name = names.fresh("upgrade/const");
    graph.initializers.set(name, makeTensor(name, elemType, dims, data));
    return name;
  };

  /** The new nodes in place of one old node. Bodies use the constants of the graph around them. */
  const upgradeNode = (old: Node): Node[] => {
    const node = mapBodies(old, (nodes) => nodes.flatMap(upgradeNode));
    if (node.domain !== "") return [node];
    const emitted: Node[] = [];
    const u: Upgrade = {
      node,
      from,
      to,
      shapes,
      constant,
      emit: (opType, inputs, attributes = {}) => {
        const name = names.fresh(`upgrade/${opType}`);
        const made: Node = {
          opType,
          domain: "",
          name,
          overload: "",
          inputs,
          outputs: [name],
          attributes: new Map(),
        };
        becomes(made, opType, inputs, attributes);
        emitted.push(made);
        shapes.addNode(made);
        return name;
      },
      fresh: (hint) => names.fresh(hint),
      fail: (why) =>
        new ModelError(
          "ERR_MODEL_UNSUPPORTED",
          `${describeNode(old)}: cannot be brought from operator set ${from} to ${to}: ${why}`,
        ),
    };
    for (const step of steps.get(old.opType) ?? []) if (from < step.before) onNode(old, () => step.rule(u));
    return [...emitted, node];
  };

  const upgraded: Node[] = [];
  for (const old of graph.nodes) {
    const replaced = upgradeNode(old);
    shapes.addNode(replaced.at(-1)!);
    upgraded.push(...replaced);
    yield;
  }
  graph.nodes = upgraded;
}
