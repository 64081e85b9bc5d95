import type { Mutation } from "../mutations.js";
import { linear } from "./linear.js";
import { losses } from "./losses.js";
import { optimiser } from "./optimiser.js";
import { random } from "./random.js";
import { rows } from "./rows.js";
import { samplers } from "./samplers.js";

/** All of them, spread over every kernel and every header that kernels share. */
export const mutations: readonly Mutation[] = [
  ...linear,
  ...losses,
  ...optimiser,
  ...random,
  ...rows,
  ...samplers,
];
