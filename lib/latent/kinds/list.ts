/** All priors. */
export * from "./group-list.js";
export { hierarchical } from "./hierarchical.js";
export { product } from "./product.js";
