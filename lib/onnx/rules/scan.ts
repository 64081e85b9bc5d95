/** Steps over time: the adjoint of a Scan is a Scan that runs backwards. */
import { create } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type AttributeProto,
  type GraphProto,
} from "onnx-buf";
import { graph as graphAttribute, int, ints, makeAttribute } from "../attributes.js";
import { bodyGraph, encodeBody, renameApart, withoutIdentities } from "../body.js";
import type { Builder } from "../builder.js";
import { identity, type Graph, type ValueInfo } from "../graph.js";
import { isFloat } from "../tensors.js";
import { normalAxis } from "../shapes/operators.js";
import { define, type RuleContext } from "./rule.js";

// The states before each step are recorded by the Scan itself. The adjoint takes them in reverse order, computes a step again
// and sends its adjoints on: those of the states to the step before, those of captured values into sums.
define("Scan", (c) => {
  let made: Map<string, string | null> | undefined;
  const adjoints = (): Map<string, string | null> => (made ??= backwards(c));
  const states = c.x.length - int(c.node, "num_scan_inputs", 0);
  return [
    ...c.x.map((name, i) => {
      // An input given twice has one adjoint for each place.
      const key = `${i < states ? "state" : "part"} ${i}`;
      return c.isActive(name) ? () => adjoints().get(key) ?? null : null;
    }),
    ...c.captured.map((name) => (c.isActive(name) ? () => adjoints().get(`captured ${name}`) ?? null : null)),
  ];
});

// Loops of a known number of steps were unrolled, or became a Scan.
define("Loop", (c) => {
  const refuse = (): never => {
    throw c.fail(
      c.node.inputs[1] || c.node.inputs[0]
        ? "how many steps it takes depends on data, or what it carries changes its shape from step to step: export the model with " +
            "a fixed number of steps and values of one shape"
        : "it never ends",
    );
  };
  return [...c.x, ...c.captured].map((name) => (c.isActive(name) ? refuse : null));
});

const openType = ({ name, elemType }: ValueInfo): ValueInfo => ({ name, elemType, dims: null });

function bodyAttribute(g: GraphProto): AttributeProto {
  return create(AttributeProtoSchema, { name: "body", type: AttributeProto_AttributeType.GRAPH, g });
}

/** What a Scan is, in lists of one length: axes are not negative. */
interface Parts {
  readonly body: GraphProto;
  readonly states: number;
  readonly axes: readonly number[];
  readonly back: readonly number[];
  readonly places: readonly number[];
  readonly turned: readonly number[];
}

function partsOf(c: RuleContext): Parts {
  const { node, x } = c;
  const body = graphAttribute(node, "body");
  if (!body) throw new Error("it has no body");
  const count = int(node, "num_scan_inputs", 0);
  const states = x.length - count;
  const outputs = body.output.length - states;
  const list = (name: string, length: number): number[] =>
    Array.from({ length }, (_, i) => ints(node, name)?.[i] ?? 0);
  const front = (axis: number, value: string): number => {
    if (axis >= 0) return axis;
    return c.axis(axis, c.rank(value));
  };
  return {
    body,
    states,
    axes: list("scan_input_axes", count).map((axis, i) => front(axis, x[states + i]!)),
    back: list("scan_input_directions", count),
    places: list("scan_output_axes", outputs).map((axis, i) => front(axis, node.outputs[states + i]!)),
    turned: list("scan_output_directions", outputs),
  };
}

/** The body as a graph of which every output is a value of its own, and the types of its inputs are known. */
function graphOfBody(c: RuleContext, parts: Parts, wanted: readonly string[]): Graph {
  const { b, x } = c;
  const own = x.map((name, i): Omit<ValueInfo, "name"> => {
    const { elemType, dims } = b.shapes.valueInfo(name);
    if (i < parts.states || !dims) return { elemType, dims };
    const axis = normalAxis(parts.axes[i - parts.states]!, dims.length);
    return { elemType, dims: dims.filter((_, at) => at !== axis) };
  });
  const graph = bodyGraph(
    parts.body,
    { graph: b.graph, valueInfo: (name) => b.shapes.valueInfo(name) },
    wanted,
    own,
  );
  graph.outputs = graph.outputs.map(({ name, elemType }, i) => {
    const apart = b.names.fresh(`${name}/out`);
    graph.nodes.push(identity(name, apart));
    const known = i < parts.states ? own[i]!.elemType : b.shapes.elemType(c.node.outputs[i] ?? "");
    return { name: apart, elemType: known || elemType, dims: null };
  });
  return graph;
}

