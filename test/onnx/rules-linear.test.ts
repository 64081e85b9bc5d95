import { checkGradient, type Case } from "../support/operators.js";
import type { Dim } from "../../lib/onnx/index.js";

function matmul(a: Dim[], c: Dim[]): Case {
  return {
    name: `MatMul ${JSON.stringify(a)} ${JSON.stringify(c)}`,
    inputs: { a: { dims: a }, c: { dims: c } },
    build: (b, x) => b.op("MatMul", [x.a!, x.c!]),
    tolerance: 1e-6,
  };
}

function gemm(transA: number, transB: number, bias: Dim[] | null, alpha = 1, beta = 1): Case {
  return {
    name: `Gemm transA ${transA} transB ${transB} C ${JSON.stringify(bias)} alpha ${alpha} beta ${beta}`,
    inputs: {
      a: { dims: transA ? [4, "batch"] : ["batch", 4] },
      c: { dims: transB ? [3, 4] : [4, 3] },
      ...(bias ? { bias: { dims: bias } } : {}),
    },
    build: (b, x) => b.op("Gemm", [x.a!, x.c!, x.bias ?? null], { transA, transB, alpha, beta }),
  };
}

/** A product with an operand turned, whose adjoint is turned as an operand of another product. */
function turned(which: "a" | "c", dims: Dim[], perm: number[]): Case {
  return {
    name: `MatMul with ${which} turned, ${JSON.stringify(dims)}`,
    inputs: {
      a: { dims: which === "a" ? dims : ["batch", 3, 5] },
      c: { dims: which === "c" ? dims : ["batch", 5, 3] },
    },
    build: (b, x) => {
      const t = b.op("Transpose", [x[which]!], { perm });
      return b.op("MatMul", which === "a" ? [t, x.c!] : [x.a!, t]);
    },
    tolerance: 1e-6,
  };
}

interface ConvSpec {
  name: string;
  x: Dim[];
  w: Dim[];
  bias?: boolean;
  attributes?: Record<string, number | number[] | string>;
  /** The adjoint of the kernel is a Conv by a kernel of unknown size, which has no gradient of its own. */
  once?: boolean;
}

function conv(opType: string, spec: ConvSpec, frozen: boolean): Case {
  const group = (spec.attributes?.group as number | undefined) ?? 1;
  const outputs = opType === "Conv" ? (spec.w[0] as number) : (spec.w[1] as number) * group;
  const scaled = (next: () => number, count: number): Float64Array =>
    Float64Array.from({ length: count }, () => next() - 0.5);
  return {
    name: `${opType} ${spec.name}${frozen ? ", frozen kernel" : ""}`,
    inputs: {
      x: { dims: spec.x, values: scaled },
      ...(frozen ? {} : { w: { dims: spec.w, values: scaled } }),
      ...(spec.bias && !frozen ? { bias: { dims: [outputs], values: scaled } } : {}),
    },
    build: (b, x) => {
      const dims = spec.w as number[];
      const count = dims.reduce((p, q) => p * q, 1);
      const w =
        x.w ??
        b.constant(
          Float32Array.from({ length: count }, (_, i) => Math.sin(3 * i + 1) / 2),
          dims,
          1,
        );
      return b.op(opType, [x.x!, w, x.bias ?? null], spec.attributes ?? {});
    },
    // Linear in every input: a large step has no truncation error.
    step: 0.5,
    tolerance: 1e-5,
    once: !frozen && (spec.once ?? false),
  };
}

function einsum(equation: string, ...operands: Dim[][]): Case {
  const names = ["p", "q", "r"].slice(0, operands.length);
  return {
    name: `Einsum ${equation} ${JSON.stringify(operands)}`,
    inputs: Object.fromEntries(names.map((name, i) => [name, { dims: operands[i]! }])),
    build: (b, x) =>
      b.op(
        "Einsum",
        names.map((name) => x[name]!),
        { equation },
      ),
  };
}

const einsums: Case[] = [
  einsum("ij,jk->ik", ["batch", 3], [3, 4]),
  einsum("bhqd,bhkd->bhqk", ["batch", 2, 3, 4], ["batch", 2, 5, 4]),
  einsum("nchw,nkc->nkhw", ["batch", 3, 2, 2], ["batch", 4, 3]),
  einsum("ij,jk", ["batch", 3], [3, 4]),
  einsum("ij->ji", ["batch", 3]),
  einsum("ij->j", ["batch", 3]),
  einsum("ij->", ["batch", 3]),
  einsum("i,j->ij", ["batch"], [3]),
  einsum("ij,kj->k", ["batch", 3], [2, 3]),
  einsum("...ij,...jk->...ik", ["batch", 2, 3, 4], ["batch", 2, 4, 3]),
  einsum("...ij,jk->...ik", ["batch", 3, 4], [4, 3]),
  einsum("i...->...", [3, "batch", 2]),
  einsum("...i,...i->...", ["batch", 3], ["batch", 3]),
  einsum("ii->i", [3, 3]),
  einsum("ii->", [3, 3]),
  einsum("bii,bi->bi", ["batch", 3, 3], ["batch", 3]),
  einsum("bij,bjk,bk->bi", ["batch", 2, 3], ["batch", 3, 4], ["batch", 4]),
  {
    name: "Einsum of one tensor with itself",
    inputs: { x: { dims: ["batch", 3] } },
    build: (b, { x }) => b.op("Einsum", [x!, x!], { equation: "bi,bi->b" }),
  },
];

