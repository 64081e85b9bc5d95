/** Stages. A new one is a file beside this one, and its line here. */
export { affine } from "./affine.js";
export { clamp } from "./clamp.js";
export { clip } from "./clip.js";
export { grayscale } from "./grayscale.js";
export { normalize } from "./normalize.js";
export { resize } from "./resize.js";
