/** Weighted sums of energies, which sums may be parts of. */
import { ArgumentError, invalid } from "../../base/errors.js";
import { checkValue } from "../../options/check.js";
import {
  constant,
  either,
  list,
  named,
  number,
  object,
  option,
  required,
  type Shape,
} from "../../options/describe.js";
import { orWords } from "../../options/family.js";
import type { ConditionKind } from "./kind.js";
import { energies, type PlainDescription, type PlainEnergy, type PlainEnergySpec } from "./index.js";

export interface SumEnergy {
  readonly kind: "sum";
  readonly terms: readonly EnergyTerm[];
}

/** An energy, as plain data. Make one with `energy`. */
export type Energy = PlainEnergy | SumEnergy;

/** A part of a weighted sum. */
export interface EnergyTerm {
  readonly energy: Energy;
  readonly weight: number;
}

/** JSON for files: the same data with an ONNX energy's bytes left out. */
export type EnergyDescription =
  | PlainDescription
  | { readonly kind: "sum"; readonly terms: readonly { energy: EnergyDescription; weight: number }[] };

/** What a configuration has for an energy. */
export type EnergySpec =
  PlainEnergySpec | { kind: "sum"; terms: readonly { energy: EnergySpec; weight?: number }[] };

/**
 * A weighted sum. A pair is `[energy, weight]`; weights may be negative (away from a condition) except a prior's.
 * All terms share one condition, so crossEntropy() cannot stand beside cosine() or squaredError().
 */
function make(...terms: (Energy | readonly [Energy, number])[]): SumEnergy {
  if (terms.length === 0) throw new ArgumentError("energy.sum: expected at least one term, got none");
  const checked = terms.map((term, index): EnergyTerm => {
    const [part, weight] = (Array.isArray(term) ? term : [term, 1]) as [Energy, number];
    const name = `energy.sum term ${index + 1}`;
    return Object.freeze({
      energy: checkEnergy(name, part),
      weight: checkValue(number(), weight, `${name}, weight`),
    });
  });
  const sum: SumEnergy = Object.freeze({ kind: "sum", terms: Object.freeze(checked) });
  flatten(sum);
  return sum;
}

/** How a configuration file says an energy. */
export const energyInFile: Shape<unknown, EnergySpec> = named("energy", () => {
  const term = object({
    energy: required(energyInFile, "the energy"),
    weight: option(number(), "weight", { default: 1 }),
  });
  const sum = object({
    kind: required(constant("sum"), "a weighted sum"),
    terms: required(list(term), "the terms"),
  });
  return either(...energies.inFile, sum) as Shape as Shape<unknown, EnergySpec>;
});

export const sum = { kind: "sum", make } as const;

/** @throws ArgumentError unless `value` is an energy; its options are checked again. */
export function checkEnergy(name: string, value: unknown): Energy {
  const given = value as Energy | null;
  if (given?.kind === "sum") {
    if (!Array.isArray(given.terms)) throw invalid(name, "an energy made by energy.sum(…)", value);
    return make(...given.terms.map((term: EnergyTerm) => [term?.energy, term?.weight] as const));
  }
  const kind = energies.find(given);
  if (!kind) throw invalid(name, `an energy: one of ${energies.known}, energy.sum()`, value);
  return kind.check(name, given as PlainEnergy);
}

/** An energy with its sums multiplied out: the weighted terms on the encoder's output, and the prior's weight. */
export interface FlatEnergy {
  readonly terms: readonly { readonly energy: PlainEnergy; readonly weight: number }[];
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
    if (part.kind === "sum") {
      for (const term of part.terms) walk(term.energy, weight * term.weight);
      return;
    }
    const kind = energies.of(part);
    if (kind.term) terms.push({ energy: part, weight });
    else prior = (prior ?? 0) + weight * (kind.prior?.(part) ?? 0);
  };
  walk(whole, 1);
  if (prior !== null && prior < 0)
    throw new ArgumentError(`energy: expected a summed prior weight ≥ 0, got ${String(prior)}`);
  const told = terms.map(({ energy }) => energies.of(energy).term!);
  return {
    terms,
    prior,
    condition: sharedCondition(new Set(told.map(({ condition }) => condition))),
    linear: told.every(({ linear }) => linear),
  };
}

/** What all terms take: a direction only where every vector is one. @throws ArgumentError */
function sharedCondition(wanted: ReadonlySet<ConditionKind | null>): ConditionKind {
  const [classes, direction, vector] = (["probabilities", "unit", "raw"] as const).map((kind) =>
    wanted.has(kind),
  );
  if (!classes) return direction && !vector ? "unit" : "raw";
  if (direction || vector)
    throw new ArgumentError(
      `energy: all terms share one condition, so ${taking("probabilities")} (a distribution over classes) cannot be summed with ` +
        `${taking("unit", "raw")} (a vector)`,
    );
  return "probabilities";
}

/** The energies that take such conditions, in words. */
function taking(...conditions: readonly ConditionKind[]): string {
  const names = energies.names(({ term }) => term?.condition != null && conditions.includes(term.condition));
  return orWords(names.map((name) => `${name}()`));
}

/** {@link flatten}, for an energy that chains will run on: it must have a term on the encoder's output. */
export function flattenComplete(whole: Energy): FlatEnergy {
  const flat = flatten(whole);
  if (flat.terms.length === 0)
    throw new ArgumentError(
      `energy: expected at least one term on the encoder's output (${orWords(energies.names(({ term }) => term !== undefined))}), got only prior terms`,
    );
  return flat;
}

export function describeEnergy(whole: Energy): EnergyDescription {
  if (whole.kind !== "sum") return energies.of(whole).describe(whole);
  return {
    kind: "sum",
    terms: whole.terms.map((term) => ({ energy: describeEnergy(term.energy), weight: term.weight })),
  };
}

/** Whether a description holds an energy of which a file has not all: it must be given again. */
export function mustBeGiven(description: EnergyDescription): boolean {
  if (description.kind === "sum") return description.terms.some((term) => mustBeGiven(term.energy));
  const kind = energies.find(description);
  return kind !== undefined && kind.restore === undefined;
}

/**
 * The energy of a description that holds all of it.
 *
 * @throws ArgumentError when it describes none.
 */
export function energyFrom(description: EnergyDescription): Energy {
  if (description?.kind === "sum")
    return make(...description.terms.map((term): [Energy, number] => [energyFrom(term.energy), term.weight]));
  const restored = energies.find(description)?.restore?.(description);
  if (!restored)
    throw invalid("energy", `the description of an energy: one of ${energies.known}`, description);
  return restored;
}

/** The energy that a configuration describes. @throws ArgumentError, FileError for a file that cannot be read */
export async function energyFromSpec(spec: EnergySpec): Promise<Energy> {
  if (spec.kind !== "sum") return energies.of(spec).build(spec);
  const terms = spec.terms.map(async ({ energy, weight = 1 }): Promise<[Energy, number]> => [
    await energyFromSpec(energy),
    weight,
  ]);
  return make(...(await Promise.all(terms)));
}
