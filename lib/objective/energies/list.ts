/** Energies that are no sums of others. A new one is a file beside this one, and its line here. */
export { cosine } from "./cosine.js";
export { crossEntropy } from "./cross-entropy.js";
export { fromOnnx } from "./onnx.js";
export { prior } from "./prior.js";
export { squaredError } from "./squared-error.js";
