/** Differentiation with ONNX Runtime's optimiser in front. */
import { relative } from "node:path";
import { ModelError } from "../base/errors.js";
import { check } from "../options/check.js";
import { signal } from "../options/common.js";
import { boolean, integer, list, object, option, path, text, type TypeOf } from "../options/describe.js";
import { formatOf, modelSource, readGraph } from "./source.js";
import {
  encodeSteps,
  fixBatch,
  placeExternal,
  type DifferentiateOptions,
  type Graph,
} from "../onnx/index.js";
import type { Scratch } from "./scratch.js";
import { simplifyGraph } from "./simplify.js";
import { offLoop } from "./off-loop.js";
import { inSlices } from "./slices.js";
import { checkedFileOf } from "./checked-file.js";

const names = list(text("a name"), { least: 0, words: "an array of names" });

/** @internal */
export const differentiateModelOptions = object({
  wrt: option(names, "inputs to differentiate with respect to", { otherwise: "all float inputs" }),
  outputs: option(names, "outputs to differentiate", { otherwise: "all float outputs" }),
  prefix: option(text(), "prefix of the names of cotangents and gradients", {
    more: "To differentiate a gradient, choose another one.",
    otherwise: '"grad_"',
  }),
  simplify: option(boolean(), "let ONNX Runtime's optimiser fold the model first", {
    more: "That leaves fewer nodes and fewer unknown sizes.",
    default: true,
  }),
  batch: option(
    integer({ min: 1, max: 2 ** 20 }),
    "fix a symbolic batch to this number of rows, so that no shape arithmetic is left",
    { otherwise: "it stays symbolic" },
  ),
  allowRandom: option(boolean(), "accept a model that draws random numbers of its own at every run", {
    default: false,
  }),
  straightThrough: option(
    boolean(),
    "take rounding for the identity: quantised activations, Round, casts to whole numbers",
    { default: false },
  ),
  baseDirectory: option(path(), "for a model given as bytes: the folder of its external data", {
    more: "Links in the folder must not lead out of it.",
    otherwise: "none, a model with external data is refused",
  }),
  signal,
});

export type DifferentiateModelOptions = TypeOf<typeof differentiateModelOptions>;

/**
 * The bytes of an ONNX model that also computes gradients, with inputs `grad_<output>` and outputs `grad_<input>` as
 * differentiate() makes them, after ONNX Runtime has folded the model. Weights in files beside the model stay there; the
 * result names them relative to the model's folder.
 *
 * @param source a path, a file URL, or the model's bytes (copied)
 * @throws ModelError ERR_NO_GRADIENT naming the node, also where all gradients would be zero; ERR_MODEL_UNSUPPORTED for
 *   random numbers, or over 2 GB in one file; ERR_MODEL_NOT_FOUND, ERR_MODEL_INVALID; ArgumentError; AbortError
 */
export async function differentiateModel(
  source: string | URL | Uint8Array,
  options?: DifferentiateModelOptions,
): Promise<Uint8Array> {
  const o = check(differentiateModelOptions, options, { name: "options", prefix: "options." });
  const from = modelSource(source, o.baseDirectory);
  await formatOf(from); // says what is no model; TorchScript is refused as no graph
  const { graph } = await differentiateSimplified(
    await readGraph(from, {}, o.signal),
    {
      wrt: o.wrt && [...o.wrt],
      outputs: o.outputs && [...o.outputs],
      prefix: o.prefix,
      allowRandom: o.allowRandom,
      straightThrough: o.straightThrough,
    },
    { name: from.name, simplify: o.simplify, batch: o.batch, signal: o.signal },
  );
  const folder = from.folder?.path ?? "";
  const placed = placeExternal(graph, ({ location, offset }) => ({
    location: relative(folder, checkedFileOf(location).path),
    offset,
  }));
  return inSlices("differentiateModel", encodeSteps(placed), o.signal);
}

interface SimplifiedGradient {
  readonly graph: Graph;
  /** Why the model was not simplified; null where it was. */
  readonly kept: string | null;
}

/**
 * The differentiated graph, of the simplified model where that can be differentiated, else of the model as it is.
 *
 * @param how.name what messages call the model
 * @param how.scratch where folded weights may lie, until a session has been opened on the graph
 * @throws as differentiateGraph(), and AbortError
 */
export async function differentiateSimplified(
  given: Graph,
  options: DifferentiateOptions,
  how: {
    name: string;
    simplify: boolean;
    batch?: number | undefined;
    signal?: AbortSignal | undefined;
    scratch?: Scratch;
  },
): Promise<SimplifiedGradient> {
  const graph = how.batch === undefined ? given : fixBatch(given, how.batch).graph;
  const differentiated = (from: Graph): Promise<Graph> =>
    offLoop("differentiation", "differentiate", [from], [options], how.signal);
  if (!how.simplify) return { graph: await differentiated(graph), kept: "not asked for" };
  const { graph: simplified, kept } = await simplifyGraph(graph, how.name, how.signal, how.scratch);
  if (kept !== null) return { graph: await differentiated(graph), kept };
  try {
    return { graph: await differentiated(simplified), kept: null };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    // The optimiser may have put in an operator that the rules do not know; the model's own error says more.
    return { graph: await differentiated(graph), kept: error.message };
  }
}
