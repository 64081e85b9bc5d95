import { checkWritable } from "../base/atomic-write.js";
import { differentiateSimplified } from "../model/differentiate.js";
import { formatOf, modelSource, readGraph } from "../model/source.js";
import { gradientPaths, isFloat, targets, type ValueInfo } from "../onnx/index.js";
import { writeModel } from "../model/write.js";
import type { Command } from "./command.js";
import { withoutPath } from "./inspect.js";
import { straightThroughFlag } from "./models.js";

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
    batch: {
      type: "string",
      value: "N",
      help: "fix a symbolic batch to N rows (default: it stays symbolic)",
    },
    device: {
      type: "string",
      value: "KIND",
      help: "cpu, cuda or webgpu: take operators and forms that ONNX Runtime runs there (default: cpu, which runs anywhere)",
    },
    "no-simplify": { type: "boolean", help: "do not fold the model by ONNX Runtime's optimiser first" },
    "allow-random": {
      type: "boolean",
      help: "accept a model that draws random numbers of its own at every run",
    },
    "straight-through": straightThroughFlag,
  },
  notes:
    "The result is plain ONNX and runs in any runtime: grad_<input> = Σ Jᵀ · grad_<output>. External data stays outside: " +
    "where it is when OUT.onnx goes into the model's folder, else copied to OUT.onnx.data.",
  run: async (args, { signal }) => {
    const path = args.positionals[0]!;
    const out = args.required("out");
    const wrt = args.list("wrt");
    const outputs = args.list("outputs");
    const batch = args.integer("batch", 1, 2 ** 20);
    const straightThrough = args.flag("straight-through");
    const source = modelSource(path);
    await formatOf(source);
    const graph = await readGraph(source, {}, signal);
    await checkWritable(out);
    const { graph: result, kept } = await differentiateSimplified(
      graph,
      {
        ...{ wrt, outputs, straightThrough },
        allowRandom: args.flag("allow-random"),
        target: args.choice("device", targets),
      },
      { name: path, simplify: !args.flag("no-simplify"), batch, signal },
    );
    const { bytes, external } = await writeModel(out, result, { signal });
    const names = (values: readonly { name: string }[]): string[] => values.map(({ name }) => name);
    const json = {
      file: out,
      bytes,
      nodes: result.nodes.length,
      inputs: names(result.inputs),
      outputs: names(result.outputs),
      external,
      simplified: kept === null,
      ...(kept === null ? {} : { notSimplified: kept }),
    };
    const paths = gradientPaths(graph, {
      wrt: floats(graph.inputs, wrt),
      outputs: floats(graph.outputs, outputs),
      straightThrough,
    });
    const lines = [
      `${out}: ${bytes.toLocaleString("en")} bytes, inputs ${json.inputs.join(", ")}; outputs ${json.outputs.join(", ")}`,
    ];
    if (external.length > 0) lines.push(`weights in ${external.join(", ")}`);
    if (kept !== null && !args.flag("no-simplify")) lines.push(`not simplified: ${kept}`);
    lines.push(...withoutPath(paths));
    const zeros = paths.filter(({ kind }) => kind !== "gradient");
    return { json: { ...json, withoutPath: zeros }, text: lines.join("\n") };
  },
};

/** The names that were asked for, by default those of real numbers: what differentiation takes. */
function floats(values: readonly ValueInfo[], names: string[] | undefined): string[] {
  return names ?? values.filter(({ elemType }) => isFloat(elemType)).map(({ name }) => name);
}
