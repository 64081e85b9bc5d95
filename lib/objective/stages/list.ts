/** Stages. A new one is a file beside this one, and its line here. */
export { affine } from "./affine.js";
export { channels } from "./channels.js";
export { clamp } from "./clamp.js";
export { clip } from "./clip.js";
export { crop } from "./crop.js";
export { fromOnnx } from "./onnx.js";
export { grayscale } from "./grayscale.js";
export { normalize } from "./normalize.js";
export { pad } from "./pad.js";
export { reshape } from "./reshape.js";
export { resize } from "./resize.js";
export { transpose } from "./transpose.js";
