import { writeFileAtomic } from "../atomic-write.js";
import { differentiateGraph, encodeModel } from "../onnx/index.js";
import type { Command } from "./command.js";
import { readGraph } from "./files.js";

export const differentiateCommand: Command = {
  name: "differentiate",
  summary: "Writes an ONNX model that also computes gradients: inputs grad_<output>, outputs grad_<input>.",
  usage: "MODEL.onnx -o OUT.onnx",
  positionals: ["MODEL.onnx"],
  options: {
    out: { type: "string", short: "o", value: "FILE", help: "the model to write", required: true },
    wrt: {
      type: "string",
      value: "a,b",
      help: "inputs to differentiate with respect to (default: all float inputs)",
    },
    outputs: { type: "string", value: "y", help: "outputs to differentiate (default: all float outputs)" },
  },
  notes: "The result is plain ONNX and runs in any runtime: grad_<input> = Σ Jᵀ · grad_<output>.",
  run: async (args, { signal }) => {
    const path = args.positionals[0]!;
    const out = args.required("out");
    const wrt = args.list("wrt");
    const outputs = args.list("outputs");
    const graph = await readGraph(path, signal);
    const result = differentiateGraph(graph, { ...(wrt ? { wrt } : {}), ...(outputs ? { outputs } : {}) });
    const bytes = encodeModel(result);
    await writeFileAtomic(out, bytes, { signal });
    const names = (values: readonly { name: string }[]): string[] => values.map(({ name }) => name);
    const json = {
      file: out,
      bytes: bytes.length,
      inputs: names(result.inputs),
      outputs: names(result.outputs),
    };
    return {
      json,
      text: `${out}: ${json.bytes.toLocaleString("en")} bytes, inputs ${json.inputs.join(", ")}; outputs ${json.outputs.join(", ")}`,
    };
  },
};
