import { loadModel, type TorchModel } from "../model/model.js";
import type { ValueInfo as ModelValue } from "../model/interface.js";
import { formatOf, modelSource, readSizedGraph } from "../model/source.js";
import { ModelError } from "../base/errors.js";
import {
  differentiateGraph,
  graphToRun,
  inspectGraph,
  isVacuous,
  tabledPlacement,
  typeName,
  type DifferentiateOptions,
  type GradientPath,
  type Graph,
  type GraphPlacement,
  type Target,
  type GraphSummary,
  type ValueInfo,
} from "../onnx/index.js";
import { triedBarrier, withoutGradientAdvice } from "../objective/gradient-check.js";
import { simplifyGraph } from "../model/simplify.js";
import { elementCount, type Tensor } from "../base/tensor.js";
import { textTable } from "../base/text-table.js";
import type { Arguments } from "./arguments.js";
import type { Command, Result } from "./command.js";
import { inputShapesToPass, openAxes } from "../model/missing-sizes.js";
import { readShapes, shapeFlag } from "./input-shapes.js";
import { straightThroughFlag } from "./models.js";

export const inspectCommand: Command = {
  name: "inspect",
  summary:
    "Shows a model's inputs, outputs and operators; of ONNX the cost and every node without a gradient, too.",
  usage: "MODEL",
  positionals: ["MODEL"],
  options: {
    wrt: {
      type: "string",
      value: "a,b",
      help: "inputs a gradient is wanted for (default: all float inputs)",
    },
    outputs: { type: "string", value: "y", help: "outputs it is taken of (default: all float outputs)" },
    "no-simplify": { type: "boolean", help: "look at the model as it is, not as ONNX Runtime folds it" },
    device: {
      type: "string",
      value: "KIND",
      help: "cuda or webgpu: tell which nodes of the model and of its gradient would fall to the CPU there",
    },
    "allow-code": {
      type: "boolean",
      help: "trust the TorchScript file: its code may do more than compute",
    },
    "straight-through": straightThroughFlag,
    "input-shape": shapeFlag("model"),
  },
  notes:
    "Of an ONNX model nothing is run: operations and memory follow from shapes, two operations for each multiply-add and one for each " +
    "element of anything else. A symbolic batch counts as one row. Memory is that of values alive at the same time in the " +
    "file's order; weights are listed apart. --device goes by tables of kernels (docs/operators.md), so it needs no GPU. " +
    "TorchScript declares no shapes: it is run on a few rows of zeros to find them, once its operators are known to only compute.",
  run: async (args, { signal }) => {
    const path = args.positionals[0]!;
    const source = modelSource(path);
    if ((await formatOf(source)) === "torchscript") return inspectTorchScript(path, args, signal);
    if (args.flag("allow-code"))
      throw args.wrong("allow-code", "a TorchScript model to trust", `${path}, which is ONNX`);
    const inputShapes = readShapes(args, "input-shape");
    const { graph, decided } = await readSizedGraph(source, inputShapes ? { inputShapes } : {}, signal);
    const simplified = args.flag("no-simplify")
      ? { graph, kept: "not asked for" }
      : await simplifyGraph(graph, path, signal);
    const straightThrough = args.flag("straight-through");
    const options = { wrt: args.list("wrt"), outputs: args.list("outputs"), straightThrough };
    const summary = inspectGraph(graph, simplified.graph, options);
    const device = args.choice("device", gpus);
    const placement = device && placements(simplified.graph, device, options);
    const inputs = summary.inputs.map(value);
    const outputs = summary.outputs.map(value);
    const rows = (values: typeof inputs): string[][] =>
      values.map(({ name, type, shape }) => [
        `  ${name}`,
        type,
        shape ? `[${shape.join(", ")}]` : "unknown shape",
      ]);
    return {
      json: {
        file: path,
        ...summary,
        inputs,
        outputs,
        simplified: simplified.kept === null,
        shapes: decided.map(({ value, reason }) => ({ value, reason })),
        ...(placement ? { placement } : {}),
      },
      text: [
        `${path}: ONNX, opset ${summary.opset}, ${summary.parameters.toLocaleString("en")} parameters`,
        "",
        textTable(["inputs", "type", "shape"], rows(inputs)),
        "",
        textTable(["outputs", "type", "shape"], rows(outputs)),
        "",
        ...shapeLines(graph, decided),
        textTable(
          ["operators", "nodes"],
          summary.operators.map(({ opType, count }) => [`  ${opType}`, String(count)]),
        ),
        "",
        ...costLines(summary.cost),
        "",
        ...gradientLines(summary),
        ...(placement ? ["", ...placementLines(placement)] : []),
      ].join("\n"),
    };
  },
};

