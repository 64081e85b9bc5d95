/** An encoder whose output comes with features in front of it, whatever its format, at the end of a pipeline. */
import { shapeText } from "../base/check.js";
import { ArgumentError, describe } from "../base/errors.js";
import { elementCount } from "../base/tensor.js";
import type { NativeTorchModel } from "../native/types/models.js";
import { DataType, type Dim, type Graph, type ValueInfo } from "../onnx/index.js";
import { findPenultimate, type FeatureValue } from "../onnx/penultimate.js";
import { dimsOf } from "../onnx/queries.js";
import { OnnxModel, type LoadedModel } from "./model.js";
import type { Pipeline } from "./pipeline.js";
import { offLoop } from "./off-loop.js";

/** What is wanted of the encoder. */
interface Wanted {
  readonly output: string;
  /** Numbers of a row of it. */
  readonly size: number;
  /** Value of an ONNX graph, or output of TorchScript; default: the last linear layer's input. */
  readonly feature: string | undefined;
  /** (features [N, …], output [N, …]) → [N, F + K], as a graph. */
  readonly columns: (features: readonly Dim[], output: readonly Dim[]) => Graph;
  /** Rows that the encoder takes; 0: any number. */
  readonly batch: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * Appends the encoder with one output [n, F + K]. Resolves with the features' name, and with what the caller is to dispose of.
 *
 * @throws ArgumentError for a value that there is not, ModelError where there is no linear layer to take features from
 */
export async function appendFeatures(
  pipeline: Pipeline,
  encoder: LoadedModel,
  wanted: Wanted,
): Promise<{ feature: string; model: NativeTorchModel | null }> {
  if (encoder instanceof OnnxModel)
    return { feature: await appendOnnx(pipeline, encoder, wanted), model: null };
  const { output, feature, batch, signal } = wanted;
  const model = await encoder.withFeatures(output, feature, signal);
  try {
    const [{ shape }] = model.outputs as [NativeTorchModel["outputs"][number]];
    const made = `${await encoder.fingerprint()} ${output} ${feature ?? ""}`;
    pipeline.torch(model, encoder.name, "columns", [shape[1]!], batch, made);
    return { feature: feature ?? "input of the last linear layer", model };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

/** The encoder with features in front of its output. Returns the features' name. */
async function appendOnnx(
  pipeline: Pipeline,
  encoder: OnnxModel,
  { output, size, columns, feature, batch: rows, signal }: Wanted,
): Promise<string> {
  const graph = await encoder.graph(signal);
  const value =
    feature === undefined
      ? findPenultimate(graph, output, encoder.name)
      : namedFeature(graph, feature, encoder.name);
  const batch = graph.inputs[0]!.dims?.[0] ?? null;
  const info = (name: string, row: readonly (number | string | null)[]): ValueInfo => ({
    name,
    elemType: DataType.FLOAT,
    dims: [batch, ...row],
  });
  const scores = dimsOf(graph, output)?.slice(1) ?? [size];
  graph.outputs = [info(output, scores)];
  if (value.name !== output) graph.outputs.push(info(value.name, value.row));
  const behind = columns([batch, ...value.row], [batch, ...scores]);
  const joined = await offLoop(
    "evaluate",
    "compose",
    [graph, behind],
    [
      { features: value.name, scores: output },
      { prefix: "columns/", keepOutputs: [output] },
    ],
    signal,
  );
  const row = [elementCount(value.row) + size];
  const own = { model: encoder, output, index: 0 };
  await pipeline.graph(joined, { name: encoder.name, row, prefix: "encoder/", batch: rows, own });
  return value.name;
}

/** @throws ArgumentError when the graph has no such value, or its row's size is open. */
function namedFeature(graph: Graph, name: string, model: string): FeatureValue {
  const made = graph.nodes.some((node) => node.outputs.includes(name));
  const dims = made ? dimsOf(graph, name) : null;
  const row = dims?.slice(1);
  if (!row?.every((dim): dim is number => typeof dim === "number"))
    throw new ArgumentError(
      `features: expected the name of a value [batch, …] of fixed size in ${model}, got ${describe(name)}, ` +
        (made ? `whose shape is ${dims ? shapeText(dims) : "unknown"}` : "which the graph does not make"),
    );
  return { name, row };
}
