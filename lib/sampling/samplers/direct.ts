/** No steps at all. */
import { object, type TypeOf } from "../../options/describe.js";
import { defineSampler } from "../definition.js";
import { start } from "./common.js";

/** @internal */
export const directOptions = object({
  start: { ...start, more: '"prior" for unconditional samples.' },
});

/** Options of the sampler without steps. */
export type DirectOptions = TypeOf<typeof directOptions>;

/** @internal */
export const direct = defineSampler({
  kind: "direct",
  is: "Takes no steps: samples are the starting points.",
  options: directOptions,
  start: (options) => options.start,
  kernel: "none",
  priorWeight: 1,
});
