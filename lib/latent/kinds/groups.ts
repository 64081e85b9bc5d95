/** Priors over one input of a generator. */
import { ArgumentError } from "../../base/errors.js";
import { Family, type Made, type Specs } from "../../options/family.js";
import * as list from "./group-list.js";
import type { GroupKind } from "./kind.js";

/** A prior over one input of a generator. */
export type GroupLatent = Made<typeof list>;

/** What files have for one. */
export type GroupDescription = Parameters<(typeof list)[keyof typeof list]["restore"]>[0];

/** What a configuration has for one. */
export type GroupLatentSpec = Specs<typeof list>;

export const groups = new Family<GroupKind<GroupLatent, GroupDescription, GroupLatentSpec>, GroupLatentSpec>(
  "latent",
  list,
);

/** @throws ArgumentError unless it is one of these; its options are checked again */
export function checkGroup(name: string, value: unknown): GroupLatent {
  const kind = groups.find(value);
  if (!kind) throw new ArgumentError(`${name}: expected one of ${groups.known}`);
  return kind.check(name, value as GroupLatent);
}
