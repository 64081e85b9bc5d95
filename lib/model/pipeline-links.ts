/** What a pipeline is made of: links, each an ONNX graph or a TorchScript model, and how they run as segments. */
import { differentiateSimplified } from "./differentiate.js";
import type { Decision } from "../base/decisions.js";
import type { MaxBatch } from "./batch-size.js";
import type { OnnxModel } from "./model.js";
import type { NativeOnnxSegment, NativeTorchPart } from "../native/types/pipeline.js";
import type { ModelDeviceId } from "../native/types/devices.js";
import type { NativeSession, NativeTorchModel } from "../native/types/models.js";
import { cutSteps, targetOf, type Graph } from "../onnx/index.js";
import type { Probe } from "./output-guard.js";
import type { ModelWithin } from "./pipeline-guard.js";
import { graphAsRun } from "./off-loop.js";
import { inSlices } from "./slices.js";
import type { Tensor } from "../base/tensor.js";

/** What a pipeline is opened with besides itself. */
export interface PipelineOptions {
  /** What messages call it. */
  name: string;
  /** Rows of one run where models were exported for a number of them, the largest where these differ; 0 where that is open. */
  fixedBatch: number;
  /** Upper bound for the rows of one run. */
  maxBatch: MaxBatch;
  /** Told what "auto" came to. */
  decided?: (decision: Decision) => void;
  /** Opens a session with one thread on a device, and owns it. */
  open: (graph: Graph, name: string, device: ModelDeviceId) => Promise<NativeSession>;
  /** Rows on which the models in it must give what they give by themselves. */
  probe: Probe;
}

/** The model that a graph is, or is the main part of. */
export interface OwnModel {
  readonly model: OnnxModel;
  /** The model's output, and which of the graph's outputs it is; default: the one that goes on. */
  readonly output: string;
  readonly index?: number;
  /** What the model takes, made of what the graph takes; default: the same. */
  readonly inputs?: (value: Tensor) => Record<string, Tensor>;
}

/** What makes a model's inputs of one. */
export interface InputSplit {
  /** One input → an output for each of the model's inputs. */
  readonly graph: Graph;
  /** The model's inputs, in the order of the graph's outputs. */
  readonly names: readonly string[];
  /** Shape of a row of the first. */
  readonly row: readonly number[];
  /** The same, to run the model by itself. */
  readonly feeds: (value: Tensor) => Record<string, Tensor>;
  /** The same for TorchScript; absent where the graph is put before it. */
  readonly parts?: readonly NativeTorchPart[];
}

export interface GraphLink {
  readonly kind: "graph";
  readonly name: string;
  /** With what {@link observed} names among its outputs. */
  readonly graph: Graph;
  readonly inputShape: readonly number[];
  /** The name of the output that goes on. */
  readonly output: string;
  readonly within: readonly ModelWithin[];
  readonly simplify: boolean;
  /** Rounding is the identity in its gradient. */
  readonly straightThrough: boolean;
  readonly device: ModelDeviceId;
  /** Rows that it takes; 0: any number. */
  readonly batch: number;
}

export interface TorchLink {
  readonly kind: "torch";
  readonly name: string;
  readonly model: NativeTorchModel;
  /** What makes its inputs of what comes in, where it has several. */
  readonly split: InputSplit | null;
  readonly output: string;
  readonly inputShape: readonly number[];
  /** Tells the model from others; undefined where nobody does. */
  readonly fingerprint: string | undefined;
  /** Rows that it takes; 0: any number. */
  readonly batch: number;
}

/** Rows that a link runs at once by itself, among links of which others run more; 0: as many as there are. */
export function ownBatch({ batch }: GraphLink | TorchLink, fixedBatch: number): number {
  return batch === fixedBatch ? 0 : batch;
}

/** Rows of `tensor`, over and over, until there are as many as a link takes, and which ones they are. */
export function cycledFor(
  { batch }: GraphLink | TorchLink,
  tensor: Tensor,
  which: readonly number[],
): { tensor: Tensor; which: readonly number[] } {
  const count = tensor.shape[0]!;
  if (batch === 0 || batch === count) return { tensor, which };
  const picks = Array.from({ length: batch }, (_, row) => row % count);
  return { tensor: pickRows(tensor, picks), which: picks.map((row) => which[row]!) };
}

export function pickRows({ data, shape }: Tensor, picks: readonly number[]): Tensor {
  const size = data.length / shape[0]!;
  const picked = new Float32Array(picks.length * size);
  picks.forEach((row, i) => picked.set(data.subarray(row * size, (row + 1) * size), i * size));
  return { data: picked, shape: [picks.length, ...shape.slice(1)] };
}

export async function graphSegment(
  { name, graph, inputShape, output, simplify, straightThrough, device }: GraphLink,
  gradient: boolean,
  open: PipelineOptions["open"],
  signal: AbortSignal | undefined,
): Promise<NativeOnnxSegment> {
  const input = graph.inputs[0]!.name;
  const [cotangent, gradientOutput] = [`grad_${output}`, `grad_${input}`];
  const segment = { name, inputShape, input, output, cotangent, gradient: gradientOutput };
  const what = "preparing the models";
  const target = targetOf(device);
  const forward = await open(await graphAsRun(graph, signal, target), name, device);
  if (!gradient) return { ...segment, forward, recorded: null, backward: null, saved: [] };
  const differentiated = await differentiateSimplified(
    graph,
    { wrt: [input], outputs: [output], straightThrough, target },
    { name, simplify, signal },
  );
  const cut = await inSlices(what, cutSteps(differentiated.graph, [cotangent], [gradientOutput]), signal);
  const recorded = await open(cut.forward, `${name} (recorded)`, device);
  const backward = await open(cut.backward, `${name} (backward)`, device);
  return { ...segment, forward, recorded, backward, saved: cut.saved };
}
