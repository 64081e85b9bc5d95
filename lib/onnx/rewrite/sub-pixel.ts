/** Strided transposed convolutions in sub-pixel form. */
import { int, ints, string } from "../attributes.js";
import type { Builder } from "../builder.js";
import { DataType, readFloats } from "../tensors.js";
import type { Rewrite } from "./pass.js";

/** One axis of the transposed convolution: y[s·i + phase] = Σ_t x[i + first + t] · w[tap + … ]. */
interface Phase {
  /** The kernel's elements, from the last to the first, a stride apart; none where the phase is zero. */
  taps: number[];
  before: number;
  after: number;
}

/** The widest map whose rows are woven by a product: above, single elements are moved in less time than it takes. */
const widest = 16;
/** The widest at all for 1 × 1 kernels, which have little to save. */
const widestOfPoints = 7;
/** The runtime's Conv works in blocks of so many channels (AVX-512; 8 elsewhere). With fewer it is 2 to 4 times slower. */
export const fewestChannels = 16;

/** Elements of the smallest kernel for which it pays on wide maps. */
const fewestTaps = 16;

/**
 * ConvTranspose with stride s as s² convolutions, one for each phase of the output, whose results are woven together: small
 * maps by products with constant selections, wide ones by joining them element for element and row for row.
 * The runtime's Conv works in blocks and on all threads, its ConvTranspose adds up columns on one. A DCGAN's 4 × 4 layers
 * at batch 16 took 20 ms on two threads and take 15; the gradients of ResNet-50's strided convolutions with maps of 7 × 7
 * and 14 × 14 at batch 8 took 90 ms of one thread's processor time and take 73. Of wide maps kernels of 4 × 4 gain: 512 channels
 * at 64 × 64 took 413 ms and take 224; of 3 × 3 with maps of 28 × 28 they would take 37 in place of 32.
 *
 * Only where all sizes but the batch are known, weights are constant, and there are enough channels:
 * the head of a generator, which makes 1 or 3 channels, would lose.
 */
export const subPixel: Rewrite = ({ b }, node) => {
  const [x, weights, bias] = node.inputs as [string, string, string?];
  const [from, to, W] = [b.shapes.dims(x), b.shapes.dims(node.outputs[0]!), b.shapes.staticDims(weights)];
  if (!from || !to || W?.length !== 4 || b.shapes.elemType(x) !== DataType.FLOAT) return null;
  if (![weights, ...(bias ? [bias] : [])].every((name) => b.isConstant(name)) || int(node, "group", 1) !== 1)
    return null;
  if (string(node, "auto_pad", "NOTSET") !== "NOTSET" || node.attributes.has("output_shape")) return null;
  const strides = ints(node, "strides") ?? [1, 1];
  if (strides[0] !== 2 || strides[1] !== 2 || (ints(node, "dilations") ?? []).some((d) => d !== 1))
    return null;
  const [height, width, outHeight, outWidth] = [from[2], from[3], to[2], to[3]];
  if (typeof height !== "number" || typeof width !== "number") return null;
  if (outHeight !== 2 * height || outWidth !== 2 * width || height === 0 || width === 0) return null;
  const area = W[2]! * W[3]!;
  if (W[1]! < fewestChannels || (area === 1 && width > widestOfPoints)) return null;
  const byProduct = width <= widest;
  if (byProduct ? ![weights, ...(bias ? [bias] : [])].every((name) => isFinite(b, name)) : area < fewestTaps)
    return null;
  const begin = ints(node, "pads") ?? [0, 0, 0, 0];
  const rows = phasesOf(W[2]!, begin[0]!, height);
  const columns = phasesOf(W[3]!, begin[1]!, width);
  if (!rows || !columns) return null;
  return woven(b, {
    x,
    weights,
    bias: bias ?? null,
    rows,
    columns,
    channels: W[1]!,
    height,
    width,
    byProduct,
  });
};

/**
 * A constant without NaN and infinities, or made of such constants: the products that weave would spread the others over
 * whole rows.
 */
