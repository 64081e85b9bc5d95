/** What the code of a TorchScript model says about it. */
import { Tr0nError } from "../base/errors.js";
import type { OutputFacts } from "./output-facts.js";

/** The JSON of native/torch/summary.h. */
export interface TorchSummary {
  /** The Python class: "torchvision.models.resnet.ResNet". */
  readonly class: string;
  readonly parameters: number;
  /** Tensors that were in half precision, and are float32 now. */
  readonly widened: number;
  /** Operators of forward(), and how often each stands there. */
  readonly operators: Readonly<Record<string, number>>;
  /** What makes a run differ from the next: an operator; null when nothing does. */
  readonly random: string | null;
  /** The operator that makes each output's numbers; "" or absent where the code does not tell. */
  readonly outputs: Readonly<Record<string, string>>;
}

export function parseSummary(json: string): TorchSummary {
  try {
    return JSON.parse(json) as TorchSummary;
  } catch (error) {
    throw new Tr0nError("ERR_INTERNAL", `the summary of a TorchScript model is no JSON: ${json}`, {
      cause: error,
    });
  }
}

const onnxNames: Readonly<Record<string, string>> = {
  softmax: "Softmax",
  log_softmax: "LogSoftmax",
  sigmoid: "Sigmoid",
};

const linear = new Set(["linear", "addmm", "matmul", "mm", "conv2d", "_convolution"]);

/** Operators whose results have bounds. */
const own: Readonly<Record<string, readonly [number, number]>> = { tanh: [-1, 1], sigmoid: [0, 1] };

/** Outputs mostly have no names of their own here, so that the class's name counts, too. */
export function outputFacts(summary: TorchSummary, output: string): OutputFacts {
  const made = summary.outputs[output] ?? "";
  const maker = made === "" ? null : (onnxNames[made] ?? made);
  const type = summary.class.split(".").at(-1)!;
  const bounds = own[made.replace(/_$/, "")]; // tanh_ works in place
  return {
    maker,
    random: summary.random,
    stop: undefined,
    rowFlops: null,
    scalesByBatch: Object.keys(summary.operators).some((name) => name.endsWith("_dynamic")),
    linear: linear.has(made),
    classifier: /classif/i.test(type),
    bounds: bounds ? { low: bounds[0], high: bounds[1], tight: true, by: made } : null,
    scaling: undefined,
  };
}
