/** MALA's step sizes for a trained translator, from short runs on conditions of the pairs held out. */
import { keptGroups } from "../sampling/kept-groups.js";
import type { AuxiliaryGroup } from "../translator/auxiliary.js";
import { AbortError, Tr0nError } from "../base/errors.js";
import { runJob } from "../native/job.js";
import { native } from "../native/binding.js";
import type { DeviceId } from "../native/types/devices.js";
import type { NativeSampleRequest, NativeSampleResult } from "../native/types/sampling.js";
import type { Objective } from "../objective/objective.js";
import { searchStepSize, type StepSize } from "../sampling/step-sizes.js";
import type { Tensor } from "../base/tensor.js";
import type { Translator } from "../translator/translator.js";

/** What the pilot run after a training found, and what it cost. */
export interface PilotReport {
  /** By rising fidelity; empty where it was `skipped`. */
  readonly stepSizes: readonly StepSize[];
  /** Rows for which the energy was computed, and with its gradient. */
  readonly forwards: number;
  readonly gradients: number;
  /** Why nothing was measured (models without a gradient, for one); else null. */
  readonly skipped: string | null;
}

/** Candidates of a chain, as sampler.resample() has them. */
const candidates = 16;
const trials = 8;

/**
 * How many conditions, with a chain each, at which fidelities: so that the pilot costs little against making the pairs (about
 * 270 evaluations of f∘G for each chain at three fidelities), and never less than can be averaged over.
 */
function size(pairs: number): { chains: number; fidelities: readonly number[] } {
  return {
    chains: Math.min(32, Math.max(8, Math.floor(pairs / 1500))),
    fidelities: pairs < 300 ? [1] : pairs < 5000 ? [1, 10] : [1, 10, 100],
  };
}

/**
 * Chains start as the default sampler's do, at one of 16 candidates, and make as many steps with a step size for all of them.
 * So what is found is right for the first steps from such starts, which in many dimensions allow shorter steps
 * than the target itself does. It depends on the training alone, never on the conditions of a sampling call.
 *
 * @param heldOut conditions [n, m] of the pairs held out
 */
export async function findStepSizes(
  objective: Objective,
  translator: Translator,
  auxiliary: { readonly group: AuxiliaryGroup; readonly stds: Float32Array | null } | null,
  heldOut: Tensor,
  pairs: number,
  seed: number,
  device: DeviceId,
  signal: AbortSignal,
): Promise<PilotReport> {
  const { fidelities, chains } = size(pairs);
  const conditions = pilotConditions(objective, heldOut, chains);
  const conditionCount = conditions.length / objective.conditionSize;
  const stepSizes: StepSize[] = [];
  const cost = { forwards: 0, gradients: 0 };
  let skipped: string | null = null;
  try {
    const common = {
      objective: await objective.native(true, signal),
      device,
      prior: objective.source.density,
      conditions,
      conditionCount,
      streams: Uint32Array.from({ length: conditionCount }, (_, row) => row),
      count: 1,
    };
    const sample = async (
      request: Pick<NativeSampleRequest, "translator" | "config" | "auxiliary" | "starts">,
    ): Promise<NativeSampleResult> => {
      const result = await runJob("training", signal, () => native().sample({ ...common, ...request }));
      cost.forwards += result.forwards;
      cost.gradients += result.gradients;
      return result;
    };
    for (const fidelity of fidelities) {
      const target = { fidelity, priorWeight: objective.flat.prior ?? 1 };
      const { latents: starts } = await sample({
        translator: translator.native,
        config: {
          ...target,
          start: translator.deterministic ? "mode" : "resample",
          kernel: "none",
          steps: 0,
          candidates,
          maxCandidates: candidates,
          seed: BigInt(seed),
        },
        ...(auxiliary ? { auxiliary: { begin: auxiliary.group.begin, stds: auxiliary.stds } } : {}),
      });
      const steps = fidelity >= 3 ? 8 : 4;
      const accepted = async (stepSize: number | undefined): Promise<[number, number]> => {
        const result = await sample({
          translator: null,
          config: {
            ...target,
            start: "prior",
            kernel: "mala",
            steps,
            stepSize,
            adapt: false,
            seed: BigInt(seed),
            groups: keptGroups(objective.latent),
          },
          starts,
        });
        return [mean(result.acceptance), result.stepSizes[0]!];
      };
      stepSizes.push({ fidelity, ...(await searchStepSize(accepted, trials)) });
    }
  } catch (error) {
    // What was trained is sound without, and samplers have a rule to go by.
    if (!(error instanceof Tr0nError) || error instanceof AbortError || error.code === "ERR_DISPOSED")
      throw error;
    skipped = error.message;
  }
  return { stepSizes: skipped === null ? stepSizes : [], ...cost, skipped };
}

/** Step sizes with which chains hardly move, though the shortest were tried. */
export function pilotWarnings({ stepSizes }: PilotReport): string[] {
  return stepSizes
    .filter(({ acceptance }) => acceptance < 0.1)
    .map(
      ({ fidelity, stepSize, acceptance }) =>
        `at fidelity ${fidelity} MALA's steps are accepted with probability ${acceptance.toPrecision(2)}, even at the step size ` +
        `${stepSize.toPrecision(2)}: the energy changes too fast for its gradient to be of use. Sample with ` +
        "sampler.resample({ steps: 0 }), or make the energy smoother (augment, a smaller fidelity)",
    );
}

/**
 * Rows spread over the pairs held out. Of classes every one in its turn, as callers ask for them: by their shares in the prior
 * the rare ones, which need shorter steps, would hardly be among them.
 */
function pilotConditions(objective: Objective, { data, shape }: Tensor, chains: number): Float32Array {
  const [n = 0, m = 0] = shape;
  if (objective.conditionKind === "probabilities") {
    const classes = new Float32Array(chains * m);
    for (let i = 0; i < chains; i++) classes[i * m + (m > chains ? Math.floor((i * m) / chains) : i % m)] = 1;
    return classes;
  }
  const count = Math.min(n, chains);
  const out = new Float32Array(count * m);
  for (let i = 0; i < count; i++) {
    const at = Math.floor((i * n) / count) * m;
    out.set((data as Float32Array).subarray(at, at + m), i * m);
  }
  return out;
}

function mean(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
