/** Energies E(z, c): low where the image G(z) satisfies the condition c. */
import { createHash } from "node:crypto";
import { checkNumber } from "../base/check.js";
import { ArgumentError, invalid } from "../base/errors.js";

/** An energy, as plain data. Make one with {@link energy}. */
export type Energy =
  | { readonly kind: "crossEntropy" }
  | { readonly kind: "cosine" }
  | { readonly kind: "squaredError" }
  | { readonly kind: "prior"; readonly weight: number }
  | { readonly kind: "onnx"; readonly sha256: string; readonly bytes: Uint8Array }
  | { readonly kind: "sum"; readonly terms: readonly EnergyTerm[] };

/** A part of a weighted sum. */
export interface EnergyTerm {
  readonly energy: Energy;
  readonly weight: number;
}

/** What the rows of a condition are: a distribution over classes, a direction of length 1, or any vector. */
export type ConditionKind = "probabilities" | "unit" | "raw";

export const energy = {
  /**
   * E = −Σ_k t_k · log softmax(f(x))_k with t the target distribution: one-hot for a class. Of an encoder that gives
   * probabilities (see `encoderKind`) E = −Σ_k t_k · log max(p_k, 1e-12); log-probabilities are taken as they are. Conditions are probabilities [B, classes], or `{ class }`.
   */
  crossEntropy(): Energy {
    return Object.freeze({ kind: "crossEntropy" });
  },
  /**
   * E = −cos(c, f(x)), between −1 and 1. Conditions have any length but 0 and are normalised (sums of several are not). With a sampler that has
   * a target density its `fidelity` says how much it counts against the prior: 1 is very little, 100 a lot.
   */
  cosine(): Energy {
    return Object.freeze({ kind: "cosine" });
  },
  /** E = ‖c − f(x)‖², summed over the features. */
  squaredError(): Energy {
    return Object.freeze({ kind: "squaredError" });
  },
  /**
   * weight · −log p(z): ½‖z‖²/σ² for a normal prior. Samplers add it themselves: without such a term its weight is 1 in
   * resample() and mala(), whose target is p(z)·exp(−λE), and 0 in langevin() and hybrid(). Terms given here replace
   * that default; `energy.prior(0)` switches it off.
   */
  prior(weight = 1): Energy {
    return Object.freeze({ kind: "prior", weight: checkNumber("weight", weight, 1, { min: 0 }) });
  },
  /**
   * A weighted sum. A pair is `[energy, weight]`; weights may be negative (away from a condition) except a prior's.
   * All terms share one condition, so crossEntropy() cannot stand beside cosine() or squaredError().
   */
  sum(...terms: (Energy | readonly [Energy, number])[]): Energy {
    if (terms.length === 0) throw new ArgumentError("energy.sum: expected at least one term, got none");
    const checked = terms.map((term, index): EnergyTerm => {
      const [part, weight] = (Array.isArray(term) ? term : [term, 1]) as [Energy, number];
      const name = `energy.sum term ${index + 1}`;
      return Object.freeze({
        energy: checkEnergy(name, part),
        weight: checkNumber(`${name}, weight`, weight ?? Number.NaN, 1),
      });
    });
    const sum: Energy = Object.freeze({ kind: "sum", terms: Object.freeze(checked) });
    flatten(sum);
    return sum;
  },
  /**
   * An energy of your own: an ONNX model with the inputs "output" (the encoder's output as the encoder gives it,
   * [N, …]) and "condition" ([N, m]), and one output of N numbers ([N] or [N, 1]), one energy for each row. It
   * must have gradients where a sampler uses them. A saved translator stores only its SHA-256: give the energy to
   * `Tr0n.load` again.
   */
  fromOnnx(model: Uint8Array): Energy {
    if (!(model instanceof Uint8Array)) throw invalid("model", "the bytes of an ONNX model", model);
    if (model.length === 0) throw new ArgumentError("model: expected the bytes of an ONNX model, got none");
    const bytes = Uint8Array.from(model);
    return Object.freeze({ kind: "onnx", sha256: createHash("sha256").update(bytes).digest("hex"), bytes });
  },
};

