import type { AttributeValue } from "../../lib/onnx/attributes.js";
import type { Builder, Dim } from "../../lib/onnx/index.js";
import { checkGradient, type Case, type InputSpec } from "../support/operators.js";
import { uniform } from "../support/numbers.js";

type Attributes = Record<string, AttributeValue>;

const mild: InputSpec["values"] = (next, count) => uniform(next, count, -0.5, 0.5);
const positive: InputSpec["values"] = (next, count) => uniform(next, count, 0.5, 1.5);

function pool(
  opType: string,
  name: string,
  dims: Dim[],
  attributes: Attributes,
  more: Partial<Case> = {},
): Case {
  return {
    name: `${opType} ${name}`,
    inputs: { x: { dims } },
    build: (b, { x }) => b.op(opType, [x!], attributes),
    // Piecewise linear; the spaced values are 0.1 apart.
    step: opType.includes("Max") ? 0.04 : 0.5,
    tolerance: 1e-4,
    ...more,
  };
}

const overlapping = { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] };

const pools: Case[] = [
  pool("MaxPool", "2×2", ["batch", 2, 4, 6], { kernel_shape: [2, 2], strides: [2, 2] }),
  pool("MaxPool", "2×2 with a rest", ["batch", 2, 5, 7], { kernel_shape: [2, 2], strides: [2, 2] }),
  pool("MaxPool", "apart, padded", ["batch", 1, 6, 7], {
    kernel_shape: [2, 3],
    strides: [3, 4],
    pads: [1, 1, 0, 1],
  }),
  pool("MaxPool", "overlapping, padded", ["batch", 2, 5, 6], overlapping),
  pool("MaxPool", "ceil", ["batch", 1, 5, 6], { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 }),
  pool("MaxPool", "dilated", ["batch", 1, 6, 7], { kernel_shape: [2, 3], dilations: [2, 2] }),
  pool("MaxPool", "1-D", ["batch", 2, 7], { kernel_shape: [3], strides: [2] }),
  pool("MaxPool", "auto_pad", ["batch", 2, 5, 5], {
    kernel_shape: [3, 3],
    strides: [2, 2],
    auto_pad: "SAME_UPPER",
  }),
  pool("MaxPool", "free height", ["batch", 1, "batch", 6], { kernel_shape: [1, 2], strides: [1, 2] }),
  pool("MaxPool", "column-major indices", ["batch", 1, 4, 6], {
    kernel_shape: [2, 2],
    strides: [2, 2],
    storage_order: 1,
  }),
  pool("AveragePool", "2×2", ["batch", 2, 4, 6], { kernel_shape: [2, 2], strides: [2, 2] }),
  pool("AveragePool", "2×2 with a rest", ["batch", 2, 5, 7], { kernel_shape: [2, 2], strides: [2, 2] }),
  pool("AveragePool", "overlapping, padded", ["batch", 2, 5, 6], overlapping),
  pool("AveragePool", "padding counted", ["batch", 2, 5, 6], { ...overlapping, count_include_pad: 1 }),
  pool("AveragePool", "3×3 stride 1", ["batch", 2, 4, 5], { kernel_shape: [3, 3] }),
  pool(
    "AveragePool",
    "ceil",
    ["batch", 1, 5, 6],
    { kernel_shape: [2, 3], strides: [2, 2], ceil_mode: 1 },
    { opset: 22 },
  ),
  pool(
    "AveragePool",
    "ceil, padding counted",
    ["batch", 1, 6, 6],
    { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 0, 0, 1], ceil_mode: 1, count_include_pad: 1 },
    { opset: 22 },
  ),
  pool(
    "AveragePool",
    "dilated",
    ["batch", 1, 6, 7],
    { kernel_shape: [2, 3], dilations: [2, 2] },
    { opset: 22 },
  ),
  pool("AveragePool", "auto_pad", ["batch", 2, 5, 5], {
    kernel_shape: [2, 3],
    strides: [2, 1],
    auto_pad: "SAME_LOWER",
  }),
  pool("AveragePool", "1-D", ["batch", 2, 7], { kernel_shape: [3], strides: [2], pads: [1, 1] }),
  pool("AveragePool", "free width", ["batch", 1, 4, "batch"], { kernel_shape: [2, 1], strides: [2, 1] }),
  pool("GlobalAveragePool", "", ["batch", 3, 2, 5], {}),
  pool("GlobalAveragePool", "of free sizes", ["batch", 3, "batch", 2], {}),
  pool("GlobalMaxPool", "", ["batch", 3, 2, 5], {}),
  ...[1, 2, 3].flatMap((p) => {
    const smooth = { step: 1e-2, tolerance: 5e-3 };
    return [
      pool("LpPool", `p ${p}`, ["batch", 2, 5, 6], { ...overlapping, p }, smooth),
      pool("GlobalLpPool", `p ${p}`, ["batch", 2, 3, 5], { p }, { ...smooth, opset: 18 }),
    ];
  }),
  pool(
    "LpPool",
    "ceil, dilated",
    ["batch", 1, 8, 7],
    { kernel_shape: [3, 2], strides: [2, 2], dilations: [1, 2], ceil_mode: 1 },
    { step: 1e-2, tolerance: 5e-3 },
  ),
  pool(
    "LpPool",
    "auto_pad",
    ["batch", 1, 5, 5],
    { kernel_shape: [3, 2], strides: [2, 2], auto_pad: "SAME_UPPER" },
    { step: 1e-2, tolerance: 5e-3 },
  ),
  pool(
    "LpPool",
    "1-D",
    ["batch", 2, 7],
    { kernel_shape: [3], strides: [2] },
    { step: 1e-2, tolerance: 5e-3 },
  ),
  pool("MaxPool", "3-D, overlapping", ["batch", 1, 4, 3, 5], { kernel_shape: [2, 2, 3], strides: [1, 2, 2] }),
  pool("AveragePool", "3-D, padded", ["batch", 1, 4, 3, 5], {
    kernel_shape: [2, 2, 3],
    strides: [1, 2, 2],
    pads: [1, 0, 1, 0, 1, 1],
  }),
];