function isFinite(b: Builder, name: string): boolean {
  if (!b.isConstant(name)) return false;
  const leaves = b.graph.initializers.has(name)
    ? [name]
    : b.nodesBetween([], name).flatMap(({ inputs }) => inputs);
  return leaves.every((leaf) => {
    const constant = b.graph.initializers.get(leaf);
    const data = constant && readFloats(constant);
    return !data || Array.prototype.every.call(data, Number.isFinite);
  });
}

/** The two phases of an axis; null where one cannot be a convolution of its own. */
function phasesOf(kernel: number, pad: number, size: number): Phase[] | null {
  const phases = [0, 1].map((phase): Phase => {
    // y[o] sums x[i] · w[k] over 2 i + k − pad = o.
    const taps: number[] = [];
    for (let k = kernel - 1; k >= 0; k--) if ((phase + pad - k) % 2 === 0) taps.push(k);
    const first = taps.length === 0 ? 0 : (phase + pad - taps[0]!) / 2;
    return { taps, before: -first, after: first + taps.length - 1 };
  });
  const usable = phases.every(
    ({ taps, before, after }) =>
      taps.length === 0 ||
      (before >= 0 && after >= 0 && before < taps.length + size && after < taps.length + size),
  );
  return usable && phases.some(({ taps }) => taps.length > 0) ? phases : null;
}

interface Plan {
  x: string;
  weights: string;
  bias: string | null;
  rows: Phase[];
  columns: Phase[];
  channels: number;
  height: number;
  width: number;
  byProduct: boolean;
}

function woven(b: Builder, plan: Plan): string | null {
  const { x, weights, bias, rows, columns, channels, height, width, byProduct } = plan;
  // A phase without taps is the bias alone.
  const empty = [...rows, ...columns].some(({ taps }) => taps.length === 0);
  if (empty && (bias || !byProduct)) return null;
  const swapped = b.op("Transpose", [weights], { perm: [1, 0, 2, 3] });
  const parts: { value: string; row: number; column: number }[] = [];
  rows.forEach((p, row) =>
    columns.forEach((q, column) => {
      if (p.taps.length === 0 || q.taps.length === 0) return;
      // Backwards in steps of two, from the last tap to before the first.
      const ends = [p, q].map(({ taps }) => (taps.at(-1)! < 2 ? -(2 ** 31) : taps.at(-1)! - 2));
      const kernel = b.op("Slice", [
        swapped,
        b.ints([p.taps[0]!, q.taps[0]!]),
        b.ints(ends),
        b.ints([2, 3]),
        b.ints([-2, -2]),
      ]);
      const value = b.op("Conv", [x, kernel, bias], {
        kernel_shape: [p.taps.length, q.taps.length],
        pads: [p.before, q.before, p.after, q.after],
      });
      parts.push({ value, row, column });
    }),
  );
  if (!byProduct) {
    const values = parts.map(({ value }) => value);
    const lines = [values.slice(0, 2), values.slice(2)].map((pair) => {
      const points = pair.map((value) => b.reshape(value, [0, channels, height, width, 1]));
      return b.reshape(b.op("Concat", points, { axis: 4 }), [0, channels, height, 1, 2 * width]);
    });
    return b.reshape(b.op("Concat", lines, { axis: 3 }), [0, channels, 2 * height, 2 * width]);
  }
  // A row of all phases [.., parts · width] becomes two rows of the output [.., 2 · 2 width].
  const side =
    parts.length === 1
      ? parts[0]!.value
      : b.op(
          "Concat",
          parts.map(({ value }) => value),
          { axis: 3 },
        );
  const selection = new Float32Array(parts.length * width * 4 * width);
  parts.forEach(({ row, column }, i) => {
    for (let at = 0; at < width; at++)
      selection[(i * width + at) * 4 * width + row * 2 * width + 2 * at + column] = 1;
  });
  const both = b.op("MatMul", [
    side,
    b.constant(selection, [parts.length * width, 4 * width], DataType.FLOAT),
  ]);
  return b.reshape(both, [0, channels, 2 * height, 2 * width]);
}
