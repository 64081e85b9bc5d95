/** Training pairs (z, c), drawn. */
import { shapeText } from "../base/check.js";
import { transformOutputs } from "../condition/condition.js";
import { ArgumentError, invalid } from "../base/errors.js";
import type { Images } from "../base/image.js";
import { throwIfAborted } from "../native/job.js";
import type { Objective } from "../objective/objective.js";
import { elementCount, type Tensor } from "../base/tensor.js";

/** Pairs in memory. */
export interface Pairs {
  /** [n, d] */
  readonly z: Float32Array;
  /** [n, m] */
  readonly c: Float32Array;
  readonly count: number;
}
/** Images at a time for an encoder that is a JavaScript function. */
const functionBatch = 64;

/**
 * Pairs `first` … `first + n − 1` of a seed's stream. They depend on nothing else, so any split gives the same.
 *
 * @throws ModelError, ArgumentError for a pairEncoder function's wrong result, AbortError, Tr0nError ERR_DIVERGED when
 *   a condition is not finite
 */
export async function drawPairs(
  objective: Objective,
  seed: number,
  first: number,
  n: number,
  signal?: AbortSignal,
  onProgress?: (rows: number) => void,
): Promise<Pairs> {
  const { latentSize: d, conditionSize: m, pairEncoder, source } = objective;
  if (typeof pairEncoder !== "function") {
    const map = await objective.conditions(signal);
    const { z, outputs } = await source.pairs(map, seed, first, n, { signal, onProgress, finite: true });
    return { z, c: outputs[0]!.data, count: n };
  }
  const z = new Float32Array(n * d);
  const c = new Float32Array(n * m);
  const map = await objective.images(signal);
  for (let at = 0; at < n; at += functionBatch) {
    const rows = Math.min(functionBatch, n - at);
    const part = await source.pairs(map, seed, first + at, rows, { signal });
    z.set(part.z, at * d);
    const shape = [rows, ...objective.imageShape];
    const images: Images = { data: part.outputs[0]!.data, shape, range: objective.range };
    const given: Tensor | null | undefined = await pairEncoder(images);
    throwIfAborted("making pairs", signal);
    if (!(given?.data instanceof Float32Array) || !Array.isArray(given.shape))
      throw invalid("pairEncoder's result", `a Tensor [${rows}, ${m}]`, given);
    if (given.shape[0] !== rows || elementCount(given.shape) !== rows * m || given.data.length !== rows * m)
      throw new ArgumentError(
        `pairEncoder's result: expected the shape [${rows}, ${m}] for ${rows} images, got ${shapeText(given.shape)}`,
        { code: "ERR_SHAPE_MISMATCH" },
      );
    const values = Float32Array.from(given.data);
    transformOutputs("pairEncoder's result", values, m, objective.conditionKind);
    c.set(values, at * m);
    onProgress?.(at + rows);
  }
  return { z, c, count: n };
}
