/** Energies that are no sums of others. */
import { Family, type Made, type Specs } from "../../options/family.js";
import type { EnergyKind } from "./kind.js";
import * as list from "./list.js";

/** An energy that is no sum. */
export type PlainEnergy = Made<typeof list>;

/** What files have for one. */
export type PlainDescription = ReturnType<(typeof list)[keyof typeof list]["describe"]>;

/** What a configuration has for one. */
export type PlainEnergySpec = Specs<typeof list>;

export const energies = new Family<
  EnergyKind<PlainEnergy, PlainDescription, PlainEnergySpec>,
  PlainEnergySpec
>("energy", list);
