/** The index of energies that are no sums of others. A new one is a file beside this one, and its line here. */
import { Kinds, type Made } from "../../base/kinds.js";
import { cosine } from "./cosine.js";
import { crossEntropy } from "./cross-entropy.js";
import type { EnergyKind } from "./kind.js";
import { fromOnnx } from "./onnx.js";
import { prior } from "./prior.js";
import { squaredError } from "./squared-error.js";

export const energyKinds = { crossEntropy, cosine, squaredError, prior, fromOnnx };

/** An energy that is no sum. */
export type PlainEnergy = Made<typeof energyKinds>;

type Kind = (typeof energyKinds)[keyof typeof energyKinds];

/** What files have for one. */
export type PlainDescription = ReturnType<Kind["describe"]>;

/** What a configuration has for one. */
export type PlainEnergySpec = Parameters<Kind["build"]>[0];

export const energies = new Kinds<EnergyKind<PlainEnergy, PlainDescription, PlainEnergySpec>>(
  "energy",
  energyKinds,
);
