/** The forms that gradients and rewrites emit beyond an operator's plainest use, each as a model of its own. */
import { Builder, emptyGraph, type Graph } from "../../lib/onnx/index.js";

type Input = (...dims: number[]) => string;
type Make = (b: Builder, input: Input) => string | string[];

/** As docs/operators.md calls them. */
const forms: Record<string, Make> = {
  "Conv, rotated kernel (gradient of a Conv)": (b, x) => {
    const turned = b.op("Transpose", [x(8, 4, 3, 3)], { perm: [1, 0, 2, 3] });
    const ends = b.ints([-(2 ** 31), -(2 ** 31)]);
    const kernel = b.op("Slice", [turned, b.ints([-1, -1]), ends, b.ints([2, 3]), b.ints([-1, -1])]);
    return b.op("Conv", [x(2, 8, 5, 5), kernel], { pads: [1, 1, 1, 1] });
  },
  "Conv with dilations (gradient of a kernel)": (b, x) =>
    b.op("Conv", [x(4, 2, 9, 9), x(8, 2, 4, 4)], { dilations: [2, 2], pads: [1, 1, 1, 1] }),
  "Conv of 6 channels to 4": (b, x) => b.op("Conv", [x(2, 6, 5, 5), x(4, 6, 3, 3)], { pads: [1, 1, 1, 1] }),
  "Conv in groups": (b, x) => b.op("Conv", [x(2, 8, 5, 5), x(16, 4, 3, 3)], { group: 2 }),
  "Conv, depthwise": (b, x) => b.op("Conv", [x(2, 6, 5, 5), x(6, 1, 3, 3)], { group: 6 }),
  "Conv, 1-D": (b, x) => b.op("Conv", [x(2, 4, 9), x(8, 4, 3)], { pads: [1, 1] }),
  "Conv, 3-D": (b, x) => b.op("Conv", [x(2, 4, 4, 4, 4), x(8, 4, 3, 3, 3)]),
  "Conv, 3-D in groups": (b, x) => b.op("Conv", [x(2, 4, 4, 4, 4), x(4, 2, 3, 3, 3)], { group: 2 }),
  "ConvTranspose with output padding": (b, x) =>
    b.op("ConvTranspose", [x(2, 4, 4, 5), x(4, 8, 3, 3)], {
      strides: [2, 2],
      pads: [1, 1, 1, 1],
      output_padding: [1, 1],
    }),
  "ConvTranspose with uneven pads": (b, x) =>
    b.op("ConvTranspose", [x(2, 4, 4, 5), x(4, 8, 3, 3)], { strides: [2, 2], pads: [0, 1, 1, 0] }),
  "ConvTranspose in groups of 2": (b, x) =>
    b.op("ConvTranspose", [x(2, 4, 4, 5), x(4, 2, 3, 3)], { strides: [2, 2], group: 2 }),
  "ConvTranspose in groups of 1": (b, x) =>
    b.op("ConvTranspose", [x(2, 4, 4, 5), x(4, 1, 3, 3)], { strides: [2, 2], group: 2 }),
  "ConvTranspose, 3-D": (b, x) =>
    b.op("ConvTranspose", [x(1, 2, 3, 3, 3), x(2, 2, 2, 2, 2)], { strides: [2, 2, 2] }),
  "MaxPool with indices": (b, x) =>
    b.ops("MaxPool", [x(2, 3, 4, 6)], 2, { kernel_shape: [2, 2], strides: [2, 2] })[0]!,
  "MaxPool with pads": (b, x) =>
    b.op("MaxPool", [x(2, 3, 5, 6)], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }),
  "AveragePool with pads": (b, x) =>
    b.op("AveragePool", [x(2, 3, 5, 6)], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }),
  "Resize, nearest by whole factors": (b, x) =>
    b.op("Resize", [x(1, 2, 3, 3), null, b.constant([1, 1, 2, 2], [4], 1)], {
      mode: "nearest",
      coordinate_transformation_mode: "asymmetric",
      nearest_mode: "floor",
    }),
  "Resize, linear": (b, x) =>
    b.op("Resize", [x(1, 2, 3, 3), null, b.constant([1, 1, 1.5, 2], [4], 1)], { mode: "linear" }),
  "Resize, cubic": (b, x) =>
    b.op("Resize", [x(1, 2, 4, 4), null, b.constant([1, 1, 1.5, 2], [4], 1)], { mode: "cubic" }),
  "Resize with antialias": (b, x) =>
    b.op("Resize", [x(1, 2, 4, 4), null, b.constant([1, 1, 0.5, 0.5], [4], 1)], {
      mode: "linear",
      antialias: 1,
    }),
  "Slice backwards": (b, x) =>
    b.op("Slice", [x(2, 3, 4), b.ints([-1]), b.ints([-(2 ** 31)]), b.ints([2]), b.ints([-1])]),
  "Pad, negative": (b, x) => b.op("Pad", [x(2, 3, 4), b.ints([0, -1, 1, 0, 0, -2])]),
  "Pad, reflect": (b, x) => b.op("Pad", [x(2, 3, 4), b.ints([0, 1, 1, 0, 0, 2])], { mode: "reflect" }),
  "ScatterElements that adds": (b, x) =>
    b.op("ScatterElements", [x(2, 6), b.constant([0, 0, 3, 5], [2, 2], 7), x(2, 2)], {
      axis: 1,
      reduction: "add",
    }),
  GatherElements: (b, x) =>
    b.op("GatherElements", [x(2, 3), b.constant([0, 1, 1, 0], [2, 2], 7)], { axis: 1 }),
  "Gemm with a turned matrix": (b, x) => b.op("Gemm", [x(3, 5), x(4, 5), x(4)], { transB: 1 }),
  "MatMul with a row of ones (sums)": (b, x) =>
    b.op("MatMul", [x(2, 3, 7), b.constant(new Array<number>(7).fill(1), [7, 1], 1)]),
  "Cast of a comparison": (b, x) => {
    const value = x(2, 3);
    return b.op("Cast", [b.op("Greater", [value, b.scalar(0, value)])], { to: 1 });
  },
};

export const formNames: readonly string[] = Object.keys(forms);

export function formGraph(name: string): Graph {
  const b = new Builder(emptyGraph("form"));
  let inputs = 0;
  const made = forms[name]!(b, (...dims) => b.input(`x${inputs++}`, 1, dims));
  (Array.isArray(made) ? made : [made]).forEach((value, i) => b.output(`y${i}`, value));
  return b.graph;
}
