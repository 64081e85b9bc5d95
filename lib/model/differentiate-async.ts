/** differentiate() for programs that have other things to do. */
import { checkOptions, checkSignal } from "../base/check.js";
import {
  checkedDifferentiation,
  decodeSteps,
  encodeSteps,
  type DifferentiateBytesOptions,
} from "../onnx/index.js";
import { offLoop } from "./off-loop.js";
import { inSlices } from "./slices.js";

export interface DifferentiateAsyncOptions extends DifferentiateBytesOptions {
  signal?: AbortSignal;
}

/**
 * The same bytes as differentiate()'s, without holding the event loop: a large graph is differentiated in a worker thread. The
 * bytes given must stay as they are until the promise is settled.
 *
 * @throws as differentiate(): ModelError ERR_NO_GRADIENT, ERR_MODEL_INVALID, ERR_MODEL_UNSUPPORTED; ArgumentError; and AbortError
 */
export async function differentiateAsync(
  onnx: Uint8Array,
  options?: DifferentiateAsyncOptions,
): Promise<Uint8Array> {
  const o = checkOptions("options", options, [
    "wrt",
    "outputs",
    "prefix",
    "allowRandom",
    "straightThrough",
    "signal",
  ]);
  const differentiation = checkedDifferentiation(o);
  checkSignal("options.signal", o.signal);
  const what = "differentiateAsync";
  const graph = await inSlices(what, decodeSteps(onnx), o.signal);
  const result = await offLoop(what, "differentiate", [graph], [differentiation], o.signal);
  return inSlices(what, encodeSteps(result), o.signal);
}