/** What is wrong with declared shapes, and how open ones are said. */
function shapeLines(graph: Graph, decided: readonly { value: string; reason: string }[]): string[] {
  const open = graph.inputs.flatMap(({ name, dims }) => {
    const shape = dims?.map((dim) => (typeof dim === "number" ? dim : null)) ?? [];
    if (openAxes({ shape }).length === 0) return [];
    const symbols = dims!.map((dim) => (typeof dim === "string" ? dim : null));
    const given = inputShapesToPass({ name, shape, symbols });
    const code = given.map(([key, sizes]) => `${JSON.stringify(key)}: ${sizes}`).join(", ");
    const flags = given.map(([key, sizes]) => {
      const sizesOnLine = sizes.replace(/[[\] ]/g, "").replaceAll("null", "?");
      return `--generator-shape ${JSON.stringify(`${key}=${sizesOnLine}`)}`;
    });
    return [
      `Sizes of ${name} are open. Where they must be known: inputShapes: { ${code} } for loadModel and in configurations, ` +
        `${flags.join(" ")} on the command line (for encoders --encoder-shape), with sizes of yours.`,
    ];
  });
  const told = decided.map(({ value, reason }) => `Shapes: ${value}, because ${reason}.`);
  return [...told, ...open].flatMap((line) => [line, ""]);
}

const gpus = ["cuda", "webgpu"] as const;

/** Where a model's nodes would run, forwards and with the gradient; null for a gradient that there is not. */
interface Placements {
  device: Target;
  forward: GraphPlacement;
  withGradient: GraphPlacement | null;
}

function placements(graph: Graph, device: Target, options: DifferentiateOptions): Placements {
  const forward = tabledPlacement(graphToRun(graph, device), device);
  try {
    const both = differentiateGraph(graph, { ...options, allowRandom: true, target: device });
    return { device, forward, withGradient: tabledPlacement(both, device) };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return { device, forward, withGradient: null };
  }
}

function placementLines({ device, forward, withGradient }: Placements): string[] {
  const lines = (what: string, { nodes, onCpu, failing, copies }: GraphPlacement): string[] => {
    const told = [...onCpu, ...failing];
    if (told.length === 0) return [`On ${device}, ${what}: all of ${nodes} nodes run there.`];
    return [
      `On ${device}, ${what}: ${onCpu.length} of ${nodes} nodes fall to the CPU, with ${copies} copies in each run` +
        (failing.length > 0 ? `; ${failing.length} cannot run at all` : ""),
      ...told.map(
        ({ opType, name, heavy, why }) =>
          `  ${opType} ${JSON.stringify(name)}: ${why}${heavy ? "; heavy" : ""}`,
      ),
    ];
  };
  return [...lines("forward", forward), ...(withGradient ? lines("forward and gradient", withGradient) : [])];
}

