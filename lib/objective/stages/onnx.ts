import { createHash } from "node:crypto";
import { reason } from "../../base/atomic-write.js";
import { ArgumentError, FileError, invalid } from "../../base/errors.js";
import { readWholeFile } from "../../base/read-file.js";
import { object, path, required } from "../../options/describe.js";
import type { Spec } from "../../options/family.js";
import { defineStage, turns } from "./kind.js";

export interface OnnxStage {
  readonly kind: "onnx";
  readonly sha256: string;
  readonly bytes: Uint8Array;
}

const options = object({
  model: required(path(), "ONNX, one float32 input [N, …] and one output [N, …]"),
});

type OnnxStageSpec = Spec<"onnx", typeof options>;

/**
 * A stage of your own: an ONNX model with one float32 input [N, …], any number of rows N, and one output [N, …] whose rows
 * each depend on their own alone. It must have gradients where a sampler uses them. A saved translator stores only its
 * SHA-256: give `preprocess` to `Tr0n.load` again.
 */
function make(model: Uint8Array): OnnxStage {
  if (!(model instanceof Uint8Array)) throw invalid("model", "the bytes of an ONNX model", model);
  if (model.length === 0) throw new ArgumentError("model: expected the bytes of an ONNX model, got none");
  const bytes = Uint8Array.from(model);
  return Object.freeze({ kind: "onnx", sha256: createHash("sha256").update(bytes).digest("hex"), bytes });
}

export const fromOnnx = defineStage({
  kind: "onnx",
  is: "a stage of your own, an ONNX model",
  options,
  make,
  check: (value: OnnxStage) => {
    if (!(value.bytes instanceof Uint8Array))
      throw invalid("preprocess", "a stage made by stage.fromOnnx(model)", value);
    return value;
  },
  takes: () => "the rows that its model takes",
  model: ({ bytes }) => bytes,
  describe: ({ kind, sha256 }) => ({ kind, sha256 }),
  build: async ({ model }: OnnxStageSpec) =>
    make(
      await readWholeFile(model).catch((error: unknown) => {
        throw new FileError("ERR_IO", `${model}: cannot be read: ${reason(error)}`, { cause: error });
      }),
    ),
  flag: {
    name: "stage",
    turn: turns.onnx,
    value: "FILE",
    help: "a stage of your own behind all others: ONNX, one input and one output",
    read: (model): OnnxStageSpec => ({ kind: "onnx", model }),
  },
});
