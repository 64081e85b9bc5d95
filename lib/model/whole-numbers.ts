/** Encoders whose inputs or outputs are whole numbers, such as images of bytes. */
import { shapeText } from "../base/check.js";
import type { Decisions } from "../base/decisions.js";
import { ArgumentError } from "../base/errors.js";
import { OnnxModel, type LoadedModel } from "./model.js";
import { wholeRanges } from "../onnx/index.js";
import type { Tensor } from "../base/tensor.js";

/** Images of fewer whole numbers than this are no images any more. */
const fewestSteps = 8;

/**
 * An encoder that takes or gives whole numbers, with its edges in float32. Images that are rounded must be spread over those
 * numbers, which only their maker knows: nothing is scaled here.
 */
export function ofWholeNumbers(
  role: "encoder" | "pairEncoder",
  model: LoadedModel,
  wanted: string | undefined,
  images: Tensor,
  decisions: Decisions,
): LoadedModel {
  const [input] = model.inputs;
  const output =
    wanted === undefined && model.outputs.length > 1
      ? undefined
      : model.outputs.find(({ name }) => (wanted ?? name) === name);
  const range = wholeRanges.get(input?.type ?? "");
  if (!(model instanceof OnnxModel) || !(range || (output && wholeRanges.has(output.type)))) return model;
  if (range && model.inputs.length === 1) {
    const [low, high] = [
      images.data.reduce((p, q) => Math.min(p, q)),
      images.data.reduce((p, q) => Math.max(p, q)),
    ];
    if (high - low < fewestSteps || low < range[0] - 0.5 || high > range[1] + 0.5)
      throw new ArgumentError(
        `${role}: ${model.name} takes whole numbers (${input!.name} ${shapeText(input!.shape)} of ${input!.type}), and images that reach ` +
          `from ${low.toPrecision(3)} to ${high.toPrecision(3)} would be rounded to almost nothing. Add a stage that scales them, such as ` +
          "preprocess: [stage.scale([-1, 1], [0, 255])] (on the command line --affine 127.5,127.5) for a generator of images in [-1, 1]",
        { code: "ERR_SHAPE_MISMATCH" },
      );
    decisions.add({
      option: role,
      value: "images are rounded to whole numbers",
      reason: `${input!.name} of ${model.name} is ${input!.type}`,
      certain: true,
    });
  }
  return model.withFloatEdges();
}