function normalize(
  name: string,
  opType: string,
  dims: Dim[],
  vectors: string[],
  length: number[],
  attributes: Attributes = {},
): Case {
  const inputs: Record<string, InputSpec> = { x: { dims } };
  for (const vector of vectors)
    inputs[vector] = { dims: length, values: vector === "bias" ? mild : positive };
  return {
    name,
    inputs,
    build: (b, all) =>
      b.op(
        opType,
        Object.keys(inputs).map((key) => all[key]!),
        attributes,
      ),
  };
}

/** The same, with everything but x frozen into constants. */
function frozen(spec: Case): Case {
  const build = (b: Builder, { x }: Record<string, string>, float: number): string => {
    const constants: Record<string, string> = { x: x! };
    for (const [key, input] of Object.entries(spec.inputs))
      if (key !== "x") {
        const dims = input.dims as number[];
        const count = dims.reduce((p, q) => p * q, 1);
        constants[key] = b.constant(
          Array.from({ length: count }, (_, i) => 0.6 + 0.25 * i),
          dims,
          float,
        );
      }
    return spec.build(b, constants, float) as string;
  };
  return { ...spec, name: `${spec.name}, frozen`, inputs: { x: spec.inputs.x! }, build };
}

const norms: Case[] = [false, true].flatMap((single): Case[] => {
  const kind = single ? "float32" : "float64";
  const batchNorm = normalize(
    `BatchNormalization ${kind}`,
    "BatchNormalization",
    ["batch", 3, 2, 4],
    ["scale", "bias"],
    [3],
  );
  const withStatistics: Case = {
    ...batchNorm,
    inputs: {
      ...batchNorm.inputs,
      mean: { dims: [3], values: mild, fixed: true },
      var: { dims: [3], values: positive, fixed: true },
    },
    build: (b, i) =>
      b.op("BatchNormalization", [i.x!, i.scale!, i.bias!, i.mean!, i.var!], { epsilon: 1e-3 }),
  };
  const layer = (name: string, length: number[], vectors: string[], attributes: Attributes): Case =>
    normalize(
      `LayerNormalization ${name} ${kind}`,
      "LayerNormalization",
      ["batch", 3, 4],
      vectors,
      length,
      attributes,
    );
  return [
    withStatistics,
    frozen(withStatistics),
    {
      ...frozen(withStatistics),
      name: `BatchNormalization of vectors ${kind}`,
      inputs: { ...withStatistics.inputs, x: { dims: ["batch", 3] } },
      build: withStatistics.build,
    },
    layer("last axis", [4], ["scale", "bias"], { axis: -1 }),
    frozen(layer("last axis", [4], ["scale", "bias"], { axis: -1 })),
    layer("two axes, no bias", [3, 4], ["scale"], { axis: 1, epsilon: 1e-3 }),
  ].map((spec) => ({ ...spec, single }));
});
const instance = normalize(
  "InstanceNormalization",
  "InstanceNormalization",
  ["batch", 2, 3, 4],
  ["scale", "bias"],
  [2],
  { epsilon: 1e-3 },
);

