/** Differentiation with ONNX Runtime's optimiser in front. */
import { relative } from "node:path";
import { checkBoolean, checkInteger, checkOptions, checkSignal } from "../base/check.js";
import { ModelError, invalid } from "../base/errors.js";
import { modelSource, readGraph } from "./source.js";
import {
  encodeSteps,
  fixBatch,
  placeExternal,
  type DifferentiateOptions,
  type Graph,
} from "../onnx/index.js";
import { simplifyGraph } from "./simplify.js";
import { offLoop } from "./off-loop.js";
import { inSlices } from "./slices.js";
import { checkedFileOf } from "./checked-file.js";

export interface DifferentiateModelOptions {
  /** Inputs to differentiate with respect to. Default: all float inputs. */
  wrt?: string[];
  /** Outputs to differentiate. Default: all float outputs. */
  outputs?: string[];
  /** Prefix of the names of cotangents and gradients. Default "grad_"; to differentiate a gradient, choose another one. */
  prefix?: string;
  /** Let ONNX Runtime's optimiser fold the model first, which leaves fewer nodes and fewer unknown sizes. Default true. */
  simplify?: boolean;
  /** Fix a symbolic batch to this number of rows, so that no shape arithmetic is left. Default: it stays symbolic. */
  batch?: number;
  /** Accept a model that draws random numbers of its own at every run. Default false. */
  allowRandom?: boolean;
  /**
   * For a model given as bytes: the folder of its external data. Default none: a model with external data is refused.
   * Links in the folder must not lead out of it.
   */
  baseDirectory?: string;
  signal?: AbortSignal;
}

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
  const o = checkOptions("options", options, [
    "wrt",
    "outputs",
    "prefix",
    "simplify",
    "batch",
    "allowRandom",
    "baseDirectory",
    "signal",
  ]);
  for (const key of ["wrt", "outputs"] as const) {
    const names: unknown = o[key];
    if (names !== undefined && !(Array.isArray(names) && names.every((name) => typeof name === "string")))
      throw invalid(`options.${key}`, "an array of names", names);
  }
  if (o.prefix !== undefined && (typeof o.prefix !== "string" || o.prefix === ""))
    throw invalid("options.prefix", "a text", o.prefix);
  const simplify = checkBoolean("options.simplify", o.simplify, true);
  const allowRandom = checkBoolean("options.allowRandom", o.allowRandom, false);
  const batch =
    o.batch === undefined ? undefined : checkInteger("options.batch", o.batch, 1, { min: 1, max: 2 ** 20 });
  checkSignal("options.signal", o.signal);
  const from = modelSource(source, o.baseDirectory);
  const { wrt, outputs, prefix } = o;
  const { graph } = await differentiateSimplified(
    await readGraph(from, o.signal),
    { wrt, outputs, prefix, allowRandom },
    { name: from.name, simplify, batch, signal: o.signal },
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
 * @throws as differentiateGraph(), and AbortError
 */
export async function differentiateSimplified(
  given: Graph,
  options: DifferentiateOptions,
  how: { name: string; simplify: boolean; batch?: number | undefined; signal?: AbortSignal | undefined },
): Promise<SimplifiedGradient> {
  const graph = how.batch === undefined ? given : fixBatch(given, how.batch).graph;
  const differentiated = (from: Graph): Promise<Graph> =>
    offLoop("differentiation", "differentiate", [from], [options], how.signal);
  if (!how.simplify) return { graph: await differentiated(graph), kept: "not asked for" };
  const { graph: simplified, kept } = await simplifyGraph(graph, how.name, how.signal);
  if (kept !== null) return { graph: await differentiated(graph), kept };
  try {
    return { graph: await differentiated(simplified), kept: null };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    // The optimiser may have put in an operator that the rules do not know; the model's own error says more.
    return { graph: await differentiated(graph), kept: error.message };
  }
}
