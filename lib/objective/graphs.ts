/** Preprocessing stages, conditions and energies as small ONNX graphs, to be joined behind a generator. */
import type { EncoderKind } from "./encoder-kind.js";
import type { ConditionKind, FlatEnergy } from "./energy.js";
import { ArgumentError } from "../base/errors.js";
import { defaultRange, type Range } from "../base/range.js";
import {
  Builder,
  DataType,
  compose,
  decodeModel,
  emptyGraph,
  type Dim,
  type Graph,
  refuseExternal,
} from "../onnx/index.js";
import { clipMean, clipStd, type Stage } from "./stages.js";

/** A stage: image [N, C, H, W] → image. `dims` is what comes in, `range` that of its values. */
export function stageGraph(stage: Stage, dims: readonly Dim[], range: Range = defaultRange): Graph {
  const b = new Builder(emptyGraph(`tr0n_${stage.kind}`));
  const x = b.input("image", DataType.FLOAT, [...dims]);
  b.output("staged", emitStage(b, x, stage, range));
  return b.graph;
}

function emitStage(b: Builder, x: string, stage: Stage, range: Range): string {
  switch (stage.kind) {
    case "resize":
      return b.op("Resize", [x, null, null, b.ints([stage.height, stage.width])], {
        mode: stage.mode,
        coordinate_transformation_mode: "half_pixel",
        axes: [2, 3],
        ...(stage.mode === "nearest" ? { nearest_mode: "round_prefer_floor" } : {}),
        ...(stage.mode === "cubic" ? { cubic_coeff_a: -0.75 } : {}),
      });
    case "normalize":
      return normalize(b, x, stage.mean, stage.std);
    case "affine":
      return affine(b, x, stage.scale, stage.offset);
    case "clamp":
      return b.op("Clip", [x, b.scalar(stage.min, x), b.scalar(stage.max, x)]);
    case "grayscale": {
      if (b.shapes.dims(x)?.[1] === 1)
        return stage.channels === 1 ? x : b.op("Concat", [x, x, x], { axis: 1 });
      const luma = b.constantLike([0.299, 0.587, 0.114], [1, 3, 1, 1], x);
      const gray = b.sum(b.op("Mul", [x, luma]), [1], true);
      return stage.channels === 1 ? gray : b.op("Concat", [gray, gray, gray], { axis: 1 });
    }
    case "clip": {
      const [low, high] = range;
      const unit = affine(b, x, 1 / (high - low), -low / (high - low));
      const size = { height: stage.size, width: stage.size };
      const resized = emitStage(b, unit, { kind: "resize", ...size, mode: "linear" }, [0, 1]);
      return normalize(b, resized, clipMean, clipStd);
    }
  }
}

function affine(b: Builder, x: string, scale: number, offset: number): string {
  const scaled = scale === 1 ? x : b.op("Mul", [x, b.scalar(scale, x)]);
  return offset === 0 && scaled !== x ? scaled : b.op("Add", [scaled, b.scalar(offset, x)]);
}

/** (x − mean) / std as x · (1 / std) + (−mean / std). */
function normalize(b: Builder, x: string, mean: readonly number[], std: readonly number[]): string {
  const channels = Math.max(mean.length, std.length);
  const at = (list: readonly number[], i: number): number => list[list.length === 1 ? 0 : i]!;
  const scale = Array.from({ length: channels }, (_, i) => 1 / at(std, i));
  const offset = scale.map((s, i) => -at(mean, i) * s);
  const shape = [1, channels, 1, 1];
  return b.op("Add", [b.op("Mul", [x, b.constantLike(scale, shape, x)]), b.constantLike(offset, shape, x)]);
}

/** The numbers of channels that a stage can work on; null where any will do. */
export function stageChannels(stage: Stage): readonly number[] | null {
  switch (stage.kind) {
    case "normalize": {
      const channels = Math.max(stage.mean.length, stage.std.length);
      return channels > 1 ? [channels] : null;
    }
    case "grayscale":
      return [1, 3];
    case "clip":
      return [3];
    default:
      return null;
  }
}

/** [N, …] → [N, F]. */
function flat(b: Builder, x: string): string {
  const rank = b.rank(x);
  if (rank === 2) return x;
  return rank === 1 ? b.unsqueeze(x, [1]) : b.op("Flatten", [x], { axis: 1 });
}

/** The encoder's output [N, …], of a kind → a condition [N, m] as the translator is fed with. */
export function conditionGraph(dims: readonly Dim[], kind: ConditionKind, output: EncoderKind): Graph {
  const b = new Builder(emptyGraph("tr0n_condition"));
  const x = flat(b, b.input("output", DataType.FLOAT, [...dims]));
  switch (kind) {
    case "probabilities":
      b.output("condition", emitProbabilities(b, x, output));
      break;
    case "unit": {
      const norm = b.op("Sqrt", [b.sum(b.op("Mul", [x, x]), [1], true)]);
      b.output("condition", b.op("Div", [x, b.op("Max", [norm, b.scalar(1e-12, x)])]));
      break;
    }
    case "raw":
      b.output("condition", x);
  }
  return b.graph;
}

/** Class probabilities of an output; those that come as such are made to sum to 1, from which rounding and clipping take them. */
function emitProbabilities(b: Builder, x: string, kind: EncoderKind): string {
  if (kind !== "probabilities" && kind !== "log-probabilities") return b.op("Softmax", [x], { axis: 1 });
  const p = kind === "probabilities" ? b.op("Relu", [x]) : b.op("Exp", [x]);
  return b.op("Div", [p, b.op("Max", [b.sum(p, [1], true), b.scalar(1e-12, x)])]);
}

/** (features [N, …], scores [N, …]) → columns [N, F + K]: both flat, side by side. */
export function columnsGraph(features: readonly Dim[], scores: readonly Dim[]): Graph {
  const b = new Builder(emptyGraph("tr0n_columns"));
  const parts = [
    b.input("features", DataType.FLOAT, [...features]),
    b.input("scores", DataType.FLOAT, [...scores]),
  ];
  b.output(
    "columns",
    b.op(
      "Concat",
      parts.map((part) => flat(b, part)),
      { axis: 1 },
    ),
  );
  return b.graph;
}

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
