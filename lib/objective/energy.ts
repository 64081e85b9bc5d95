/** Energies E(z, c): low where the image G(z) satisfies the condition c. What a kind of energy is stands in its file in energies/. */
import { factories, type Factories } from "../options/family.js";
import * as list from "./energies/all.js";

export const energy: Factories<typeof list> = factories(list);

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
  energyInFile,
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
