/** Pooling. */
import { int } from "../attributes.js";
import { isStatic } from "../shapes/dims.js";
import { define, expanded, type NodeContext, type RuleContext } from "./rule.js";
import { globallyAtFirst, placedAtFirst } from "./first-of-equals.js";
import { scatterFlat } from "./movement.js";
import { DataType } from "../tensors.js";
import { pads, reach, slidingWindows, spread, type Windows } from "./windows.js";

// The node's own indices say which element won; of equal ones it is the first, as in PyTorch.
define("MaxPool", (c) => [() => (c.target === "cpu" ? placeAt(c, rowMajorIndices(c)) : placedAtFirst(c))]);

/** Flat positions of the winners, [N, C, ...output]. */
function rowMajorIndices({ b, node, x, output }: RuleContext): string {
  if (int(node, "storage_order", 0) === 0) return output(1);
  // Column-major indices count in an order of their own: ask again in row-major order.
  const attributes = new Map(node.attributes);
  attributes.delete("storage_order");
  const outputs = ["values", "indices"].map((part) => b.names.fresh(`${node.outputs[0]!}/${part}`));
  b.append({ ...node, name: b.names.fresh(node.name), inputs: [x[0]!], attributes, outputs });
  return outputs[1]!;
}

/** The adjoint at the winners' positions; it adds up where windows overlap. */
function placeAt(c: RuleContext, indices: string): string {
  const { b, g, x } = c;
  const w = slidingWindows(c, x[0]!, null);
  const apart = w.kernel.every((_, i) => w.strides[i]! >= reach(w, i)) && int(c.node, "ceil_mode", 0) === 0;
  if (!apart || b.shapes.elemType(g) !== DataType.FLOAT) return scatterFlat(b, g, indices, x[0]!);
  // Nothing to add up: a plain copy to the positions, three times faster than adding.
  const windows = { kernel_shape: w.kernel, strides: w.strides, pads: pads(w) };
  return b.op("MaxUnpool", [g, indices, b.shapeOf(x[0]!)], windows);
}

// Every element goes to the flat position that its index names.
define("MaxUnpool", ({ b, g, x }) => [
  () => b.op("Gather", [b.op("Reshape", [g, b.ints([-1])]), x[1]!], { axis: 0 }),
  null,
  null,
]);

define("GlobalMaxPool", (c) => [
  () => {
    const { b, g, x, y } = c;
    if (c.target !== "cpu") return globallyAtFirst(b, x[0]!, y, g);
    const rows = b.op("Reshape", [x[0]!, b.ints([0, 0, -1])]);
    const winner = b.op("ArgMax", [rows], { axis: 2, keepdims: 1 });
    const share = b.op("Reshape", [g, b.ints([0, 0, -1])]);
    const placed = b.op("ScatterElements", [b.filledLike(0, rows), winner, share], { axis: 2 });
    return b.reshapeLike(placed, x[0]!);
  },
]);

define("GlobalAveragePool", ({ b, g, x, rank }) => [
  () => {
    const axes = Array.from({ length: rank(x[0]!) - 2 }, (_, i) => i + 2);
    const sizes = axes.map((axis) => b.shapes.dims(x[0]!)![axis]!);
    const share = isStatic(sizes)
      ? b.op("Mul", [g, b.scalar(1 / sizes.reduce((p, q) => p * q, 1), g)])
      : b.op("Div", [g, b.castLike(b.op("ReduceProd", [b.sizes(x[0]!, axes)], { keepdims: 0 }), g)]);
    return b.op("Expand", [share, b.shapeOf(x[0]!)]);
  },
]);

// Every element of the adjoint, divided by the number of elements its window averages, goes to all of them.
define("AveragePool", (c) => [
  () => {
    const { x } = c;
    const w = slidingWindows(c, x[0]!, null);
    const area = w.kernel.reduce((p, q) => p * q, 1);
    if (area === 1 && [...w.strides, ...pads(w)].every((n, i) => n === (i < w.kernel.length ? 1 : 0)))
      return c.g;
    if (area > 1 << 20) throw c.fail(`its window of ${area} elements is too large`);
    const share = dividedByCount(c, w, area);
    return tiled(c, share, w) ?? summed(c, share, w);
  },
]);