/** The states that depend on something active, among those of real numbers. */
function activeStates(c: RuleContext, parts: Parts, graph: Graph): number[] {
  const real = (name: string): boolean => isFloat(c.b.shapes.elemType(name));
  const names = parts.body.input.map(({ name }) => name);
  const from = [
    ...names.filter((_, i) => c.isActive(c.x[i]!) && real(c.x[i]!)),
    ...c.captured.filter((name) => c.isActive(name)),
  ];
  const active = new Set(names.flatMap((_, i) => (i < parts.states && from.includes(names[i]!) ? [i] : [])));
  for (;;) {
    const reached = c.reached(graph, [...from, ...[...active].map((i) => names[i]!)]);
    const before = active.size;
    for (let i = 0; i < parts.states; i++)
      if (real(c.x[i]!) && reached.has(graph.outputs[i]!.name)) active.add(i);
    if (active.size === before) return [...active].sort((p, q) => p - q);
  }
}

/** Emits the adjoint and returns its results, by what they are of. */
function backwards(c: RuleContext): Map<string, string | null> {
  const { b, grads } = c;
  const parts = partsOf(c);
  const formal = parts.body.input.map(({ name }) => name);
  const captured = c.captured.filter((name) => c.isActive(name) && !b.graph.initializers.has(name));
  const graph = graphOfBody(c, parts, captured);
  const states = activeStates(c, parts, graph);
  const scanned = c.x.flatMap((name, i) => (i >= parts.states && c.isActive(name) ? [i] : []));
  // What of the outputs has an adjoint: the states in every step, further outputs where somebody read them.
  const seeded = graph.outputs.flatMap(({ name }, i) =>
    i < parts.states ? (states.includes(i) ? [{ i, name }] : []) : grads[i] ? [{ i, name }] : [],
  );
  const prefix = "adjoint of ";
  const wrt = [...[...states, ...scanned].map((i) => formal[i]!), ...captured];
  if (seeded.length === 0) return new Map();
  const step = c.differentiate(graph, {
    wrt,
    outputs: seeded.map(({ name }) => name),
    keepOutputs: false,
    prefix,
  });

  const read = new Set(step.nodes.flatMap(({ inputs }) => inputs));
  for (const { name } of step.outputs) read.add(name);
  for (const node of step.nodes)
    for (const attribute of node.attributes.values())
      if (attribute.g) for (const name of bodyReads(attribute.g)) read.add(name);
  const recorded = formal.flatMap((name, i) => (i < parts.states && read.has(name) ? [i] : []));
  const given = formal.flatMap((name, i) => (i >= parts.states && read.has(name) ? [i] : []));
  const records = record(c, parts, recorded);

  // The body of the adjoint: the adjoints of states and the sums go in and out; the rest comes step by step.
  const types = new Map(step.inputs.map((value) => [value.name, value]));
  const seedsOf = new Map(seeded.map(({ i, name }) => [i, prefix + name]));
  const sums = captured.map((name) => ({
    name,
    before: b.names.fresh(`sum of ${name}`),
    after: b.names.fresh(`sum of ${name}`),
  }));
  const results = new Map(step.outputs.map((value) => [value.name, value]));
  const adjointOf = (name: string): ValueInfo => openType(results.get(prefix + name)!);
  for (const { name, before, after } of sums)
    step.nodes.push({
      opType: "Add",
      domain: "",
      name: "",
      overload: "",
      inputs: [before, prefix + name],
      outputs: [after],
      attributes: new Map(),
    });
  const elementSeeds = seeded.filter(({ i }) => i >= parts.states);
  const inputs: ValueInfo[] = [
    ...states.map((i) => openType(types.get(seedsOf.get(i)!)!)),
    ...sums.map(({ name, before }) => ({ ...adjointOf(name), name: before })),
    ...recorded.map((i) => openType(types.get(formal[i]!)!)),
    ...given.map((i) => openType(types.get(formal[i]!)!)),
    ...elementSeeds.map(({ i }) => openType(types.get(seedsOf.get(i)!)!)),
  ];
  const outputs: ValueInfo[] = [
    ...states.map((i) => adjointOf(formal[i]!)),
    ...sums.map(({ name, after }) => ({ ...adjointOf(name), name: after })),
    ...scanned.map((i) => adjointOf(formal[i]!)),
  ];
  const body = { ...step, inputs, outputs };
  const bound = new Map<string, string>();
  for (const { name } of step.inputs) bound.set(name, name);
  for (const { name } of inputs) bound.set(name, b.names.fresh(`grad/${name}`));
  renameApart(body, b.names, bound, "grad/");
  withoutIdentities(body);
  const zeros = (like: string): string => b.filledLike(0, like);
  const made = scan(b, encodeBody(body, b.graph, body.inputs), {
    states: [...states.map((i) => grads[i] ?? zeros(c.x[i]!)), ...captured.map(zeros)],
    scanned: [
      ...records.map((value) => ({ value, axis: 0, back: 1 })),
      ...given.map((i) => ({
        value: c.x[i]!,
        axis: parts.axes[i - parts.states]!,
        back: 1 - parts.back[i - parts.states]!,
      })),
      ...elementSeeds.map(({ i }) => ({
        value: grads[i]!,
        axis: parts.places[i - parts.states]!,
        back: 1 - parts.turned[i - parts.states]!,
      })),
    ],
    made: scanned.map((i) => ({
      axis: parts.axes[i - parts.states]!,
      back: 1 - parts.back[i - parts.states]!,
    })),
  });
  return new Map([
    ...states.map((i, at) => [`state ${i}`, made[at]!] as const),
    ...captured.map((name, at) => [`captured ${name}`, made[states.length + at]!] as const),
    ...scanned.map((i, at) => [`part ${i}`, made[states.length + captured.length + at]!] as const),
  ]);
}

