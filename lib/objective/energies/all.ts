/** All energies. */
export * from "./list.js";
export { sum } from "./sum.js";
