/** Energies E(z, c): low where the image G(z) satisfies the condition c. What a kind of energy is stands in its file in energies/. */
import { factories, type Factories } from "../base/kinds.js";
import { energyKinds } from "./energies/index.js";
import { sum } from "./energies/sum.js";

const kinds = { ...energyKinds, sum };

export const energy: Factories<typeof kinds> = factories(kinds);

export type { CosineEnergy } from "./energies/cosine.js";
export type { CrossEntropyEnergy } from "./energies/cross-entropy.js";
export type { ConditionKind } from "./energies/kind.js";
export type { OnnxEnergy } from "./energies/onnx.js";
export type { PriorEnergy } from "./energies/prior.js";
export type { SquaredErrorEnergy } from "./energies/squared-error.js";
export {
  checkEnergy,
  describeEnergy,
  energyFrom,
  energyFromSpec,
  flatten,
  flattenComplete,
  mustBeGiven,
  type Energy,
  type EnergyDescription,
  type EnergySpec,
  type EnergyTerm,
  type FlatEnergy,
  type SumEnergy,
} from "./energies/sum.js";