/** Rows that are long enough for products of vectors; the model's scale and bias are constants. */
function longRows(name: string, dims: Dim[], scale: number | null, bias: number): Case {
  const channels = dims[1] as number;
  const of = (value: number | null): number[] =>
    Array.from({ length: channels }, (_, i) => value ?? (i + 1) / channels);
  return {
    name: `InstanceNormalization of long rows ${name}`,
    inputs: { x: { dims } },
    single: true,
    tolerance: 2e-3,
    build: (b, { x }, f) =>
      b.op(
        "InstanceNormalization",
        [x!, b.constant(of(scale), [channels], f), b.constant(of(bias), [channels], f)],
        {
          epsilon: 1e-3,
        },
      ),
  };
}

const long = [
  longRows("of groups", ["batch", 2, 70], 1, 0),
  longRows("of groups, with a bias", ["batch", 2, 70], 1, 0.3),
  longRows("of images", ["batch", 3, 8, 9], 1, 0),
  longRows("of images, with a scale", ["batch", 3, 8, 9], null, 0),
];

/** Normalisations of newer operator sets, and old ones. */
const others: Case[] = [
  ...[18, 21].map((opset): Case => ({
    ...normalize(
      `GroupNormalization ${opset}`,
      "GroupNormalization",
      ["batch", 4, 3, 2],
      ["scale", "bias"],
      [opset < 21 ? 2 : 4],
      { num_groups: 2, epsilon: 1e-3 },
    ),
    opset,
    // Its statistics are in float32 from operator set 21 on (stash_type).
    single: opset >= 21,
  })),
  ...[18, 21].map((opset): Case => ({
    ...normalize(
      `GroupNormalization of free sizes ${opset}`,
      "GroupNormalization",
      ["batch", 8, "batch"],
      ["scale", "bias"],
      [opset < 21 ? 2 : 8],
      { num_groups: 2, epsilon: 1e-2 },
    ),
    opset,
    single: opset >= 21,
  })),
  ...[-1, 1].map((axis): Case => ({
    ...normalize(
      `RMSNormalization axis ${axis}`,
      "RMSNormalization",
      ["batch", 3, 4],
      ["scale"],
      axis === 1 ? [3, 4] : [4],
      { axis, epsilon: 1e-3 },
    ),
    opset: 23,
  })),
  ...[1, 2].flatMap((p) =>
    [-1, 1].map((axis) =>
      normalize(`LpNormalization p ${p} axis ${axis}`, "LpNormalization", ["batch", 3, 4], [], [], {
        p,
        axis,
      }),
    ),
  ),
  normalize("MeanVarianceNormalization", "MeanVarianceNormalization", ["batch", 3, 2, 4], [], []),
  normalize("MeanVarianceNormalization axes", "MeanVarianceNormalization", ["batch", 3, 2, 4], [], [], {
    axes: [1, 3],
  }),
  normalize("LRN", "LRN", ["batch", 5, 2, 3], [], [], { size: 3, alpha: 0.5, bias: 1.2, beta: 0.6 }),
  ...[true, false].map((single): Case => ({
    name: `LayerNormalization with its statistics, of ${single ? "float32" : "float64"}`,
    single,
    inputs: { x: { dims: ["batch", 3, 4] }, s: { dims: [4], values: positive } },
    build: (b, { x, s }) =>
      b.ops("LayerNormalization", [x!, s!], 3).map((value) => b.op("CastLike", [value, x!])),
    // The statistics are in float32.
    step: 1e-2,
    tolerance: 5e-3,
  })),
];

