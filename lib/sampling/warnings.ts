/** What a caller should know about samples that came out worse than asked for. */
import type { NativeSampleResult } from "../native/types/sampling.js";
import type { Sampler } from "./sampler.js";

/** Mean accept probability below which most chains have stayed where they were. */
const leastAcceptance = 0.1;
/** Steps shorter than a float32 latent resolves: √(2h) below 2⁻²³. */
const leastStepSize = 2 ** -47;

export function samplingWarnings({ sampler }: { sampler: Sampler }, result: NativeSampleResult): string[] {
  return [...essWarnings(sampler, result), ...stepWarnings(sampler, result)];
}

/** Conditions whose candidates did not suffice. */
function essWarnings(sampler: Sampler, result: NativeSampleResult): string[] {
  if (sampler.kind !== "resample") return [];
  const { minEss, maxCandidates } = sampler.options;
  const poor = [...result.ess.keys()].filter(
    (b) => result.ess[b]! < minEss && result.candidates[b]! >= maxCandidates,
  );
  return poor.map(
    (b) =>
      `condition ${b}: the effective sample size is ${result.ess[b]!.toFixed(1)} of ${result.candidates[b]!} candidates, below ${minEss}: ` +
      "the translator covers this condition badly. Raise maxCandidates or steps, or train longer",
  );
}

/** Conditions whose MALA steps have led nowhere. NaN, of other samplers, is neither. */
function stepWarnings(sampler: Sampler, result: NativeSampleResult): string[] {
  if (sampler.kind !== "resample" && sampler.kind !== "mala") return [];
  const advice = [
    ...(sampler.options.adapt === "pilot"
      ? ["more pilotSteps or steps"]
      : ['adapt: "pilot", which finds a step size for this condition before it samples']),
    ...(sampler.options.stepSize === "auto"
      ? ["a smaller stepSize, or more steps"]
      : ['stepSize: "auto", or a smaller one']),
    "training again, which measures step sizes",
    sampler.kind === "resample"
      ? "sampler.resample({ steps: 0 }), which makes none"
      : "sampler.resample(), which starts nearer to the target",
  ].join("; ");
  return [...result.acceptance.keys()].flatMap((b) => {
    const [acceptance, stepSize] = [result.acceptance[b]!, result.stepSizes[b]!];
    if (acceptance < leastAcceptance)
      return `condition ${b}: MALA's steps were accepted with probability ${acceptance.toPrecision(2)}, below ${leastAcceptance}, and end at the step size ${stepSize.toPrecision(2)}: most chains are where they started. What helps: ${advice}`;
    if (stepSize < leastStepSize)
      return `condition ${b}: MALA's step size ${stepSize.toPrecision(2)} is too small for a float32 latent to move. What helps: ${advice}`;
    return [];
  });
}
