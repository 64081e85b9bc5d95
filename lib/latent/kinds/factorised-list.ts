/** Priors that have a density. A new one is a file beside this one, and its line here. */
export { normal } from "./normal.js";
export { truncatedNormal } from "./truncated-normal.js";
export { uniform } from "./uniform.js";
