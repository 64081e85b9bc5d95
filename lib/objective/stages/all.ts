/** All that callers make stages by. */
export * from "./list.js";
export { scale } from "./scale.js";
