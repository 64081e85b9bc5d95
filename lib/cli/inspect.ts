import { decodeModel, inspectGraph, typeName, type ValueInfo } from "../onnx/index.js";
import { textTable } from "../table.js";
import type { Command } from "./command.js";
import { readModel } from "./files.js";

export const inspectCommand: Command = {
  name: "inspect",
  summary: "Shows an ONNX model's inputs, outputs and operators, and which of them have no gradient.",
  usage: "MODEL.onnx",
  positionals: ["MODEL.onnx"],
  options: {},
  run: async (args, { signal }) => {
    const path = args.positionals[0]!;
    const summary = inspectGraph(decodeModel(await readModel(path, signal), path));
    const inputs = summary.inputs.map(value);
    const outputs = summary.outputs.map(value);
    const missing = summary.withoutGradient;
    const rows = (values: typeof inputs): string[][] =>
      values.map(({ name, type, shape }) => [
        `  ${name}`,
        type,
        shape ? `[${shape.join(", ")}]` : "unknown shape",
      ]);
    return {
      json: { file: path, ...summary, inputs, outputs },
      text: [
        `${path}: ONNX, opset ${summary.opset}, ${summary.parameters.toLocaleString("en")} parameters`,
        "",
        textTable(["inputs", "type", "shape"], rows(inputs)),
        "",
        textTable(["outputs", "type", "shape"], rows(outputs)),
        "",
        textTable(
          ["operators", "nodes"],
          summary.operators.map(({ opType, count }) => [`  ${opType}`, String(count)]),
        ),
        "",
        missing.length === 0
          ? "Gradient: every operator between inputs and outputs has one."
          : `Without a gradient: ${missing.map(({ domain, opType, count }) => `${domain ? `${domain}.` : ""}${opType} (${count})`).join(", ")}`,
      ].join("\n"),
    };
  },
};

function value({ name, elemType, dims }: ValueInfo) {
  return { name, type: typeName(elemType), shape: dims?.map((dim) => dim ?? "?") ?? null };
}
