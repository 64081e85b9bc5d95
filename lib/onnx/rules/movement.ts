/** Operators that move elements: their gradients move them back, and add up what was copied. */
import { int, ints, string } from "../attributes.js";
import type { Builder } from "../builder.js";
import type { Node } from "../graph.js";
import { int64Min } from "../int64.js";
import { isStatic } from "../shapes/dims.js";
import { cutOf } from "../shapes/values.js";
import { DataType } from "../tensors.js";
import { applyTransposed, checkMapSize, selection } from "./linear-map.js";
import { define, type InputAdjoint, type RuleContext } from "./rule.js";

const back = ({ b, g, x }: RuleContext): InputAdjoint[] => [() => b.reshapeLike(g, x[0]!), null];
define("Reshape Flatten Squeeze Unsqueeze", back);

define("Transpose", ({ b, g, x, node, rank, axis }) => [
  () => {
    const perm = ints(node, "perm");
    if (!perm) return b.op("Transpose", [g]);
    const inverse = new Array<number>(rank(x[0]!)).fill(0);
    perm.forEach((to, i) => (inverse[axis(to, inverse.length)] = i));
    return turnedProduct(b, g, inverse) ?? b.op("Transpose", [g], { perm: inverse });
  },
]);

/**
 * (Pᵀ Q)ᵀ is Qᵀ P: the runtime's products turn their operands at no cost, where turning the result, in attention an
 * adjoint for every pair of pixels, reads and writes it once more. null where g is no such product.
 */
function turnedProduct(b: Builder, g: string, perm: readonly number[]): string | null {
  const swap = perm.map((_, i) => (i < perm.length - 2 ? i : 2 * perm.length - 3 - i));
  const swaps = (order: readonly number[] | null): boolean =>
    order?.length === swap.length && order.every((to, i) => to === swap[i]);
  if (perm.length < 2 || !swaps(perm)) return null;
  // Adjoints are made shortly before they are used.
  const recent = b.graph.nodes.slice(-8);
  const maker = (name: string): Node | undefined => recent.find((node) => node.outputs[0] === name);
  const product = maker(g);
  if (product?.opType !== "MatMul") return null;
  const [p, q] = product.inputs.map((name) => {
    const turn = maker(name);
    return turn?.opType === "Transpose" && swaps(ints(turn, "perm")) ? turn.inputs[0]! : null;
  });
  const [left, right] = product.inputs as [string, string];
  if ((p ?? q ?? null) === null || [left, right].some((name) => b.rank(name) !== swap.length)) return null;
  const turned = (name: string): string => b.op("Transpose", [name], { perm: swap });
  return b.op("MatMul", [q ?? turned(right), p ?? turned(left)]);
}

define("Expand", ({ b, g, x, y }) => [() => b.sumTo(g, y, x[0]!), null]);

// The output seen as [r₀, d₀, r₁, d₁, …] is summed over the repeats.
define("Tile", ({ b, g, x, rank }) => [
  () => {
    const count = rank(x[0]!);
    const pairs = b.op("Concat", [b.unsqueeze(x[1]!, [1]), b.unsqueeze(b.op("Shape", [x[0]!]), [1])], {
      axis: 1,
    });
    const repeats = b.shapes.numbers(x[1]!);
    const dims = b.shapes.dims(x[0]!)!;
    const open = dims.filter((dim) => typeof dim !== "number").length;
    const target =
      repeats && open <= 1 && ![...repeats, ...dims].includes(0)
        ? b.ints(dims.flatMap((dim, i) => [repeats[i]!, typeof dim === "number" ? dim : -1]))
        : b.op("Reshape", [pairs, b.ints([-1])]);
    const axes = Array.from({ length: count }, (_, i) => 2 * i);
    return b.sum(b.op("Reshape", [g, target]), axes, false);
  },
  null,
]);

define("Concat", ({ b, g, x, node, rank, axis: normal }) => {
  const axis = normal(int(node, "axis", 0), rank(x[0]!));
  const sizes = x.map((value) => b.shapes.dims(value)?.[axis] ?? null);
  return x.map((_, i) => () => {
    const before = sizes.slice(0, i + 1);
    if (isStatic(before)) {
      const end = before.reduce((p, q) => p + q, 0);
      return b.op("Slice", [g, b.ints([end - before[i]!]), b.ints([end]), b.ints([axis])]);
    }
    const parts = b.op(
      "Concat",
      x.map((other) => b.sizes(other, [axis])),
      { axis: 0 },
    );
    return b.ops("Split", [g, parts], x.length, { axis })[i]!;
  });
});

define("Split", ({ b, grads, output, node }) => [
  () => {
    const parts = grads.map((g, i) => g ?? b.filledLike(0, output(i)));
    return b.op("Concat", parts, { axis: int(node, "axis", 0) });
  },
  null,
]);

// Slicing. What was cut off gets zeros.
define("Slice", (c) => [() => padSlice(c) ?? scatterSlice(c), null, null, null, null]);