function bodyReads(body: GraphProto): string[] {
  return body.node
    .flatMap(({ input, attribute }) => [...input, ...attribute.flatMap(({ g }) => (g ? bodyReads(g) : []))])
    .concat(body.output.map(({ name }) => name));
}

/** The states before each step, which the Scan is made to hand out too. */
function record(c: RuleContext, { body, states }: Parts, which: readonly number[]): string[] {
  const { b, node } = c;
  if (which.length === 0) return [];
  const graph = bodyGraph(body, { graph: b.graph, valueInfo: (name) => b.shapes.valueInfo(name) });
  const own = graph.inputs.slice(0, body.input.length);
  const outputs = which.map((i) => {
    const inner = b.names.fresh(`${own[i]!.name}/before`);
    graph.nodes.push(identity(own[i]!.name, inner));
    graph.outputs.push({ name: inner, elemType: b.shapes.elemType(c.x[i]!), dims: null });
    return b.names.fresh(`${node.outputs[0] || node.name}/before`);
  });
  while (node.outputs.length < body.output.length) node.outputs.push("");
  for (const name of ["scan_output_axes", "scan_output_directions"]) {
    const list = ints(node, name);
    if (list) node.attributes.set(name, makeAttribute(name, [...list, ...which.map(() => 0)]));
  }
  node.outputs.push(...outputs);
  node.attributes.set("body", bodyAttribute(encodeBody(graph, b.graph, own)));
  b.shapes.addNode(node);
  if (states > body.input.length) throw new Error("its body has too few inputs");
  return outputs;
}

interface Scanned {
  readonly axis: number;
  /** 1 for backwards. */
  readonly back: number;
}

/** Emits a Scan; returns the states at its end and the further outputs. */
export function scan(
  b: Builder,
  body: GraphProto,
  of: {
    readonly states: readonly string[];
    readonly scanned: readonly (Scanned & { readonly value: string })[];
    readonly made: readonly Scanned[];
  },
): string[] {
  const name = b.names.fresh("Scan");
  const outputs = body.output.map((_, i) => b.names.fresh(`${name}:${i}`));
  const lists: Record<string, readonly number[]> = {
    scan_input_axes: of.scanned.map(({ axis }) => axis),
    scan_input_directions: of.scanned.map(({ back }) => back),
    scan_output_axes: of.made.map(({ axis }) => axis),
    scan_output_directions: of.made.map(({ back }) => back),
  };
  b.append({
    opType: "Scan",
    domain: "",
    name,
    overload: "",
    inputs: [...of.states, ...of.scanned.map(({ value }) => value)],
    outputs,
    attributes: new Map([
      ["body", bodyAttribute(body)],
      ["num_scan_inputs", makeAttribute("num_scan_inputs", of.scanned.length)],
      ...Object.entries(lists).flatMap(([key, list]) =>
        list.some((value) => value !== 0) ? [[key, makeAttribute(key, list)] as const] : [],
      ),
    ]),
  });
  return outputs;
}
