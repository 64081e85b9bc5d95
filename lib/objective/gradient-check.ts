/** Whether an energy has a gradient that chains can follow, and what is said where it has none. */
import type { Decisions } from "../base/decisions.js";
import type { ConditionKind } from "./energy.js";
import { ModelError } from "../base/errors.js";
import type { GradientBarrier } from "../model/output-facts.js";
import type { Tensor } from "../base/tensor.js";
import type { Model } from "../model/interface.js";

/** How to go on where there is no gradient to follow. */
export const withoutGradientAdvice =
  "sampler.resample({ steps: 0 }) (--steps 0 on the command line) and sampler.direct() sample without a gradient";

/**
 * Why a model whose operators do not tell has no gradient, found by going back once from an output to the inputs it was
 * made of.
 */
export async function triedBarrier(
  model: Model,
  inputs: Record<string, Tensor>,
  output: string,
  made: Tensor,
  signal: AbortSignal | undefined,
): Promise<GradientBarrier | null> {
  const cotangent = { data: new Float32Array(made.data.length).fill(1), shape: made.shape };
  try {
    await model.vjp(inputs, { [output]: cotangent }, { signal });
    return null;
  } catch (error) {
    if (!(error instanceof ModelError) || signal?.aborted) throw error;
    return { message: error.message, unknown: error.code !== "ERR_NO_GRADIENT" };
  }
}

/** Takes down that samplers with a gradient will not work: training takes minutes, and sampling comes after it. */
export function tellBarrier(barrier: GradientBarrier, decisions: Decisions): void {
  decisions.add({
    option: "sampler",
    value: `only what needs no gradient works, such as ${withoutGradientAdvice.split(" sample without")[0]!}`,
    reason: barrier.message,
    certain: !barrier.unknown,
  });
}

/** @throws ModelError ERR_NO_GRADIENT, unless an optimiser may yet find a way: then differentiation says what it meets. */
export function refuseBarrier(
  what: string,
  barrier: GradientBarrier | null,
  advice = withoutGradientAdvice,
): void {
  if (barrier && !barrier.unknown)
    throw new ModelError("ERR_NO_GRADIENT", `${what} needs a gradient, but ${barrier.message}; ${advice}`);
}

/** The same error with the way out in its message, where it says that there is no gradient. */
export function withAdvice(error: unknown): unknown {
  if (!(error instanceof ModelError) || error.code !== "ERR_NO_GRADIENT") return error;
  if (error.message.includes(withoutGradientAdvice)) return error;
  return new ModelError("ERR_NO_GRADIENT", `${error.message}; ${withoutGradientAdvice}`, { cause: error });
}

/** Conditions near what the encoder says, and away from it: there an energy has a gradient if it has one anywhere. */
export function nearbyConditions(outputs: Tensor, n: number, kind: ConditionKind): Float32Array {
  const m = outputs.data.length / outputs.shape[0]!;
  if (kind === "probabilities") return new Float32Array(n * m).fill(1 / m);
  const conditions = outputs.data.slice(0, n * m);
  const size = Math.sqrt(conditions.reduce((sum, x) => sum + x * x, 0) / conditions.length) || 1;
  conditions.forEach((_, i) => (conditions[i]! += i % 2 === 0 ? size : -size));
  for (let row = 0; kind === "unit" && row < n; row++) {
    const values = conditions.subarray(row * m, (row + 1) * m);
    const length = Math.hypot(...values) || 1;
    values.forEach((x, i) => (values[i] = x / length));
  }
  return conditions;
}

/**
 * Takes down a gradient that is 0 wherever it was tried: saturated, clipped or dead, or through operators of a TorchScript
 * model that are constant almost everywhere.
 *
 * @param gradients [n, d] at n draws of the prior
 */
export function tellZeroGradient(gradients: Float32Array, n: number, decisions: Decisions): void {
  if (gradients.some((x) => x !== 0)) return;
  decisions.add({
    option: "sampler",
    value:
      "steps along the gradient move nothing to where the condition wants it, resample({ steps: 0 }) may do as well",
    reason:
      `the gradient of the energy is exactly 0 for ${n} draws of the prior (a saturated or clipped output, units that are ` +
      "dead, or rounding inside of a TorchScript model)",
    certain: false,
  });
}
