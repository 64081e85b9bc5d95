/** Options that many calls have. */
import { checkFunction, checkSignal, randomSeed } from "../base/check.js";
import { byHand, integer, option } from "./describe.js";

/** Seeds are integers 0 … 2⁵³ − 1. */
export const seedShape = integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

/** Drawn where nobody says one. */
export const drawnSeed = { from: randomSeed, words: "random" };

/** Why sections of a configuration file have no seed. */
export const ofTheDocument = "the document's `seed`";

export const signal = option(byHand<AbortSignal>("AbortSignal", checkSignal), "aborts the call");

/** A function that is called with reports of a type. */
export const listener = <T>(type: string, is: string) =>
  option(byHand<(progress: T) => void>(`(progress: ${type}) => void`, checkFunction), is);
