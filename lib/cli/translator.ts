import { checkWritable, reason, writeFileAtomic } from "../base/atomic-write.js";
import { FileError } from "../base/errors.js";
import { readWholeFile } from "../base/read-file.js";
import { Translator } from "../translator/translator.js";
import type { Command } from "./command.js";

export const translatorCommand: Command = {
  name: "translator",
  summary: "Describes a translator file, and writes its network as a plain ONNX model.",
  usage: "T.safetensors [-o OUT.onnx]",
  positionals: ["T.safetensors"],
  options: {
    out: { type: "string", short: "o", value: "FILE", help: "the ONNX model to write" },
    bound: {
      type: "string",
      value: "X",
      help: "of means, for weights of the paper's code (default: the file's, or none)",
    },
  },
  notes: "The model maps c [batch, m] to logits [batch, K], means [batch, K, d] and stds, in opset 17.",
  run: async (args, { signal }) => {
    const path = args.positionals[0]!;
    const out = args.text("out");
    const bound = args.number("bound", { atLeast: 0 });
    let bytes: Uint8Array;
    try {
      bytes = await readWholeFile(path, signal);
    } catch (error) {
      throw new FileError("ERR_IO", `${path}: cannot be read: ${reason(error)}`, { cause: error });
    }
    const translator = Translator.fromSafetensors(bytes, { bound, device: "cpu" });
    try {
      if (out !== undefined) {
        await checkWritable(out);
        await writeFileAtomic(out, translator.toOnnx(), { signal });
      }
      const { condition, latent, components, hidden, depth, rank, stds, deterministic, auxiliary } =
        translator;
      const json = {
        translator: path,
        condition,
        latent,
        components,
        hidden,
        depth,
        rank,
        bound: translator.bound,
        auxiliary,
        stds,
        deterministic,
        ...(out === undefined ? {} : { onnx: out }),
      };
      const kind = deterministic ? "a point" : `${components} components with ${stds} stds`;
      const lines = [
        `${path}: c [${condition}] → ${kind} in z [${latent}]; hidden ${hidden}, residual blocks ${depth}, ` +
          `rank ${rank || "full"}, bound ${translator.bound || "none"}`,
        ...(out === undefined ? [] : [`${out}: written`]),
      ];
      return { json, text: lines.join("\n") };
    } finally {
      translator.dispose();
    }
  },
};
