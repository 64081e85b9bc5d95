import { createHash } from "node:crypto";
import { reason } from "../../base/atomic-write.js";
import { ArgumentError, FileError, invalid } from "../../base/errors.js";
import { readWholeFile } from "../../base/read-file.js";
import { object, path, required } from "../../options/describe.js";
import type { Spec } from "../../options/family.js";
import { defineEnergy } from "./kind.js";

export interface OnnxEnergy {
  readonly kind: "onnx";
  readonly sha256: string;
  readonly bytes: Uint8Array;
}

const options = object({
  model: required(path(), 'ONNX, inputs "output" and "condition", output one number a row'),
});

/**
 * An energy of your own: an ONNX model with the inputs "output" (the encoder's output as the encoder gives it,
 * [N, …]) and "condition" ([N, m]), and one output of N numbers ([N] or [N, 1]), one energy for each row. It
 * must have gradients where a sampler uses them. A saved translator stores only its SHA-256: give the energy to
 * `Tr0n.load` again.
 */
function make(model: Uint8Array): OnnxEnergy {
  if (!(model instanceof Uint8Array)) throw invalid("model", "the bytes of an ONNX model", model);
  if (model.length === 0) throw new ArgumentError("model: expected the bytes of an ONNX model, got none");
  const bytes = Uint8Array.from(model);
  return Object.freeze({ kind: "onnx", sha256: createHash("sha256").update(bytes).digest("hex"), bytes });
}

export const fromOnnx = defineEnergy({
  kind: "onnx",
  is: "an energy of your own, an ONNX model",
  options,
  make,
  check: (name: string, value: OnnxEnergy) => {
    if (!(value.bytes instanceof Uint8Array))
      throw invalid(name, "an energy made by energy.fromOnnx(model)", value);
    return value;
  },
  term: { condition: null, linear: false, model: ({ bytes }) => bytes },
  describe: ({ kind, sha256 }) => ({ kind, sha256 }),
  build: async ({ model }: Spec<"onnx", typeof options>) =>
    make(
      await readWholeFile(model).catch((error: unknown) => {
        throw new FileError("ERR_IO", `${model}: cannot be read: ${reason(error)}`, { cause: error });
      }),
    ),
});
