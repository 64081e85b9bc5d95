/** The index of priors over one input of a generator. */
import { ArgumentError } from "../../base/errors.js";
import { Kinds, type Made } from "../../base/kinds.js";
import { factorisedKinds } from "./factorised.js";
import type { GroupKind } from "./kind.js";
import { mapped } from "./mapped.js";
import { table } from "./table.js";

export const groupKinds = { ...factorisedKinds, table, mapped };

/** A prior over one input of a generator. */
export type GroupLatent = Made<typeof groupKinds>;

type Kind = (typeof groupKinds)[keyof typeof groupKinds];

/** What files have for one. */
export type GroupDescription = Parameters<Kind["restore"]>[0];

/** What a configuration has for one. */
export type GroupLatentSpec = Parameters<Kind["build"]>[0];

export const groups = new Kinds<GroupKind<GroupLatent, GroupDescription, GroupLatentSpec>>(
  "latent",
  groupKinds,
);

/** @throws ArgumentError unless it is one of these; its options are checked again */
export function checkGroup(name: string, value: unknown): GroupLatent {
  const kind = groups.find(value);
  if (!kind) throw new ArgumentError(`${name}: expected one of ${groups.known}`);
  return kind.check(name, value as GroupLatent);
}
