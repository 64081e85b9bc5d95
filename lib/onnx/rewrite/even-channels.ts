/** Convolutions whose numbers of channels the WebGPU provider of ONNX Runtime 1.30 computes wrongly. */
import { int } from "../attributes.js";
import type { Rewrite } from "./pass.js";

/** Channels of a vector in the provider's kernels. */
const vector = 4;

/**
 * Conv from a multiple of 3 channels, above 3 and no multiple of 4, to a multiple of 4 as one from channels padded with zeros
 * to a multiple of 4. The provider's kernel takes such channels in threes, and gives other numbers: errors are as large as
 * the results. Measured by scripts/operators/webgpu.ts.
 */
export const paddedChannels: Rewrite = ({ b }, node) => {
  const [x, weights, bias] = node.inputs as [string, string, string?];
  const [outputs, inputs] = b.shapes.dims(weights) ?? [];
  const rank = b.rank(x);
  if (typeof inputs !== "number" || typeof outputs !== "number" || rank === null || rank > 4) return null;
  if (int(node, "group", 1) !== 1 || inputs % 3 !== 0 || inputs === 3 || inputs % vector === 0) return null;
  if (outputs % vector !== 0) return null;
  const none = new Array<number>(rank).fill(0);
  const more = b.ints([...none, 0, vector - (inputs % vector), ...none.slice(2)]);
  const wide = (value: string): string => b.op("Pad", [value, more]);
  const name = b.names.fresh(`${node.name}/padded`);
  b.append({ ...node, name, inputs: [wide(x), wide(weights), ...(bias ? [bias] : [])], outputs: [name] });
  return name;
};

/**
 * ConvTranspose in groups with one channel each as one with two, of which the second is zero and is dropped: of one channel
 * the same kernel adds up other groups, too.
 */
export const pairedChannels: Rewrite = ({ b }, node) => {
  const [x, weights, bias] = node.inputs as [string, string, string?];
  const perGroup = b.shapes.dims(weights)?.[1];
  const group = int(node, "group", 1);
  const rank = b.rank(x);
  if (group === 1 || perGroup !== 1 || rank === null || rank > 4) return null;
  const spatial = Array.from({ length: rank - 2 }, (_, i) => i + 2);
  const none = new Array<number>(rank).fill(0);
  const pair = b.op("Pad", [weights, b.ints([...none, 0, 1, ...none.slice(2)])]);
  const name = b.names.fresh(`${node.name}/paired`);
  b.append({ ...node, name, inputs: [x, pair], outputs: [name] });
  const first = b.op("Slice", [name, b.ints([0]), b.ints([2 * group]), b.ints([1]), b.ints([2])]);
  if (!bias) return first;
  return b.op("Add", [first, b.reshape(bias, [group, ...spatial.map(() => 1)])]);
};
