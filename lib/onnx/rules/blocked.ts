/**
 * ONNX Runtime's CPU convolutions work on channels in blocks ("NCHWc"), and at level "all" the runtime keeps a value in
 * that layout from operator to operator as long as each of them can work on it. One that cannot costs two passes over
 * memory to reorder, and keeps a sum from being folded into a convolution. Rules ask here which form will stay
 * blocked. It is a guess about speed: every form computes the same.
 */
import { int, string } from "../attributes.js";
import type { Builder } from "../builder.js";
import type { Node } from "../graph.js";
import { same } from "../shapes/dims.js";
import { DataType } from "../tensors.js";

/** Channels in a block with AVX-512; 8 elsewhere. */
const block = 16;

const known = new WeakMap<Builder, Map<string, boolean>>();

/** Whether the runtime will most likely hold `value` in blocks. */
export function isBlocked(b: Builder, value: string): boolean {
  const cache = known.get(b) ?? new Map<string, boolean>();
  known.set(b, cache);
  const before = cache.get(value);
  if (before !== undefined) return before;
  cache.set(value, false);
  const node = b.maker(value);
  const result = node?.domain === "" && b.rank(value) === 4 && test(b, node);
  cache.set(value, result);
  return result;
}

/**
 * `value`, which has whole blocks, in the blocked layout: a pool over single elements changes nothing else. Where the
 * adjoint of a residual stage enters it in blocks, every sum in the stage becomes part of a convolution. Of a sum the
 * terms are blocked that are not yet, so that it is folded into the convolution that makes the other.
 */
export function blocked(b: Builder, value: string): string {
  if (isBlocked(b, value)) return value;
  const node = b.maker(value);
  if (node?.domain === "" && (node.opType === "Add" || node.opType === "Sum")) {
    const terms = node.inputs;
    const whole = terms.every((term) => sameShape(b, term, value) && hasWholeBlocks(b, term));
    if (whole && terms.some((term) => isBlocked(b, term)))
      return b.op(
        node.opType,
        terms.map((term) => blocked(b, term)),
      );
  }
  return b.op("AveragePool", [value], { kernel_shape: [1, 1] });
}

/** Channels [N, C, ...] that fill blocks. */
export function hasWholeBlocks(b: Builder, value: string): boolean {
  const channels = b.shapes.dims(value)?.[1];
  return (
    b.shapes.elemType(value) === DataType.FLOAT && typeof channels === "number" && channels % block === 0
  );
}

function test(b: Builder, node: Node): boolean {
  const [x] = node.inputs as [string];
  switch (node.opType) {
    case "Conv":
      return convolves(b, node);
    case "Relu":
    case "Sigmoid":
    case "Tanh":
    case "BatchNormalization":
    case "GlobalAveragePool":
    case "GlobalMaxPool":
      return isBlocked(b, x);
    case "LeakyRelu":
    case "Clip":
    case "HardSigmoid":
      // Folded into the convolution before.
      return b.maker(x)?.opType === "Conv" && isBlocked(b, x);
    case "Add":
    case "Sum":
    case "Mul":
      return node.inputs.every((input) => isBlocked(b, input) && sameShape(b, input, x));
    case "Concat":
      return int(node, "axis", 0) === 1 && node.inputs.every((i) => isBlocked(b, i) && hasWholeBlocks(b, i));
    case "MaxPool":
    case "AveragePool":
      return !node.outputs[1] && hasWholeBlocks(b, x);
    case "Resize":
      return (
        isBlocked(b, x) &&
        node.inputs.length === 3 &&
        string(node, "mode", "nearest") === "nearest" &&
        string(node, "coordinate_transformation_mode", "half_pixel") === "asymmetric" &&
        string(node, "nearest_mode", "round_prefer_floor") === "floor"
      );
    default:
      return false;
  }
}

function convolves(b: Builder, node: Node): boolean {
  const [x, weights, bias] = node.inputs as [string, string, string | undefined];
  const dims = b.shapes.staticDims(weights);
  if (!dims || dims.length !== 4 || b.shapes.elemType(weights) !== DataType.FLOAT) return false;
  if (![weights, bias ?? ""].every((name) => name === "" || b.isConstant(name))) return false;
  const [outputs, inputs] = dims as [number, number];
  const group = int(node, "group", 1);
  // Fewer channels than a block are read as they are.
  if (group === 1) return inputs < block || inputs % block === 0;
  if (outputs % block !== 0 || b.shapes.dims(x) === null) return false;
  return inputs === 1 ? outputs === group : inputs % block === 0 && (outputs / group) % block === 0;
}

function sameShape(b: Builder, p: string, q: string): boolean {
  const [a, c] = [b.shapes.dims(p), b.shapes.dims(q)];
  return a !== null && c !== null && a.length === c.length && a.every((dim, i) => same(dim, c[i]!));
}