/** The adjoint as padding, where the sliced axes and bounds are known. */
function padSlice({ b, g, x, axis: normal }: RuleContext): string | null {
  const dims = b.shapes.dims(x[0]!);
  const [starts, ends] = [b.shapes.bounds(x[1]!), b.shapes.bounds(x[2]!)];
  const axes = x[3] ? b.shapes.numbers(x[3]) : starts && starts.map((_, i) => i);
  const steps = x[4] ? b.shapes.bounds(x[4]) : starts && starts.map(() => 1);
  if (!dims || !starts || !ends || !axes || !steps) return null;
  const cuts = axes.map((axis, i) => {
    const at = normal(axis, dims.length);
    const size = dims[at]!;
    const cut = typeof size === "number" ? cutOf(size, starts[i]!, ends[i]!, steps[i]!) : null;
    return cut && { ...cut, axis: at, size: size as number };
  });
  if (!cuts.every((cut) => cut !== null)) return null;
  // A fixed batch can be spread by Reshape, a second free axis cannot.
  const spreads = cuts.filter((cut) => Math.abs(cut.step) > 1);
  const free = dims.flatMap((dim, axis) => (typeof dim === "number" ? [] : [axis]));
  if (spreads.length > 0 && free.length > 1) return null;

  const before = new Array<number>(dims.length).fill(0);
  const after = new Array<number>(dims.length).fill(0);
  const current = [...(b.shapes.dims(g) ?? dims)];
  let value = g;
  for (const { axis, size, first, length, step } of cuts) {
    if (length === 0) return b.filledLike(0, x[0]!);
    const low = step > 0 ? first : first + step * (length - 1);
    if (step < 0)
      value = b.op("Slice", [value, b.ints([-1]), b.ints([int64Min]), b.ints([axis]), b.ints([-1])]);
    const stride = Math.abs(step);
    current[axis] = length;
    if (stride > 1) {
      // Zeros between the kept elements: pad a new last axis and merge it.
      const apart = b.unsqueeze(value, [axis + 1]);
      const widths = new Array<number>(2 * dims.length + 2).fill(0);
      widths[dims.length + 1 + axis + 1] = stride - 1;
      current[axis] = length * stride;
      const merged = current.map((dim) => (typeof dim === "number" ? dim : -1));
      value = b.reshape(b.op("Pad", [apart, b.ints(widths)]), merged);
    }
    before[axis] = low;
    after[axis] = size - low - length * stride;
  }
  return [...before, ...after].every((pad) => pad === 0)
    ? value
    : b.op("Pad", [value, b.ints([...before, ...after])]);
}

/** The adjoint for bounds that are known only at run time: the same slice of the positions says where to put it. */
function scatterSlice({ b, g, x }: RuleContext): string {
  const source = x[0]!;
  const shape = b.shapeOf(source);
  const all = b.op("Range", [b.int(0), b.count(source), b.int(1)]);
  const positions = b.op("Slice", [b.op("Reshape", [all, shape]), x[1]!, x[2]!, x[3] || null, x[4] || null]);
  return scatterFlat(b, g, positions, source);
}

/** Zeros shaped as `like`, with `g` added at flat positions. */
export function scatterFlat(b: Builder, g: string, positions: string, like: string): string {
  const zeros = b.op("Expand", [b.scalar(0, g), b.op("Reshape", [b.count(like), b.ints([1])])]);
  const flat = [positions, g].map((value) => b.op("Reshape", [value, b.ints([-1])]));
  const summed = b.op("ScatterElements", [zeros, flat[0]!, flat[1]!], { axis: 0, reduction: "add" });
  return b.op("Reshape", [summed, b.shapeOf(like)], { allowzero: 1 });
}

// Gathering. Indices may repeat, so the adjoint adds up.
define("Gather", ({ b, g, x, node, rank, axis: normal }) => [
  () => {
    const source = x[0]!;
    const axis = normal(int(node, "axis", 0), rank(source));
    const size = b.shapes.dims(source)![axis]!;
    const index = b.shapes.value(x[1]!);
    if (index?.data.length === 1 && typeof index.data[0] === "number" && typeof size === "number") {
      // One row: the rest is padding.
      const row = index.data[0] < 0 ? index.data[0] + size : index.data[0];
      const widths = new Array<number>(2 * rank(source)).fill(0);
      widths[axis] = row;
      widths[rank(source) + axis] = size - 1 - row;
      const kept =
        index.dims.length === 0 ? b.unsqueeze(g, [axis]) : squeezeTo(b, g, axis, index.dims.length);
      return widths.every((width) => width === 0) ? kept : b.op("Pad", [kept, b.ints(widths)]);
    }
    // Rows in one list: [.., n, ..] with n indices, each spread over the other axes.
    const trailing = rank(source) - 1 - axis;
    const indexRank = rank(x[1]!);
    const rows = indexRank === 1 ? g : b.op("Reshape", [g, rowShape(b, g, source, axis, indexRank)]);
    const list = b.op("Reshape", [x[1]!, b.ints([-1, ...new Array<number>(trailing).fill(1)])]);
    const spread = b.op("Expand", [list, b.op("Shape", [rows])]);
    return b.op("ScatterElements", [b.filledLike(0, source), spread, rows], { axis, reduction: "add" });
  },
  null,
]);