/** @throws ArgumentError unless `value` is an energy. */
export function checkEnergy(name: string, value: unknown): Energy {
  const kinds = ["crossEntropy", "cosine", "squaredError", "prior", "onnx", "sum"];
  const given = value as Energy | null;
  if (given === null || typeof given !== "object" || !kinds.includes(given.kind))
    throw invalid(name, "an energy such as energy.crossEntropy()", value);
  if (given.kind === "onnx" && !(given.bytes instanceof Uint8Array))
    throw invalid(name, "an energy made by energy.fromOnnx(model)", value);
  if (given.kind === "sum" && !Array.isArray(given.terms))
    throw invalid(name, "an energy made by energy.sum(…)", value);
  return given;
}

/** An energy with its sums multiplied out: the weighted terms on the encoder's output, and the prior's weight. */
export interface FlatEnergy {
  readonly terms: readonly {
    readonly energy: Exclude<Energy, { kind: "sum" | "prior" }>;
    readonly weight: number;
  }[];
  /** Summed weight of the prior terms; null when there is none. */
  readonly prior: number | null;
  readonly condition: ConditionKind;
  /** Linear in the condition: energies of several conditions are the energy of their sum. */
  readonly linear: boolean;
}

/**
 * Multiplies sums out and finds what their condition is.
 *
 * @throws ArgumentError when terms want different conditions, nothing looks at the encoder, or the prior's weight is
 *   negative.
 */
export function flatten(whole: Energy): FlatEnergy {
  const terms: FlatEnergy["terms"][number][] = [];
  let prior: number | null = null;
  const walk = (part: Energy, weight: number): void => {
    if (part.kind === "sum") for (const term of part.terms) walk(term.energy, weight * term.weight);
    else if (part.kind === "prior") prior = (prior ?? 0) + weight * part.weight;
    else terms.push({ energy: part, weight });
  };
  walk(whole, 1);
  if (prior !== null && prior < 0)
    throw new ArgumentError(`energy: expected a summed prior weight ≥ 0, got ${String(prior)}`);
  const kinds = new Set(terms.map((term) => term.energy.kind));
  if (kinds.has("crossEntropy") && (kinds.has("cosine") || kinds.has("squaredError")))
    throw new ArgumentError(
      "energy: all terms share one condition, so crossEntropy() (a distribution over classes) cannot be summed with " +
        "cosine() or squaredError() (a vector)",
    );
  const condition = kinds.has("crossEntropy")
    ? "probabilities"
    : kinds.has("cosine") && !kinds.has("squaredError")
      ? "unit"
      : "raw";
  const linear = !kinds.has("squaredError") && !kinds.has("onnx");
  return { terms, prior, condition, linear };
}

/** {@link flatten}, for an energy that chains will run on: it must have a term on the encoder's output. */
export function flattenComplete(whole: Energy): FlatEnergy {
  const flat = flatten(whole);
  if (flat.terms.length === 0)
    throw new ArgumentError(
      "energy: expected at least one term on the encoder's output (crossEntropy, cosine, squaredError or fromOnnx), got only prior terms",
    );
  return flat;
}

/** JSON for files: the same data with an ONNX energy's bytes left out. */
export type EnergyDescription =
  | Exclude<Energy, { kind: "onnx" | "sum" }>
  | { readonly kind: "onnx"; readonly sha256: string }
  | { readonly kind: "sum"; readonly terms: readonly { energy: EnergyDescription; weight: number }[] };

export function describeEnergy(whole: Energy): EnergyDescription {
  switch (whole.kind) {
    case "onnx":
      return { kind: "onnx", sha256: whole.sha256 };
    case "sum":
      return {
        kind: "sum",
        terms: whole.terms.map((term) => ({ energy: describeEnergy(term.energy), weight: term.weight })),
      };
    default:
      return { ...whole };
  }
}

/** Whether a description holds an ONNX energy, whose bytes must be given again. */
export function needsBytes(description: EnergyDescription): boolean {
  return (
    description.kind === "onnx" ||
    (description.kind === "sum" && description.terms.some((term) => needsBytes(term.energy)))
  );
}

/**
 * The energy of a description without ONNX terms.
 *
 * @throws ArgumentError when it describes none.
 */
export function energyFrom(description: EnergyDescription): Energy {
  switch (description?.kind) {
    case "crossEntropy":
      return energy.crossEntropy();
    case "cosine":
      return energy.cosine();
    case "squaredError":
      return energy.squaredError();
    case "prior":
      return energy.prior(description.weight);
    case "sum":
      return energy.sum(
        ...description.terms.map((term): [Energy, number] => [energyFrom(term.energy), term.weight]),
      );
    default:
      throw invalid("energy", "the description of an energy", description);
  }
}
