/** Energies as small ONNX graphs, to be joined behind an encoder. */
import type { EncoderKind } from "./encoder-kind.js";
import { energies as kinds } from "./energies/index.js";
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
  const reading = { condition, kind, conditionKind: energy.condition };
  const parts: string[] = [];
  const own: { model: Uint8Array; weight: number }[] = [];
  for (const { energy: part, weight } of energy.terms) {
    const { emit, model } = kinds.of(part).term!;
    if (emit) parts.push(weighted(b, emit(b, { output: flat(b, output), ...reading }, part), weight));
    else if (model) own.push({ model: model(part), weight });
  }
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
    graph = joinOwn(graph, term.model, `energy.fromOnnx term ${index + 1}`);
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

function joinOwn(graph: Graph, model: Uint8Array, name: string): Graph {
  const own = decodeModel(model, name);
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