function squeezeTo(b: Builder, g: string, axis: number, indexRank: number): string {
  const extra = Array.from({ length: indexRank - 1 }, (_, i) => axis + 1 + i);
  return extra.length === 0 ? g : b.op("Squeeze", [g, b.ints(extra)]);
}

/** The shape of g with its index axes merged into one. */
function rowShape(b: Builder, g: string, source: string, axis: number, indexRank: number): string {
  const count = b.rank(source)!;
  const own = Array.from({ length: axis }, (_, i) => i);
  const after = Array.from({ length: count - 1 - axis }, (_, i) => axis + indexRank + i);
  const parts = [
    ...(own.length ? [b.sizes(g, own)] : []),
    b.ints([-1]),
    ...(after.length ? [b.sizes(g, after)] : []),
  ];
  return parts.length === 1 ? parts[0]! : b.op("Concat", parts, { axis: 0 });
}

define("GatherElements", ({ b, g, x, node }) => [
  () =>
    b.op("ScatterElements", [b.filledLike(0, x[0]!), x[1]!, g], {
      axis: int(node, "axis", 0),
      reduction: "add",
    }),
  null,
]);

// Padding. Negated pads undo constant padding; the other modes copy, so they are linear maps per axis.
define("Pad", (c) => {
  const { b, g, x, node, fail, rank } = c;
  const mode = string(node, "mode", "constant");
  const inner = (): string => {
    if (mode === "constant") {
      const pads = b.shapes.numbers(x[1]!);
      return b.op("Pad", [
        g,
        pads ? b.ints(pads.map((pad) => -pad)) : b.op("Neg", [x[1]!]),
        null,
        x[3] || null,
      ]);
    }
    const dims = b.shapes.dims(x[0]!);
    const pads = b.shapes.numbers(x[1]!);
    const axes = x[3] ? b.shapes.numbers(x[3]) : dims && dims.map((_, i) => i);
    if (!dims || !pads || !axes) throw fail(`its pads are known only at run time in mode "${mode}"`);
    let value = g;
    axes.forEach((given, i) => {
      const axis = c.axis(given, rank(x[0]!));
      const [before, after] = [pads[i]!, pads[i + axes.length]!];
      if (before === 0 && after === 0) return;
      const size = dims[axis]!;
      if (typeof size !== "number") throw fail(`the size of axis ${axis} is known only at run time`);
      checkMapSize(c, size + before + after, size);
      const from = Array.from({ length: size + before + after }, (_, o) =>
        sourceIndex(mode, o - before, size),
      );
      value = applyTransposed(c, value, axis, selection(c, from, size));
    });
    return value;
  };
  // What does not come from the data comes from the padding value.
  const outer = (): string => {
    const all = (value: string): string =>
      b.sum(
        value,
        Array.from({ length: rank(x[0]!) }, (_, axis) => axis),
        false,
      );
    return b.reshapeLike(b.op("Sub", [all(g), all(inner())]), x[2]!);
  };
  return [inner, null, outer, null];
});

/** The element that padding copies to position `at`, counted from the first element. */
function sourceIndex(mode: string, at: number, size: number): number {
  if (mode === "edge") return Math.min(Math.max(at, 0), size - 1);
  if (mode === "wrap") return ((at % size) + size) % size;
  if (size === 1) return 0;
  const period = 2 * (size - 1);
  const folded = ((at % period) + period) % period;
  return folded < size ? folded : period - folded;
}

// Rearranging blocks of pixels.
define("SpaceToDepth", ({ b, g, node }) => [
  () => b.op("DepthToSpace", [g], { blocksize: int(node, "blocksize", 1), mode: "DCR" }),
]);
define("DepthToSpace", ({ b, g, x, node, fail }) => [
  () => {
    const blocksize = int(node, "blocksize", 1);
    const packed = b.op("SpaceToDepth", [g], { blocksize });
    if (string(node, "mode", "DCR") === "DCR") return packed;
    // Channels come out as [block, block, depth] and were [depth, block, block].
    const channels = b.shapes.dims(x[0]!)?.[1];
    if (typeof channels !== "number") throw fail("its number of channels is known only at run time");
    if (channels > 1 << 20) throw fail("it has too many channels");
    const blocks = blocksize * blocksize;
    const depth = channels / blocks;
    const order = Array.from({ length: channels }, (_, i) => (i % blocks) * depth + Math.floor(i / blocks));
    return b.op("Gather", [packed, b.constant(order, [channels], DataType.INT64)], { axis: 1 });
  },
]);
