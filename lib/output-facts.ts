/** What objectives want to know of a model's output, beyond its shape. */
export interface OutputFacts {
  /** The operator that makes its numbers, by its name in ONNX ("Softmax") where it has one; null where it is unknown. */
  readonly maker: string | null;
  /** What makes one run differ from the next, in words; null when nothing does. */
  readonly random: string | null;
  /** Whether it looks like the output of a classifier. */
  readonly classifier: boolean;
}

export function looksLikeClassifier(maker: string | null, output: string): boolean {
  return maker === "Softmax" || maker === "LogSoftmax" || /logit|prob|class|score/i.test(output);
}
