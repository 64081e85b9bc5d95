/** Priors that have a density. */
import { ArgumentError } from "../../base/errors.js";
import { Family, type Made, type Specs } from "../../options/family.js";
import * as list from "./factorised-list.js";
import type { Density, FactorisedKind } from "./kind.js";

/** A factorised prior over `dim` numbers. Plain data: it can be compared, logged and stored. */
export type SimpleLatent = Made<typeof list>;

/** What a configuration has for one. */
export type SimpleLatentSpec = Specs<typeof list>;

export const factorised = new Family<FactorisedKind<SimpleLatent, SimpleLatentSpec>, SimpleLatentSpec>(
  "latent",
  list,
);

/** @throws ArgumentError unless it is one of these */
export function checkSimple(name: string, value: unknown): SimpleLatent {
  const kind = factorised.find(value);
  if (!kind) throw new ArgumentError(`${name}: expected one of ${factorised.known}`);
  return kind.check(name, value as SimpleLatent);
}

export function densityOf(latent: SimpleLatent): Density {
  return factorised.of(latent).density(latent);
}

/** One on a command line, its word and numbers; null where they mean none. */
export function readFactorised([word, ...parts]: readonly string[]): SimpleLatentSpec | null {
  const kind = factorised.all().find(({ spelling }) => spelling.word === word);
  const options = kind?.spelling.read(parts);
  return options ? ({ kind: kind!.kind, ...options } as SimpleLatentSpec) : null;
}
