/** The samplers. A new one is a file in this folder and its line here. */
import { direct } from "./direct.js";
import { hybrid } from "./hybrid.js";
import { langevin } from "./langevin.js";
import { mala } from "./mala.js";
import { resample } from "./resample.js";

/** @internal */
export const samplers = { resample, mala, langevin, hybrid, direct };
