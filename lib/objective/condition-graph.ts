/** What an encoder says as a condition: a small ONNX graph, to be joined behind it. */
import type { EncoderKind } from "./encoder-kind.js";
import type { ConditionKind } from "./energy.js";
import { Builder, DataType, emptyGraph, type Dim, type Graph } from "../onnx/index.js";

/** [N, …] → [N, F]. */
export function flat(b: Builder, x: string): string {
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
