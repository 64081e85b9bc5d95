/** Energies as small ONNX graphs, to be joined behind an encoder. */
import type { EncoderKind } from "./encoder-kind.js";
import type { FlatEnergy } from "./energy.js";
import { ArgumentError } from "../base/errors.js";
import {
  Builder,
  DataType,
  compose,
  decodeModel,
  emptyGraph,
  refuseExternal,
  type Dim,
  type Graph,
} from "../onnx/index.js";
import { flat } from "./condition-graph.js";

/**
 * (output [N, …], condition [N, m]) → energy [N], the prior terms left out.
 *
 * @param dims of the encoder's output
 * @param size m
 * @param kind of the encoder's output
 * @throws ArgumentError for an ONNX energy whose inputs, outputs or shapes are not as energy.fromOnnx() says;
 *   ModelError when it cannot be read
 */
export function energyGraph(
  energy: FlatEnergy,
  dims: readonly Dim[],
  size: number,
  kind: EncoderKind,
): Graph {
  const batch = dims[0] ?? null;
  const b = new Builder(emptyGraph("tr0n_energy"));
  const output = b.input("output", DataType.FLOAT, [...dims]);
  const condition = b.input("condition", DataType.FLOAT, [batch, size]);
  const reading = { kind, unit: energy.condition === "unit" };
  const parts: string[] = [];
  for (const term of energy.terms)
    if (term.energy.kind !== "onnx")
      parts.push(
        weighted(b, emitEnergy(b, term.energy.kind, flat(b, output), condition, reading), term.weight),
      );
  const own = energy.terms.filter((term) => term.energy.kind === "onnx");
  if (own.length === 0) {
    b.output("energy", add(b, parts));
    return b.graph;
  }
  b.output("through_output", b.op("Identity", [output]));
  b.output("through_condition", b.op("Identity", [condition]));
  if (parts.length > 0) b.output("part_0", add(b, parts));
  let graph = b.graph;
  const weights = parts.length > 0 ? [1] : [];
  for (const [index, term] of own.entries()) {
    graph = joinOwn(graph, term.energy as { bytes: Uint8Array }, `energy.fromOnnx term ${index + 1}`);
    weights.push(term.weight);
  }
  const sum = new Builder(emptyGraph("tr0n_energy_sum"));
  const inputs = weights.map((_, index) => sum.input(`part_${index}`, DataType.FLOAT, null));
  const rows = inputs.map((input, index) =>
    weighted(sum, sum.op("Reshape", [input, sum.ints([-1])]), weights[index]!),
  );
  sum.output("energy", add(sum, rows));
  const names = graph.outputs
    .map((value) => value.name)
    .filter((name) => name !== "through_output" && name !== "through_condition");
  const connections = Object.fromEntries(inputs.map((input, index) => [input, names[index]!]));
  return compose(graph, sum.graph, connections, { prefix: "sum/", keepOutputs: [] });
}

function joinOwn(graph: Graph, energy: { bytes: Uint8Array }, name: string): Graph {
  const own = decodeModel(energy.bytes, name);
  refuseExternal(own, name);
  const inputs = own.inputs.map((value) => value.name);
  if (inputs.length !== 2 || !inputs.includes("output") || !inputs.includes("condition"))
    throw new ArgumentError(
      `${name}: expected the inputs "output" and "condition", got ${inputs.map((input) => JSON.stringify(input)).join(", ") || "none"}`,
    );
  if (own.outputs.length !== 1)
    throw new ArgumentError(`${name}: expected one output, got ${own.outputs.length}`);
  const keepOutputs = graph.outputs.map((value) => value.name);
  try {
    return compose(
      graph,
      own,
      { output: "through_output", condition: "through_condition" },
      { prefix: `${name.replaceAll(/[^a-zA-Z0-9]+/g, "_")}/`, keepOutputs },
    );
  } catch (error) {
    if (error instanceof ArgumentError)
      throw new ArgumentError(`${name}: ${error.message}`, { code: "ERR_SHAPE_MISMATCH", cause: error });
    throw error;
  }
}

function add(b: Builder, parts: readonly string[]): string {
  return parts.reduce((sum, part) => b.op("Add", [sum, part]));
}

function weighted(b: Builder, value: string, weight: number): string {
  return weight === 1 ? value : b.op("Mul", [value, b.scalar(weight, value)]);
}

function emitEnergy(
  b: Builder,
  term: "crossEntropy" | "cosine" | "squaredError",
  f: string,
  c: string,
  { kind, unit }: { kind: EncoderKind; unit: boolean },
): string {
  const dot = (p: string, q: string): string => b.sum(b.op("Mul", [p, q]), [1], false);
  switch (term) {
    case "crossEntropy":
      return b.op("Neg", [dot(c, emitLogProbabilities(b, f, kind))]);
    case "cosine": {
      const norm = (x: string): string => b.op("Sqrt", [b.op("Add", [dot(x, x), b.scalar(1e-12, x)])]);
      // Unit conditions come normalised, and sums of them must not be: E is linear in c.
      const length = unit ? norm(f) : b.op("Mul", [norm(c), norm(f)]);
      return b.op("Neg", [b.op("Div", [dot(c, f), length])]);
    }
    case "squaredError": {
      const difference = b.op("Sub", [c, f]);
      return dot(difference, difference);
    }
  }
}

function emitLogProbabilities(b: Builder, f: string, kind: EncoderKind): string {
  switch (kind) {
    case "probabilities":
      return b.op("Log", [b.op("Max", [f, b.scalar(1e-12, f)])]);
    case "log-probabilities":
      // The logarithm of 0 is -∞, and 0 · -∞ is no number.
      return b.op("Max", [f, b.scalar(-1e30, f)]);
    default:
      return b.op("LogSoftmax", [f], { axis: 1 });
  }
}