/** libtorch differentiates all of its operators; what stops a gradient are the model's own detach() and no_grad(). */
async function inspectTorchScript(path: string, args: Arguments, signal: AbortSignal): Promise<Result> {
  for (const option of ["wrt", "outputs", "device"] as const)
    if (args.text(option) !== undefined)
      throw args.wrong(option, "an ONNX model to look at", `${path}, which is TorchScript`);
  if (args.flag("straight-through"))
    throw args.wrong("straight-through", "an ONNX model to look at", `${path}, which is TorchScript`);
  const inputShapes = readShapes(args, "input-shape");
  const options = { allowCode: args.flag("allow-code"), inputShapes, signal };
  using model = (await loadModel(path, options)) as TorchModel;
  const { summary } = model;
  const values = ({ name, type, shape }: ModelValue) => ({
    name,
    type,
    shape: shape.map((dim) => dim ?? "?"),
  });
  const [inputs, outputs] = [model.inputs.map(values), model.outputs.map(values)];
  const rows = (list: typeof inputs): string[][] =>
    list.map(({ name, type, shape }) => [`  ${name}`, type, `[${shape.join(", ")}]`]);
  const operators = Object.entries(summary.operators)
    .map(([opType, count]) => ({ opType, count }))
    .sort((a, b) => b.count - a.count || (a.opType < b.opType ? -1 : 1));
  const { parameters, random } = summary;
  const withoutPath = await torchWithoutPath(model, signal);
  return {
    json: {
      file: path,
      format: "torchscript",
      class: summary.class,
      parameters,
      inputs,
      outputs,
      operators,
      random,
      withoutPath,
    },
    text: [
      `${path}: TorchScript of ${summary.class || "a module"}, ${parameters.toLocaleString("en")} parameters`,
      "",
      textTable(["inputs", "type", "shape"], rows(inputs)),
      "",
      textTable(["outputs", "type", "shape"], rows(outputs)),
      "",
      textTable(
        ["operators", "calls"],
        operators.map(({ opType, count }) => [`  ${opType}`, String(count)]),
      ),
      "",
      "Gradient: by libtorch's autograd. An export to ONNX would also show cost and nodes without a gradient.",
      ...withoutPath.map((message) => `Gradient of 0: ${message}.`),
      ...(withoutPath.length > 0 ? [`As an encoder or generator: ${withoutGradientAdvice}.`] : []),
      ...(random === null ? [] : [`A run differs from the next: ${random}.`]),
    ].join("\n"),
  };
}

/** Why outputs have no gradient, by going back from each of them to inputs of zeros; none where a size is open but the batch. */
async function torchWithoutPath(model: TorchModel, signal: AbortSignal): Promise<string[]> {
  const inputs: Record<string, Tensor> = {};
  for (const { name, shape } of model.inputs) {
    const sizes = shape.map((size, axis) => size ?? (axis === 0 ? 2 : 0));
    if (sizes.includes(0)) return [];
    inputs[name] = { data: new Float32Array(elementCount(sizes)), shape: sizes };
  }
  const messages: string[] = [];
  for (const [name, made] of Object.entries(await model.run(inputs, { signal }))) {
    const barrier = await triedBarrier(model, inputs, name, made, signal);
    if (barrier && !barrier.unknown) messages.push(barrier.message);
  }
  return messages;
}

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

function gradientLines({ withoutGradient, gradients, random }: GraphSummary): string[] {
  const paths = withoutPath(gradients);
  const lines =
    withoutGradient.length === 0
      ? paths.length === 0
        ? ["Gradient: every operator between inputs and outputs has one."]
        : [...withPath(gradients), ...paths]
      : withoutGradient
          .flatMap(({ domain, opType, count, nodes }) => [
            `Without a gradient: ${domain ? `${domain}.` : ""}${opType} (${count})`,
            ...nodes.map(({ name, message }) => `  ${name}: ${message}`),
          ])
          .concat(paths);
  if (random.length > 0)
    lines.push(
      `Random numbers are drawn at every run by ${random.join(", ")}: the same input gives other results each time.`,
    );
  return lines;
}

/** Which pairs have a gradient, where not all do. */
function withPath(gradients: readonly GradientPath[]): string[] {
  const pairs = gradients.filter(({ kind }) => kind === "gradient");
  return pairs.length === 0
    ? []
    : [`Gradient: from ${pairs.map(({ input, output }) => `${input} to ${output}`).join(", ")}.`];
}

/**
 * What differentiation gives zeros for, a line each; and where nothing is left, how to go on. Operators without a rule are
 * told elsewhere: they make it fail.
 */
export function withoutPath(gradients: readonly GradientPath[]): string[] {
  const lines = gradients.flatMap(({ kind, input, output, stoppedBy, message }) => {
    if (kind === "independent")
      return [`Gradient of 0: ${JSON.stringify(output)} does not depend on ${JSON.stringify(input)}.`];
    if (kind === "gradient" || stoppedBy.some(({ unknown }) => unknown)) return [];
    return [`Gradient of 0: ${message}.`];
  });
  return isVacuous(gradients) && lines.length > 0
    ? [...lines, `As an encoder or generator: ${withoutGradientAdvice}.`]
    : lines;
}
