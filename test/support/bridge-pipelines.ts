/** Pipelines of the demo's models as the addon takes them: segments, and an objective behind them. */
import { readFileSync } from "node:fs";
import type { NativeObjective, NativeOnnxSegment } from "../../lib/native/types/pipeline.js";
import type { NativeSession, NativeSessionOptions } from "../../lib/native/types/models.js";
import { energyGraph } from "../../lib/objective/energy-graph.js";
import {
  cutGradient,
  decodeModel,
  differentiateGraph,
  encodeModel,
  targetOf,
  type Graph,
  type Target,
} from "../../lib/onnx/index.js";
import { addon, open, repositoryFile } from "./bridge.js";

export const latent = [64];
export const image = [3, 32, 32];
export const classes = 10;
export const load = (name: string): Graph =>
  decodeModel(readFileSync(repositoryFile(`models/${name}.onnx`)), name);
/** How a part is opened; its graphs have the forms of the device's target, or of another. */
export interface Opening extends NativeSessionOptions {
  target?: Target;
}
const session = (graph: Graph, name: string, { device }: Opening): Promise<NativeSession> =>
  open(encodeModel(graph), { name, threads: 1, ...(device && { device }) });
export const crossEntropy = (): Graph =>
  energyGraph(
    { terms: [{ energy: { kind: "crossEntropy" }, weight: 1 }], condition: "probabilities" } as never,
    ["batch", classes],
    classes,
    "logits",
  );

const formsFor = ({ target, device }: Opening): Target => target ?? targetOf(device ?? "cpu");

export async function segmentOf(
  graph: Graph,
  inputShape: number[],
  name: string,
  options: Opening = {},
): Promise<NativeOnnxSegment> {
  const [input, output] = [graph.inputs[0]!.name, graph.outputs[0]!.name];
  const [cotangent, gradient] = [`grad_${output}`, `grad_${input}`];
  const cut = cutGradient(
    differentiateGraph(graph, { wrt: [input], outputs: [output], target: formsFor(options) }),
    [cotangent],
    [gradient],
  );
  return {
    name,
    inputShape,
    forward: await session(graph, name, options),
    recorded: await session(cut.forward, name, options),
    backward: await session(cut.backward, name, options),
    input,
    output,
    saved: cut.saved,
    cotangent,
    gradient,
  };
}

/** E and ∂E/∂x of the last graph, behind segments. */
export async function objectiveOf(
  segments: NativeOnnxSegment[],
  last: Graph,
  inputShape: number[],
  { maxBatch = 64, ...options }: Opening & { maxBatch?: number } = {},
): Promise<NativeObjective> {
  const [input, conditionInput] = last.inputs.map(({ name }) => name) as [string, string];
  const energyOutput = last.outputs[0]!.name;
  const gradient = differentiateGraph(last, {
    wrt: [input],
    outputs: [energyOutput],
    seed: "ones",
    target: formsFor(options),
  });
  const sessions = {
    energy: await session(last, "energy", options),
    gradient: await session(gradient, "energy and gradient", options),
  };
  const made = addon.createObjective({
    segments,
    ...sessions,
    input,
    conditionInput,
    energyOutput,
    gradientOutput: `grad_${input}`,
    inputShape,
    conditionShape: [classes],
    fixedBatch: 0,
    maxBatch,
  });
  // The objective holds them.
  for (const one of Object.values(sessions)) one.dispose();
  return made;
}
