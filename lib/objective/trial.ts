/** What the trials of generator and encoder have in common. */
import { maxFixedBatch, type AxisSearch, type Tried } from "../model/batch-axis.js";
import { ArgumentError, ModelError } from "../base/errors.js";
import type { LoadedModel } from "../model/model.js";
import { triedBarrier } from "./gradient-check.js";
import type { GradientBarrier, OutputFacts } from "../model/output-facts.js";
import type { Tensor } from "../base/tensor.js";

/** Seed of the latents that models are tried with. */
export const probeSeed = 0;

/** Why a model has no gradient: as its operators tell, or else as a trial on `inputs` shows; null where it has one. */
export async function barrierWithin(
  model: LoadedModel,
  output: string,
  { stop }: OutputFacts,
  tried: { readonly inputs: Record<string, Tensor>; readonly outputs: Tensor },
  signal: AbortSignal | undefined,
): Promise<GradientBarrier | null> {
  if (stop === undefined) return triedBarrier(model, tried.inputs, output, tried.outputs, signal);
  return stop && { ...stop, message: `in ${model.name} ${stop.message}` };
}

/**
 * Runs a model on as many rows as it declares. Where it declares any number, on two; a model that then accepts only one
 * had its batch fixed by its export, whatever it declares.
 */
export async function tryRows(
  role: string,
  model: LoadedModel,
  declared: number,
  signal: AbortSignal | undefined,
  run: (rows: number) => Promise<Tensor>,
): Promise<Tried> {
  if (declared > maxFixedBatch)
    throw new ArgumentError(
      `${role}: expected a batch of at most ${maxFixedBatch} rows, got ${declared} in ${model.name}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  if (declared > 0) return { tensor: await run(declared), rows: declared, fixed: declared };
  let failure: unknown;
  try {
    return { tensor: await run(2), rows: 2, fixed: 0 };
  } catch (error) {
    if (signal?.aborted) throw error;
    failure = error;
  }
  try {
    return { tensor: await run(1), rows: 1, fixed: 1 };
  } catch (error) {
    throw failure ?? error;
  }
}

/** Rows of one run: as declared, but where activations are quantised by the whole batch only a row alone is itself. */
export function rowsAtOnce(
  { role, model, decisions }: AxisSearch,
  facts: OutputFacts,
  declared: number,
): number {
  if (declared > 0 || !facts.scalesByBatch) return declared;
  decisions.add({
    option: role,
    value: "rows run one by one",
    reason: `${model.name} finds the scales of quantised activations in the whole batch, where rows would influence each other`,
    certain: true,
  });
  return 1;
}

/** A model that rolls dice has no energy that a chain could go down, and no seed makes its images come again. */
export function refuseRandom(role: string, name: string, { random }: OutputFacts): void {
  refuseRandomOperator(role, name, random);
}

/** @param random the operator that draws, in words; null where there is none */
export function refuseRandomOperator(role: string, name: string, random: string | null): void {
  if (random === null) return;
  throw new ModelError(
    "ERR_MODEL_UNSUPPORTED",
    `${role}: ${name} draws random numbers of its own at every run (${random}), so the same latent gives other results ` +
      'each time. Export it with fixed noise (StyleGAN: noise_mode="const") or in evaluation mode',
  );
}
