/** The index of priors that have a density. A new one is a file beside this one, and its line here. */
import { ArgumentError } from "../../base/errors.js";
import { Kinds, type Made } from "../../base/kinds.js";
import type { Density, FactorisedKind } from "./kind.js";
import { normal } from "./normal.js";
import { truncatedNormal } from "./truncated-normal.js";
import { uniform } from "./uniform.js";

export const factorisedKinds = { normal, truncatedNormal, uniform };

/** A factorised prior over `dim` numbers. Plain data: it can be compared, logged and stored. */
export type SimpleLatent = Made<typeof factorisedKinds>;

type Kind = (typeof factorisedKinds)[keyof typeof factorisedKinds];

/** What a configuration has for one. */
export type SimpleLatentSpec = Parameters<Kind["build"]>[0];

export const factorised = new Kinds<FactorisedKind<SimpleLatent, SimpleLatentSpec>>(
  "latent",
  factorisedKinds,
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
