/** Fourier transforms, grids, patches, crops, determinants, cumulative products and losses. */
import type { AttributeValue } from "../../lib/onnx/attributes.js";
import { differentiateGraph, Builder, emptyGraph, type Dim } from "../../lib/onnx/index.js";
import assert from "node:assert/strict";
import { checkGradient, newestOpset, type Case, type InputSpec } from "../support/operators.js";
import { uniform } from "../support/numbers.js";

type Attributes = Record<string, AttributeValue>;

const int64 = (dims: Dim[], values: number[]): InputSpec => ({ dims, type: "int64", values: () => values });
const away: InputSpec["values"] = (next, count) => uniform(next, count, 0.5, 1.5);

interface Fourier {
  length?: number;
  axis?: number;
  attributes?: Attributes;
}

function dft(dims: Dim[], { length, axis, attributes = {} }: Fourier, opset: number): Case {
  return {
    name: `DFT of ${JSON.stringify(dims)} ${JSON.stringify([length, axis, attributes])} at operator set ${opset}`,
    opset,
    inputs: { x: { dims } },
    build: (b, { x }) => {
      const n = length === undefined ? null : b.int(length);
      const y =
        opset >= 20
          ? b.op("DFT", [x!, n, axis === undefined ? null : b.int(axis)], attributes)
          : b.op("DFT", [x!, n], { ...attributes, ...(axis === undefined ? {} : { axis }) });
      return b.op("Mul", [y, y]);
    },
  };
}

const transforms: Case[] = [18, 20, newestOpset].flatMap((opset) => [
  dft(["batch", 5, 1], { axis: 1 }, opset),
  dft(["batch", 6, 2], { axis: 1 }, opset),
  dft(["batch", 6, 2], { axis: 1, attributes: { inverse: 1 } }, opset),
  dft(["batch", 5, 1], { axis: 1, attributes: { onesided: 1 } }, opset),
  dft(["batch", 6, 1], { axis: 1, attributes: { onesided: 1 } }, opset),
  dft(["batch", 5, 1], { axis: 1, length: 8 }, opset),
  dft(["batch", 5, 2], { axis: 1, length: 3 }, opset),
  dft(["batch", 3, 4, 2], { axis: 1, attributes: { inverse: 1 } }, opset),
  dft(["batch", 4, 1], {}, opset),
]);
transforms.push(
  ...[0, 1].map((onesided): Case => ({
    name: `STFT with a window, onesided ${onesided}`,
    inputs: { x: { dims: ["batch", 11, 1] }, w: { dims: [4] } },
    build: (b, { x, w }) => {
      const y = b.op("STFT", [x!, b.int(3), w!], { onesided });
      return b.op("Mul", [y, y]);
    },
  })),
  {
    name: "STFT without a window",
    inputs: { x: { dims: ["batch", 8, 1] } },
    build: (b, { x }) => {
      const y = b.op("STFT", [x!, b.int(2), null, b.int(4)]);
      return b.op("Mul", [y, y]);
    },
  },
);

const geometry: Case[] = [
  ...[0, 1].flatMap((align_corners): Case[] => [
    {
      name: `AffineGrid 2-D, align_corners ${align_corners}`,
      opset: 20,
      inputs: { theta: { dims: ["batch", 2, 3] } },
      build: (b, { theta }) =>
        b.op("Exp", [
          b.op(
            "AffineGrid",
            [theta!, b.op("Concat", [b.sizes(theta!, [0]), b.ints([3, 2, 4])], { axis: 0 })],
            { align_corners },
          ),
        ]),
    },
    {
      name: `AffineGrid 3-D, align_corners ${align_corners}`,
      opset: newestOpset,
      inputs: { theta: { dims: [2, 3, 4] } },
      build: (b, { theta }) =>
        b.op("Sin", [b.op("AffineGrid", [theta!, b.ints([2, 1, 2, 4, 3])], { align_corners })]),
    },
  ]),
  {
    name: "a spatial transformer: AffineGrid and GridSample",
    opset: 20,
    inputs: {
      x: { dims: [1, 2, 5, 4] },
      theta: { dims: [1, 2, 3], values: () => [0.7, 0.2, 0.05, -0.17, 0.8, -0.1] },
    },
    build: (b, { x, theta }) => b.op("GridSample", [x!, b.op("AffineGrid", [theta!, b.ints([1, 2, 3, 3])])]),
  },
  ...(
    [
      [[4, 5], [2, 2], [1, 12], {}],
      [[5, 4], [2, 3], [2, 9], { strides: [2, 1], pads: [1, 0, 0, 1] }],
      [[5, 6], [2, 2], [1, 12], { dilations: [2, 2] }],
      [[7], [3], [2, 3], { strides: [2] }],
    ] as [number[], number[], [number, number], Attributes][]
  ).map(([image, block, [channels, patches], attributes]): Case => ({
    name: `Col2Im ${JSON.stringify([image, block, attributes])}`,
    inputs: { x: { dims: ["batch", channels * block.reduce((p, q) => p * q, 1), patches] } },
    build: (b, { x }) => {
      const y = b.op("Col2Im", [x!, b.ints(image), b.ints(block)], attributes);
      return b.op("Mul", [y, y]);
    },
  })),
  ...(
    [
      [[5, 4], [3, 7], undefined],
      [[4, 5], [7, 2], undefined],
      [
        ["batch", 5, 6],
        [8, 3],
        [1, 2],
      ],
      [
        ["batch", 3, 4],
        [6, 5],
        [-1, -2],
      ],
    ] as [Dim[], number[], number[] | undefined][]
  ).map(([dims, target, axes]): Case => ({
    name: `CenterCropPad of ${JSON.stringify(dims)} to ${JSON.stringify(target)}, axes ${JSON.stringify(axes)}`,
    inputs: { x: { dims } },
    build: (b, { x }) => b.op("Exp", [b.op("CenterCropPad", [x!, b.ints(target)], axes ? { axes } : {})]),
  })),
  {
    name: "CenterCropPad to sizes known at run time",
    inputs: { x: { dims: ["batch", "batch", 2] }, size: int64([2], [2, 3]) },
    build: (b, { x, size }) => b.op("Exp", [b.op("CenterCropPad", [x!, size!], { axes: [1, 2] })]),
  },
];