/** g / (elements each window averages). */
function dividedByCount(c: RuleContext, w: Windows, area: number): string {
  const { b, g, x, y, node } = c;
  const padded = w.before.some((pad) => pad > 0) || w.after.some((pad) => pad > 0);
  const includePad = int(node, "count_include_pad", 0) !== 0;
  const ceil = int(node, "ceil_mode", 0) !== 0;
  if (!ceil && (includePad || !padded)) return b.op("Mul", [g, b.scalar(1 / area, g)]);
  const sizes = b.shapes.dims(x[0]!)!.slice(2);
  const steps = b.shapes.dims(y)?.slice(2) ?? null;
  if (!isStatic(sizes) || !isStatic(steps))
    throw c.fail("how many elements each window averages follows from a size that is known only at run time");
  // A size of 0 must not hide another that is huge.
  if (steps.reduce((p, q) => p * Math.max(q, 1), 1) > 1 << 24) throw c.fail("its output is too large");
  // Counts of the windows, axis by axis: elements within the data, or within data and padding.
  const perAxis = sizes.map((size, i) => {
    const [low, high] = includePad ? [-w.before[i]!, size + w.after[i]!] : [0, size];
    const [dilation, kernel] = [w.dilations[i]!, w.kernel[i]!];
    return Array.from({ length: steps[i]! }, (_, step) => {
      const start = step * w.strides[i]! - w.before[i]!;
      const first = Math.max(0, Math.ceil((low - start) / dilation));
      const end = Math.min(kernel, Math.ceil((high - start) / dilation));
      return Math.max(0, end - first);
    });
  });
  const counts = perAxis.reduce<number[]>((all, axis) => all.flatMap((p) => axis.map((q) => p * q)), [1]);
  const inverse = counts.map((count) => (count === 0 ? 0 : 1 / count));
  return b.op("Mul", [g, b.constantLike(inverse, [1, 1, ...steps], g)]);
}

/** Windows that tile the data exactly: the adjoint is repeated. */
function tiled({ b, x }: RuleContext, share: string, w: Windows): string | null {
  const sizes = b.shapes.dims(x[0]!)!.slice(2);
  const exact = sizes.every(
    (size, i) =>
      typeof size === "number" &&
      size % w.kernel[i]! === 0 &&
      w.strides[i] === w.kernel[i] &&
      w.dilations[i] === 1,
  );
  if (!exact || sizes.length !== 2 || w.before.some((pad) => pad) || w.after.some((pad) => pad)) return null;
  const scales = b.constant([1, 1, ...w.kernel], [4], 1);
  return b.op("Resize", [share, null, scales], {
    mode: "nearest",
    coordinate_transformation_mode: "asymmetric",
    nearest_mode: "floor",
  });
}

/** A transposed convolution with ones, every channel an image of its own. */
function summed(c: RuleContext, share: string, w: Windows): string {
  const { b, x } = c;
  const axes = w.kernel.map((_, i) => i + 2);
  const images = (value: string): string =>
    b.reshape(value, [-1, 1, ...axes.map((axis) => b.sizes(value, [axis]))]);
  const ones = b.filled(1, [1, 1, ...w.kernel], share);
  const spreadOut = spread(c, images(share), ones, 1, w, x[0]!);
  return b.op("Reshape", [spreadOut, b.shapeOf(x[0]!)], { allowzero: 1 });
}

// (Σ |x|ᵖ)^(1/p) over windows, every channel an image of its own; what pads counts as 0.
define(
  "LpPool",
  expanded((c) => {
    const { b, x, y, node } = c;
    const w = slidingWindows(c, x[0]!, null);
    const axes = w.kernel.map((_, i) => i + 2);
    if (int(node, "ceil_mode", 0) !== 0) endAtLastWindow(c, w);
    const area = w.kernel.reduce((p, q) => p * q, 1);
    if (area > 1 << 20) throw c.fail(`its window of ${area} elements is too large`);
    const powers = power(c, x[0]!);
    const images = b.reshape(powers, [-1, 1, ...axes.map((axis) => b.sizes(powers, [axis]))]);
    const ones = b.filled(1, [1, 1, ...w.kernel], images);
    const sums = b.op("Conv", [images, ones], {
      strides: w.strides,
      dilations: w.dilations,
      pads: pads(w),
    });
    return root(c, b.reshapeLike(sums, y));
  }),
);
define(
  "GlobalLpPool",
  expanded((c) => {
    const axes = Array.from({ length: c.rank(c.x[0]!) - 2 }, (_, i) => i + 2);
    return root(c, c.b.sum(power(c, c.x[0]!), axes, true));
  }),
);

/** |x|ᵖ */
function power({ b, node }: NodeContext, x: string): string {
  const p = int(node, "p", 2);
  return p === 2
    ? b.op("Mul", [x, x])
    : p === 1
      ? b.op("Abs", [x])
      : b.op("Pow", [b.op("Abs", [x]), b.scalar(p, x)]);
}

/** x^(1/p) */
function root({ b, node }: NodeContext, x: string): string {
  const p = int(node, "p", 2);
  return p === 2 ? b.op("Sqrt", [x]) : p === 1 ? x : b.op("Pow", [x, b.scalar(1 / p, x)]);
}

/** Pads so that the windows that ceil_mode adds fit. */
function endAtLastWindow(c: NodeContext, w: Windows): void {
  const [sizes, steps] = [c.x[0]!, c.y].map((value) => c.b.shapes.dims(value)?.slice(2) ?? null);
  if (!isStatic(sizes!) || !isStatic(steps!))
    throw c.fail("how many windows there are follows from a size that is known only at run time");
  w.kernel.forEach((_, i) => {
    const end = (steps[i]! - 1) * w.strides[i]! + reach(w, i);
    w.after[i] = Math.max(w.after[i]!, end - w.before[i]! - sizes[i]!);
  });
}
