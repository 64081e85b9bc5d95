import { modelSource, readGraph } from "../model-source.js";
import { inspectGraph, typeName, type GraphSummary, type ValueInfo } from "../onnx/index.js";
import { simplifyGraph } from "../simplify.js";
import { textTable } from "../table.js";
import type { Command } from "./command.js";

export const inspectCommand: Command = {
  name: "inspect",
  summary: "Shows an ONNX model's inputs, outputs, operators and cost, and every node without a gradient.",
  usage: "MODEL.onnx",
  positionals: ["MODEL.onnx"],
  options: {
    wrt: {
      type: "string",
      value: "a,b",
      help: "inputs a gradient is wanted for (default: all float inputs)",
    },
    outputs: { type: "string", value: "y", help: "outputs it is taken of (default: all float outputs)" },
    "no-simplify": { type: "boolean", help: "look at the model as it is, not as ONNX Runtime folds it" },
  },
  notes:
    "Nothing is run: operations and memory follow from shapes, two operations for each multiply-add and one for each " +
    "element of anything else. A symbolic batch counts as one row. Memory is that of values alive at the same time in the " +
    "file's order; weights are listed apart.",
  run: async (args, { signal }) => {
    const path = args.positionals[0]!;
    const source = modelSource(path);
    await source.head();
    const graph = await readGraph(source, signal);
    const simplified = args.flag("no-simplify")
      ? { graph, kept: "not asked for" }
      : await simplifyGraph(graph, path, signal);
    const options = { wrt: args.list("wrt"), outputs: args.list("outputs") };
    const summary = inspectGraph(graph, simplified.graph, options);
    const inputs = summary.inputs.map(value);
    const outputs = summary.outputs.map(value);
    const rows = (values: typeof inputs): string[][] =>
      values.map(({ name, type, shape }) => [
        `  ${name}`,
        type,
        shape ? `[${shape.join(", ")}]` : "unknown shape",
      ]);
    return {
      json: { file: path, ...summary, inputs, outputs, simplified: simplified.kept === null },
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
        ...costLines(summary.cost),
        "",
        ...gradientLines(summary),
      ].join("\n"),
    };
  },
};

function value({ name, elemType, dims }: ValueInfo) {
  return { name, type: typeName(elemType), shape: dims?.map((dim) => dim ?? "?") ?? null };
}

function costLines({ batch, forward, withGradient }: GraphSummary["cost"]): string[] {
  const row = (name: string, cost: typeof forward): string[] => [
    `  ${name}`,
    short(cost.flops),
    `${short(cost.peakBytes)}B`,
    cost.uncounted === 0 ? "" : `without ${cost.uncounted} nodes of unknown size`,
  ];
  return [
    textTable(
      [batch === null ? "a run" : "a row of the batch", "operations", "memory", ""],
      [
        row("forward", forward),
        ...(withGradient ? [row("forward and gradient", withGradient)] : []),
        ["  weights", "", `${short(forward.weightBytes)}B`, ""],
      ],
    ),
  ];
}

/** 1.23 M, 45.6 G */
function short(count: number): string {
  const steps = ["", "k", "M", "G", "T", "P"];
  const step = Math.min(steps.length - 1, count < 1000 ? 0 : Math.floor(Math.log10(count) / 3));
  return `${(count / 1000 ** step).toPrecision(3)} ${steps[step]!}`;
}

function gradientLines({ withoutGradient, random }: GraphSummary): string[] {
  const lines =
    withoutGradient.length === 0
      ? ["Gradient: every operator between inputs and outputs has one."]
      : withoutGradient.flatMap(({ domain, opType, count, nodes }) => [
          `Without a gradient: ${domain ? `${domain}.` : ""}${opType} (${count})`,
          ...nodes.map(({ name, message }) => `  ${name}: ${message}`),
        ]);
  if (random.length > 0)
    lines.push(
      `Random numbers are drawn at every run by ${random.join(", ")}: the same input gives other results each time.`,
    );
  return lines;
}