const products: Case[] = [
  ...[1, 2, 3, 4].map((n): Case => ({
    name: `Det of ${n} × ${n}`,
    inputs: { x: { dims: ["batch", 2, n, n] } },
    build: (b, { x }) => b.op("Det", [x!]),
  })),
  {
    name: "Det of a matrix of rank 1 and of zeros",
    inputs: {
      x: { dims: [2, 3, 3], values: () => [1, 2, 3, 2, 4, 6, -1, -2, -3, 0, 0, 0, 0, 0, 0, 0, 0, 0] },
    },
    build: (b, { x }) => b.op("Det", [x!]),
  },
  ...[0, 1].flatMap((exclusive) =>
    [0, 1].map((reverse): Case => ({
      name: `CumProd exclusive ${exclusive} reverse ${reverse}`,
      opset: newestOpset,
      inputs: { x: { dims: ["batch", 5, 2], values: away } },
      build: (b, { x }) => b.op("CumProd", [x!, b.int(-2)], { exclusive, reverse }),
    })),
  ),
  {
    name: "CumProd with zeros",
    opset: newestOpset,
    inputs: { x: { dims: [3, 4], values: () => [1.5, 0, 2, 3, 0, 2, 0, -1, 1, 2, 3, 0] } },
    build: (b, { x }) => b.op("CumProd", [x!, b.int(1)]),
  },
  {
    name: "Range from and by numbers that depend on the input",
    inputs: { x: { dims: [], values: () => [0.3] }, d: { dims: [], values: () => [0.4] } },
    build: (b, { x, d }, float) => {
      const y = b.op("Range", [x!, b.constant([2.2], [], float), d!]);
      return b.op("Exp", [y]);
    },
  },
  {
    name: "Unique of elements that occur twice",
    inputs: { x: { dims: [2, 3] } },
    // Both of two equal elements move, or they would be different.
    build: (b, { x }) => b.op("Exp", [b.ops("Unique", [b.op("Concat", [x!, x!], { axis: 0 })], 1)[0]!]),
  },
  {
    name: "Unique rows",
    inputs: { x: { dims: [4, 3] } },
    build: (b, { x }) =>
      b.op("Exp", [b.ops("Unique", [b.op("Concat", [x!, x!], { axis: 0 })], 1, { axis: 0 })[0]!]),
  },
];

const labels = int64([3], [2, 0, 1]);
const pixels = int64([2, 2, 2], [1, 0, 2, 1, 0, 0, 1, 2]);
const losses: Case[] = ["mean", "sum", "none"].flatMap((reduction): Case[] => [
  ...["SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"].flatMap((opType): Case[] => [
    {
      name: `${opType} ${reduction}`,
      inputs: { x: { dims: [3, 4] }, labels },
      build: (b, { x, labels }) => b.op(opType, [x!, labels!], { reduction }),
    },
    {
      name: `${opType} ${reduction} of pixels, weighted, some ignored`,
      inputs: { x: { dims: [2, 3, 2, 2] }, labels: pixels, w: { dims: [3], values: away } },
      build: (b, { x, labels, w }) => {
        const y = b.op(opType, [x!, labels!, w!], { reduction, ignore_index: 1 });
        return b.op("Mul", [y, y]);
      },
    },
  ]),
  {
    name: `SoftmaxCrossEntropyLoss ${reduction} with its logarithms`,
    inputs: { x: { dims: [3, 4] }, labels },
    build: (b, { x, labels }) => b.ops("SoftmaxCrossEntropyLoss", [x!, labels!], 2, { reduction }),
  },
]);

describe("onnx rules: transforms, geometry and losses", () => {
  for (const spec of [...transforms, ...geometry, ...products, ...losses])
    it(spec.name, () => checkGradient(spec));

  it("a determinant of a large matrix is refused", () => {
    const b = new Builder(emptyGraph("large"));
    b.output("y", b.op("Det", [b.input("x", 1, [9, 9])]));
    assert.throws(() => differentiateGraph(b.graph), { code: "ERR_NO_GRADIENT", message: /larger than 8/ });
  });
});
