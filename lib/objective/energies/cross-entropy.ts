import { ArgumentError } from "../../base/errors.js";
import type { Builder } from "../../onnx/index.js";
import { object } from "../../options/describe.js";
import type { Spec } from "../../options/family.js";
import type { EncoderKind } from "../encoder-kind.js";
import { defineEnergy, dot } from "./kind.js";

export interface CrossEntropyEnergy {
  readonly kind: "crossEntropy";
}

/**
 * E = −Σ_k t_k · log softmax(f(x))_k with t the target distribution: one-hot for a class. Of an encoder that gives
 * probabilities (see `encoderKind`) E = −Σ_k t_k · log max(p_k, 1e-12); log-probabilities are taken as they are. Conditions are probabilities [B, classes], or `{ class }`.
 */
function make(): CrossEntropyEnergy {
  return Object.freeze({ kind: "crossEntropy" });
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

const options = object({});

export const crossEntropy = defineEnergy({
  kind: "crossEntropy",
  is: "the cross-entropy of a distribution over classes",
  options,
  make,
  word: "cross-entropy",
  check: make,
  term: {
    condition: "probabilities",
    linear: true,
    emit: (b, { output, condition, kind }) =>
      b.op("Neg", [dot(b, condition, emitLogProbabilities(b, output, kind))]),
    checkFits: ({ name, size, kind, kindGiven, maker }) => {
      if (size < 2)
        throw new ArgumentError(
          `energy: crossEntropy() needs an encoder with two classes or more, got ${size} number in ${name}; use squaredError() for a single number, or export a probability p as [1 − p, p]`,
          { code: "ERR_SHAPE_MISMATCH" },
        );
      if (maker === "Sigmoid" && kind === "logits" && !kindGiven)
        throw new ArgumentError(
          `energy: crossEntropy() needs scores or probabilities of classes that exclude each other, but ${name} ends in ` +
            "Sigmoid, and its rows do not sum to 1; use squaredError(), or energy.fromOnnx() with a binary cross-entropy",
        );
    },
  },
  describe: (energy: CrossEntropyEnergy) => ({ ...energy }),
  restore: make,
  build: make as (spec: Spec<"crossEntropy", typeof options>) => CrossEntropyEnergy,
});
