/** A sampling call: its options checked, its chains run natively, its images made. */
import { conditionStreams } from "../condition/condition.js";
import { elementCount } from "../base/tensor.js";
import { ArgumentError } from "../base/errors.js";
import type { ConditionRows } from "../condition/rows.js";
import { withAdvice } from "../objective/gradient-check.js";
import type {
  NativeSamplerConfig,
  NativeSampleProgress,
  NativeSampleResult,
  NativeSampleRequest,
} from "../native/types/sampling.js";
import { checkMemory } from "../native/memory.js";
import { runJobWithProgress } from "../native/job.js";
import { native } from "../native/binding.js";
import {
  startsAtPrior,
  samplerSteps,
  sampler,
  needsTranslator,
  needsDensity,
  nativeSampler,
  type Sampler,
} from "../sampling/sampler.js";
import type { State } from "./state.js";
import type { Samples } from "./samples.js";
import type { Checked } from "../options/describe.js";
import type { SampleOptions, sampleOptions } from "./options.js";
import { samplingWarnings } from "../sampling/warnings.js";

/** A sampling call's options, checked. */
interface SamplingRun {
  readonly count: number;
  /** In each round. */
  readonly steps: number;
  /** Of all rounds. */
  readonly allSteps: number;
  readonly sampler: Sampler;
  readonly seed: number;
  readonly signal: AbortSignal | undefined;
}

interface SamplingPlan extends SamplingRun {
  readonly rows: ConditionRows;
}

/**
 * What a sampling call comes to.
 *
 * @internal
 * @throws ArgumentError, Tr0nError ERR_NOT_TRAINED, ModelError ERR_NO_GRADIENT
 */
export function checkRun(state: State, o: Checked<typeof sampleOptions>): SamplingRun {
  const point = state.translator?.deterministic === true;
  const chosen = o.sampler ?? (point ? sampler.mala() : sampler.resample());
  if (point && needsDensity(chosen))
    throw new ArgumentError(
      'sampler: resampling weighs candidates by the translator\'s density, and this one, trained with the loss "mse", is ' +
        "deterministic: it has none. Use sampler.mala(), langevin(), hybrid() or direct(), which start from its point",
    );
  const steps = samplerSteps(chosen, o.steps);
  const { count, seed } = o;
  samplerConfig(state, chosen, steps, seed); // refuses what does not fit the latent
  if (needsTranslator(chosen)) state.trained();
  if (steps > 0) state.objective.requireGradient(`sampler: ${chosen.kind}() with ${steps} steps`);
  const allSteps = steps * (chosen.kind === "resample" ? chosen.options.rounds : 1);
  return { count, steps, allSteps, sampler: chosen, seed, signal: o.signal };
}

function samplerConfig(state: State, chosen: Sampler, steps: number, seed: number): NativeSamplerConfig {
  const { flat, latent } = state.objective;
  return nativeSampler(
    chosen,
    steps,
    flat.prior,
    latent,
    seed,
    state.auxiliary?.name,
    state.report?.pilot.stepSizes,
  );
}

/** A run for these conditions. @throws Tr0nError ERR_OUT_OF_MEMORY */
export function planned(state: State, run: SamplingRun, rows: ConditionRows): SamplingPlan {
  // Images and their native copy, and the sampler's state of a chain.
  const perChain = 4 * (2 * elementCount(state.objective.imageShape) + 12 * state.objective.latentSize + 8);
  checkMemory(`sample: ${rows.count} × ${run.count} samples`, rows.count * run.count * perChain);
  return { ...run, rows };
}

/** A whole run, as one call. `read` gives the conditions. */
export function runSampling(
  state: State,
  run: SamplingRun,
  read: (signal: AbortSignal) => Promise<ConditionRows>,
  onProgress: SampleOptions["onProgress"],
): Promise<Samples> {
  return state.job("sample", run.signal, async (signal) => {
    const plan = planned(state, run, await read(signal));
    const report =
      onProgress &&
      ((p: NativeSampleProgress): void => onProgress({ step: p.step, steps: p.steps, energies: p.energies }));
    return finish(state, plan, await chains(state, plan, signal, report, false), signal);
  });
}

/** Runs the chains natively. */
export async function chains(
  state: State,
  plan: SamplingPlan,
  signal: AbortSignal,
  onProgress: ((progress: NativeSampleProgress) => void) | undefined,
  latents: boolean,
): Promise<NativeSampleResult> {
  const { rows, count, steps, sampler, seed } = plan;
  const { source } = state.objective;
  const config = samplerConfig(state, sampler, steps, seed);
  const streams = await conditionStreams(rows, signal);
  const objective = await state.objective.native(steps > 0, signal).catch((error: unknown) => {
    throw withAdvice(error);
  });
  const request: NativeSampleRequest = {
    objective,
    translator: needsTranslator(sampler) ? state.trained().native : null,
    device: state.compute.device,
    prior: source.density,
    config,
    ...(state.auxiliary && needsTranslator(sampler)
      ? { auxiliary: { begin: state.auxiliary.begin, stds: state.spread } }
      : {}),
    conditions: { owned: rows.data },
    ...(rows.translator ? { translatorConditions: { owned: rows.translator } } : {}),
    conditionCount: rows.count,
    streams,
    count,
    ...(startsAtPrior(sampler) && !source.exact ? { source: source.drawn } : {}),
    every: 1,
    latents,
  };
  try {
    return await runJobWithProgress("sample", signal, onProgress, (report) =>
      native().sample(request, report),
    );
  } catch (error) {
    throw withAdvice(error); // TorchScript shows only in its backward pass that there is none
  }
}

/** The samples of what the chains gave, images included. */
export async function finish(
  state: State,
  plan: SamplingPlan,
  result: NativeSampleResult,
  signal: AbortSignal,
): Promise<Samples> {
  const images = await state.imagesOf(result.latents, signal);
  return {
    images,
    latents: state.latentTensor(result.latents),
    energies: result.energies,
    seed: plan.seed,
    ess: result.ess,
    candidates: result.candidates,
    acceptance: result.acceptance,
    stepSizes: result.stepSizes,
    trace: { data: result.trace, shape: [result.trace.length / plan.rows.count, plan.rows.count] },
    evaluations: { forwards: result.forwards, gradients: result.gradients },
    warnings: samplingWarnings(plan, result),
  };
}