const convs: ConvSpec[] = [
  { name: "3×3", x: ["batch", 2, 5, 4], w: [3, 2, 3, 3], bias: true },
  { name: "3×3 same padding", x: ["batch", 2, 5, 4], w: [3, 2, 3, 3], attributes: { pads: [1, 1, 1, 1] } },
  { name: "1×1", x: ["batch", 3, 4, 2], w: [2, 3, 1, 1], bias: true },
  {
    name: "padding beyond the kernel",
    x: ["batch", 1, 4, 4],
    w: [2, 1, 2, 2],
    attributes: { pads: [2, 0, 2, 3] },
  },
  {
    name: "stride 2, sizes that leave a rest",
    x: ["batch", 2, 6, 7],
    w: [2, 2, 3, 3],
    attributes: { strides: [2, 2], pads: [1, 1, 1, 1] },
  },
  {
    name: "stride 3 × 2, uneven padding",
    x: ["batch", 1, 8, 7],
    w: [2, 1, 2, 3],
    attributes: { strides: [3, 2], pads: [0, 1, 2, 0] },
  },
  {
    name: "stride beyond the kernel",
    x: ["batch", 1, 7, 5],
    w: [1, 1, 1, 2],
    attributes: { strides: [3, 3] },
  },
  {
    name: "dilation",
    x: ["batch", 2, 7, 6],
    w: [2, 2, 3, 2],
    attributes: { dilations: [2, 3], pads: [1, 0, 0, 2] },
  },
  {
    name: "dilation and stride",
    x: ["batch", 1, 9, 8],
    w: [2, 1, 3, 2],
    attributes: { dilations: [2, 3], strides: [2, 3] },
  },
  {
    name: "groups",
    x: ["batch", 4, 4, 5],
    w: [6, 2, 3, 2],
    bias: true,
    attributes: { group: 2, pads: [1, 0, 1, 1] },
  },
  {
    name: "depthwise, stride 2",
    x: ["batch", 3, 5, 6],
    w: [3, 1, 3, 3],
    attributes: { group: 3, strides: [2, 2], pads: [1, 1, 1, 1] },
  },
  { name: "1-D", x: ["batch", 2, 9], w: [3, 2, 4], bias: true, attributes: { strides: [2], pads: [1, 2] } },
  {
    name: "3-D",
    x: ["batch", 1, 3, 4, 3],
    w: [2, 1, 2, 3, 2],
    attributes: { strides: [1, 2, 1], pads: [0, 1, 1, 1, 0, 0] },
  },
  {
    name: "auto_pad SAME_UPPER stride 2",
    x: ["batch", 1, 5, 6],
    w: [2, 1, 3, 4],
    attributes: { auto_pad: "SAME_UPPER", strides: [2, 2] },
  },
  {
    name: "auto_pad SAME_LOWER",
    x: ["batch", 1, 5, 6],
    w: [2, 1, 2, 4],
    attributes: { auto_pad: "SAME_LOWER" },
  },
  { name: "auto_pad VALID", x: ["batch", 1, 5, 6], w: [2, 1, 2, 4], attributes: { auto_pad: "VALID" } },
  {
    name: "symbolic height and width, stride 2",
    x: ["batch", 1, "h", "w"],
    w: [1, 1, 1, 1],
    attributes: { strides: [2, 2] },
    once: true,
  },
  {
    name: "symbolic height, padded, stride 2",
    x: [2, 1, "batch", 6],
    w: [2, 1, 2, 3],
    attributes: { strides: [2, 2], pads: [1, 1, 1, 1] },
    once: true,
  },
  {
    name: "modulated, the batch fused into the groups",
    x: [1, 6, 5, 4],
    w: [6, 2, 3, 3],
    attributes: { group: 3, pads: [1, 1, 1, 1] },
  },
  {
    name: "depthwise, a multiplier, dilation",
    x: ["batch", 2, 7, 6],
    w: [6, 1, 3, 2],
    bias: true,
    attributes: { group: 2, dilations: [2, 3], pads: [2, 1, 0, 2] },
  },
  {
    name: "1-D in groups, dilation, stride",
    x: ["batch", 4, 11],
    w: [2, 2, 3],
    bias: true,
    attributes: { group: 2, dilations: [2], strides: [2], pads: [1, 2] },
  },
  {
    name: "3-D depthwise, stride, dilation",
    x: ["batch", 2, 5, 4, 3],
    w: [2, 1, 2, 3, 2],
    attributes: { group: 2, strides: [2, 1, 1], dilations: [2, 1, 1], pads: [1, 1, 0, 0, 1, 1] },
  },
];

