/** Priors over one input of a generator. */
export * from "./factorised-list.js";
export { label } from "./label.js";
export { mapped } from "./mapped.js";
export { table } from "./table.js";