function resize(
  name: string,
  dims: Dim[],
  target: { scales?: number[]; sizes?: number[] },
  attributes: Attributes,
  more: Partial<Case> = {},
): Case {
  return {
    name: `Resize ${name} ${JSON.stringify(target)} ${JSON.stringify(attributes)}`,
    inputs: { x: { dims } },
    build: (b, { x }) =>
      b.op(
        "Resize",
        [
          x!,
          null,
          target.scales ? b.constant(target.scales, [target.scales.length], 1) : null,
          target.sizes ? b.ints(target.sizes) : null,
        ],
        attributes,
      ),
    step: 0.5,
    tolerance: 1e-4,
    ...more,
  };
}

const image: Dim[] = ["batch", 2, 4, 3];
const coordinates = [
  "half_pixel",
  "asymmetric",
  "align_corners",
  "pytorch_half_pixel",
  "half_pixel_symmetric",
];
const resizes: Case[] = [
  ...coordinates.flatMap((mode) => [
    resize(
      "linear up",
      image,
      { scales: [1, 1, 2, 2.5] },
      { mode: "linear", coordinate_transformation_mode: mode },
      { opset: 19 },
    ),
    resize(
      "cubic",
      image,
      { scales: [1, 1, 1.5, 2] },
      { mode: "cubic", coordinate_transformation_mode: mode },
      { opset: 19 },
    ),
  ]),
  // 3 · (5/3) are 5 in float32 and less in float64.
  resize(
    "to whole sizes by rounded scales",
    ["batch", 1, 3, 4],
    { scales: [1, 1, 5 / 3, 7 / 4] },
    { mode: "nearest", coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" },
  ),
  resize(
    "linear down",
    ["batch", 1, 7, 6],
    { scales: [1, 1, 0.6, 0.5] },
    { mode: "linear", coordinate_transformation_mode: "half_pixel" },
  ),
  resize(
    "linear down antialiased",
    ["batch", 1, 7, 6],
    { scales: [1, 1, 0.6, 0.5] },
    { mode: "linear", antialias: 1 },
  ),
  resize(
    "cubic down antialiased",
    ["batch", 1, 9, 8],
    { scales: [1, 1, 0.4, 0.5] },
    { mode: "cubic", antialias: 1, cubic_coeff_a: -0.5 },
  ),
  resize(
    "linear antialiased, outside excluded",
    ["batch", 1, 9, 8],
    { scales: [1, 1, 0.4, 0.5] },
    { mode: "linear", antialias: 1, exclude_outside: 1 },
  ),
  resize("cubic, outside excluded", image, { scales: [1, 1, 2, 2] }, { mode: "cubic", exclude_outside: 1 }),
  ...["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"].flatMap((rounding) =>
    ["half_pixel", "asymmetric", "align_corners"].flatMap((mode) =>
      [
        [2, 3],
        [1.5, 0.7],
        [1 / 3, 0.5],
      ].map((scales) =>
        resize(
          "nearest",
          ["batch", 1, 6, 5],
          { scales: [1, 1, ...scales] },
          { mode: "nearest", nearest_mode: rounding, coordinate_transformation_mode: mode },
        ),
      ),
    ),
  ),
  resize(
    "nearest ×2 of free sizes",
    ["batch", 2, "batch", 3],
    { scales: [1, 1, 2, 2] },
    { mode: "nearest", coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" },
  ),
  resize(
    "nearest to a size",
    [2, 2, 4, 3],
    { sizes: [2, 2, 8, 7] },
    { mode: "nearest", coordinate_transformation_mode: "half_pixel" },
  ),
  resize("linear to a size", [2, 2, 4, 3], { sizes: [2, 2, 7, 5] }, { mode: "linear" }),
  resize("over some axes", ["batch", 2, 4, 3], { sizes: [7, 5] }, { mode: "linear", axes: [2, 3] }),
  resize(
    "not larger",
    [1, 2, 4, 3],
    { sizes: [7, 9] },
    { mode: "linear", axes: [2, 3], keep_aspect_ratio_policy: "not_larger" },
  ),
  resize(
    "not smaller",
    [1, 2, 4, 3],
    { sizes: [7, 9] },
    { mode: "linear", axes: [2, 3], keep_aspect_ratio_policy: "not_smaller" },
  ),
  resize("1-D", ["batch", 2, 5], { scales: [1, 1, 2] }, { mode: "linear" }),
  {
    ...resize("linear to a size beside a free batch", image, { sizes: [] }, { mode: "linear" }),
    build: (b, { x }) =>
      b.op("Resize", [x!, null, null, b.op("Concat", [b.sizes(x!, [0, 1]), b.ints([5, 7])], { axis: 0 })], {
        mode: "linear",
      }),
  },
];

/** Points within the image and around it, off the lines between pixels and the edges, where slopes jump. */
const points: InputSpec["values"] = (next, count) =>
  Float64Array.from(uniform(next, count, -1.35, 1.35), (value) => {
    while ([2, 3, 4].some((size) => onKink(value, size))) value += 0.011;
    return value;
  });
function onKink(value: number, size: number): boolean {
  const pixels = [((value + 1) / 2) * (size - 1), ((value + 1) * size - 1) / 2];
  return pixels.some((pixel) => Math.abs(2 * pixel - Math.round(2 * pixel)) < 0.03);
}

const samples: Case[] = ["linear", "nearest", "cubic"].flatMap((mode) =>
  ["zeros", "border", "reflection"].flatMap((padding_mode) =>
    [0, 1].map((align_corners): Case => ({
      name: `GridSample ${mode} ${padding_mode} align_corners ${align_corners}`,
      opset: 20,
      inputs: {
        x: { dims: ["batch", 2, 4, 3] },
        grid: { dims: ["batch", 2, 3, 2], values: points },
      },
      build: (b, { x, grid }) => b.op("GridSample", [x!, grid!], { mode, padding_mode, align_corners }),
      // Small, for the slope along the grid jumps between pixels.
      step: 2e-3,
      tolerance: 5e-3,
    })),
  ),
);
samples.push({
  name: "GridSample 3-D",
  opset: 20,
  inputs: {
    x: { dims: ["batch", 1, 3, 2, 4] },
    grid: { dims: ["batch", 2, 1, 2, 3], values: points },
  },
  build: (b, { x, grid }) => b.op("GridSample", [x!, grid!], { mode: "linear" }),
  step: 2e-3,
  tolerance: 5e-3,
});

describe("onnx rules: pooling, normalisation, resizing", () => {
  for (const spec of [
    ...pools,
    ...norms,
    instance,
    frozen(instance),
    ...long,
    ...others,
    ...samples,
    ...resizes,
  ])
    it(spec.name, () => checkGradient(spec));
});