const transposed: ConvSpec[] = [
  {
    name: "4×4 stride 2",
    x: ["batch", 2, 3, 2],
    w: [2, 3, 4, 4],
    bias: true,
    attributes: { strides: [2, 2], pads: [1, 1, 1, 1] },
  },
  { name: "stride 1", x: ["batch", 3, 1, 1], w: [3, 2, 3, 3] },
  {
    name: "output padding",
    x: ["batch", 2, 3, 2],
    w: [2, 1, 3, 3],
    attributes: { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 1] },
  },
  {
    name: "groups",
    x: ["batch", 4, 2, 3],
    w: [4, 2, 2, 3],
    bias: true,
    attributes: { group: 2, strides: [2, 1] },
  },
  {
    name: "dilation",
    x: ["batch", 1, 3, 3],
    w: [1, 2, 3, 2],
    attributes: { dilations: [2, 1], strides: [2, 3] },
  },
  { name: "1-D", x: ["batch", 2, 4], w: [2, 2, 3], attributes: { strides: [3], output_padding: [2] } },
  {
    name: "auto_pad SAME_UPPER",
    x: ["batch", 1, 3, 3],
    w: [1, 2, 3, 4],
    attributes: { auto_pad: "SAME_UPPER", strides: [2, 2] },
  },
  {
    name: "auto_pad SAME_LOWER",
    x: ["batch", 1, 3, 3],
    w: [1, 2, 3, 4],
    attributes: { auto_pad: "SAME_LOWER", strides: [2, 2] },
  },
  {
    name: "output_shape",
    x: ["batch", 1, 3, 3],
    w: [1, 2, 4, 3],
    attributes: { strides: [2, 2], output_shape: [5, 6] },
  },
  { name: "3-D", x: ["batch", 1, 2, 2, 3], w: [1, 2, 2, 2, 1], attributes: { strides: [2, 1, 2] } },
  {
    name: "3-D in groups with output padding",
    x: ["batch", 2, 2, 2, 3],
    w: [2, 1, 3, 2, 2],
    bias: true,
    attributes: { group: 2, strides: [2, 1, 3], pads: [1, 0, 0, 1, 1, 1], output_padding: [1, 0, 2] },
  },
  {
    name: "modulated, the batch fused into the groups, stride 2",
    x: [1, 4, 3, 3],
    w: [4, 3, 3, 3],
    attributes: { group: 2, strides: [2, 2] },
  },
  {
    name: "auto_pad VALID, dilation",
    x: ["batch", 1, 3, 4],
    w: [1, 2, 2, 3],
    attributes: { auto_pad: "VALID", strides: [2, 1], dilations: [1, 2] },
  },
  {
    name: "output_shape, uneven padding behind",
    x: ["batch", 1, 3, 3],
    w: [1, 2, 4, 3],
    attributes: { strides: [2, 2], output_shape: [5, 6], auto_pad: "SAME_UPPER" },
  },
];

const cases: Case[] = [
  turned("a", ["batch", 5, 3], [0, 2, 1]),
  turned("c", ["batch", 3, 5], [0, 2, 1]),
  turned("c", ["batch", 5, 3], [0, 1, 2]),
  turned("c", [3, 5], [1, 0]),
  turned("a", [5, 3], [1, 0]),
  matmul([3, 4], [4, 2]),
  matmul(["batch", 4], [4, 2]),
  matmul(["batch", 3, 4], [4, 2]),
  matmul(["batch", 2, 3, 4], [4, 5]),
  matmul(["batch", 3, 4], ["batch", 4, 2]),
  matmul([3, 4], ["batch", 4, 2]),
  matmul(["batch", 1, 3, 4], [2, 4, 2]),
  matmul(["batch", 1, 2, 3], [2, 3, 1]),
  matmul([4], [4]),
  matmul([4], [4, 3]),
  matmul(["batch", 4], [4]),
  matmul(["batch", 2, 4], [4]),
  matmul([4], ["batch", 4, 2]),
  ...[0, 1].flatMap((transA) => [0, 1].map((transB) => gemm(transA, transB, [3], 0.7, 1.3))),
  gemm(0, 0, null),
  gemm(0, 1, ["batch", 3]),
  gemm(0, 1, [1, 3]),
  gemm(1, 0, ["batch", 1], 2, 0.5),
  gemm(0, 0, []),
  ...einsums,
  ...convs.flatMap((spec) => [conv("Conv", spec, false), conv("Conv", spec, true)]),
  ...transposed.flatMap((spec) => [conv("ConvTranspose", spec, false), conv("ConvTranspose", spec, true)]),
];

describe("onnx rules: matrix products and convolutions", () => {
  for (const spec of cases) it(spec.name, () => checkGradient(spec));
});
