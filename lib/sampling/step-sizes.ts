/** Step sizes of MALA by fidelity: what training found, and what lies between. */

/** A step size that was measured. */
export interface StepSize {
  /** λ */
  readonly fidelity: number;
  /** h, in coordinates in which the prior is N(0, I). */
  readonly stepSize: number;
  /** Mean accept probability of the trial with that step size. */
  readonly acceptance: number;
}

/**
 * Between the fidelities that were measured along a straight line of logarithms, beyond the largest with the slope of the
 * last two, below the smallest (where the prior decides) as there. Beyond a single one a likelihood's share of 1/h is
 * taken to grow as λ. Undefined where nothing was measured.
 */
export function stepSizeAt(found: readonly StepSize[], fidelity: number): number | undefined {
  const [first] = found;
  if (!first) return undefined;
  if (fidelity <= first.fidelity) return first.stepSize;
  const next = found.findIndex((item) => item.fidelity >= fidelity);
  const end = next < 0 ? found.length - 1 : next;
  const a = found[end - 1];
  const b = found[end]!;
  if (!a) return 1 / (1 / b.stepSize + fidelity - b.fidelity);
  const slope = Math.log(b.stepSize / a.stepSize) / Math.log(b.fidelity / a.fidelity);
  return b.stepSize * (fidelity / b.fidelity) ** Math.min(0, slope);
}

/**
 * Above 0.57, at which a step of MALA gains most (Roberts & Rosenthal 1998) and to which chains adapt: conditions
 * differ, and those that need shorter steps than the mean must not reject nearly all of their few.
 */
const target = 0.65;
/** Close enough: chains adapt the rest while they sample. */
const tolerance = 0.08;
/** At h = 1 a step of N(0, I) is a draw independent of where it starts; a longer one comes out on the other side. */
const longest = 1;

/**
 * A step size whose accept probability is near the target, by trials. How far off a trial is, is told by log a: −log a
 * grows as h³ where steps are far too long and as h^1.5 where they are nearly right, so that each trial says where
 * the next should be. What was found on both sides of the target brackets it.
 *
 * @param accepted mean accept probability with a step size, and that step size; undefined: the rule's
 */
export async function searchStepSize(
  accepted: (stepSize: number | undefined) => Promise<[acceptance: number, stepSize: number]>,
  trials: number,
): Promise<{ stepSize: number; acceptance: number }> {
  const wanted = Math.log(-Math.log(target));
  let x: number | undefined;
  let low = -Infinity;
  let high = Infinity;
  let pace = 1;
  let lastSide = 0;
  let best = { stepSize: Number.NaN, acceptance: Number.NaN };
  for (let trial = 0; trial < trials; trial++) {
    const [acceptance, stepSize] = await accepted(x === undefined ? undefined : Math.exp(x));
    if (!(Math.abs(best.acceptance - target) < Math.abs(acceptance - target)))
      best = { stepSize, acceptance };
    x ??= Math.log(stepSize);
    if (Math.abs(acceptance - target) <= tolerance) break;
    if (acceptance > target && x >= Math.log(longest)) break;
    // Where conditions differ much, a mean changes slowly: the second trial on one side goes twice as far, and so on.
    const side = Math.sign(acceptance - target);
    pace = side === lastSide ? 2 * pace : 1;
    lastSide = side;
    if (side > 0) low = Math.max(low, x);
    else high = Math.min(high, x);
    const off = wanted - Math.log(-Math.log(Math.min(Math.max(acceptance, 1e-40), 1 - 1e-9)));
    const farthest = Math.log(30);
    x += Math.min(farthest, Math.max(-farthest, (pace * off) / (off < -1 ? 3 : 1.5)));
    x = Math.min(x, Math.log(longest));
    if ((x <= low || x >= high) && Number.isFinite(low + high)) x = (low + high) / 2;
  }
  return best;
}
