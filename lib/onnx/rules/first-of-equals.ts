/**
 * The adjoints of max pools without the places of their winners, which WebGPU's kernels do not tell, and CUDA's do not promise
 * to choose among equals as the CPU's do. What every kernel gives is the largest value; which elements equal it, and which of
 * these comes first, is found by comparisons, so the choice is the CPU's to the bit.
 */
import { int } from "../attributes.js";
import type { Builder } from "../builder.js";
import { isStatic } from "../shapes/dims.js";
import { DataType } from "../tensors.js";
import type { RuleContext } from "./rule.js";
import { reach, slidingWindows, spread, type Windows } from "./windows.js";

/** Elements of a window, each of which costs a copy of the output. */
const largestWindow = 1 << 10;

/** g at the first of the elements of each window that equal y; it adds up where windows overlap. */
export function placedAtFirst(c: RuleContext): string {
  const { b, g, x, y, rank } = c;
  const w = slidingWindows(c, x[0]!, null);
  const area = w.kernel.reduce((p, q) => p * q, 1);
  if (area > largestWindow) throw c.fail(`its window of ${area} elements is too large`);
  const spatial = rank(x[0]!) - 2;
  // [N, C, area, ...output]: each window's elements side by side.
  const elements = windowElements(c, w).map((value) => b.unsqueeze(value, [2]));
  const stack = elements.length === 1 ? elements[0]! : b.op("Concat", elements, { axis: 2 });
  const places = [1, 1, area, ...new Array<number>(spatial).fill(1)];
  const hit = first(b, stack, b.unsqueeze(y, [2]), 2, numbers(b, area, places, stack));
  const shares = b.op("Where", [hit, b.unsqueeze(g, [2]), b.scalar(0, g)]);
  // Their gradient by hand, for transposed convolutions of more axes are not to be had everywhere.
  if (spatial > 2) {
    const picked = b.op("Where", [hit, stack, b.scalar(0, stack)]);
    return c.vjp(b.op("ReduceSum", [picked, b.ints([2])], { keepdims: 0 }), g, x[0]!)!;
  }
  const sizes = w.kernel.map((_, i) => {
    const size = b.shapes.dims(y)?.[i + 2];
    return typeof size === "number" ? size : b.sizes(y, [i + 2]);
  });
  const images = b.reshape(shares, [-1, area, ...sizes]);
  const one = new Float64Array(area * area);
  for (let i = 0; i < area; i++) one[i * area + i] = 1;
  const weights = b.constantLike(one, [area, 1, ...w.kernel], g);
  return b.op("Reshape", [spread(c, images, weights, 1, w, x[0]!), b.shapeOf(x[0]!)], { allowzero: 1 });
}

/** The elements of all windows, one after the other in the window's row-major order: each [N, C, ...output]. */
function windowElements(c: RuleContext, w: Windows): string[] {
  const { b, x, y } = c;
  const axes = w.kernel.map((_, i) => i + 2);
  // With ceil_mode the last window may reach beyond the padding.
  const beyond =
    int(c.node, "ceil_mode", 0) !== 0 ? w.kernel.map((_, i) => reach(w, i)) : w.kernel.map(() => 0);
  const pads = [...w.before, ...w.after.map((pad, i) => pad + beyond[i]!)];
  const padded = pads.every((pad) => pad === 0)
    ? x[0]!
    : b.op("Pad", [x[0]!, b.ints(pads), b.scalar(-Infinity, x[0]!), b.ints(axes)]);
  const steps = b.shapes.dims(y)?.slice(2) ?? axes.map(() => null);
  // Where the last element of a window's place lies, counted from the first: (steps − 1) · stride + 1.
  const length = isStatic(steps)
    ? steps.map((count, i) => (count - 1) * w.strides[i]! + 1)
    : b.op("Add", [
        b.op("Mul", [b.op("Sub", [b.sizes(y, axes), b.ints([1])]), b.ints(w.strides)]),
        b.ints([1]),
      ]);
  let offsets: number[][] = [[]];
  for (const size of w.kernel)
    offsets = offsets.flatMap((head) => Array.from({ length: size }, (_, i) => [...head, i]));
  return offsets.map((offset) => {
    const starts = offset.map((at, i) => at * w.dilations[i]!);
    const ends =
      typeof length === "string"
        ? b.op("Add", [length, b.ints(starts)])
        : b.ints(length.map((count, i) => starts[i]! + count));
    const taken = b.op("Slice", [padded, b.ints(starts), ends, b.ints(axes), b.ints(w.strides)]);
    b.shapes.adopt(taken, y);
    return taken;
  });
}

/** g at the first element of each image and channel that equals y [N, C, 1, …]. */
export function globallyAtFirst(b: Builder, x: string, y: string, g: string): string {
  const rows = b.op("Reshape", [x, b.ints([0, 0, -1])]);
  const [most, share] = [y, g].map((value) => b.op("Reshape", [value, b.ints([0, 0, 1])]));
  const count = b.shapes.dims(rows)?.[2];
  const places =
    typeof count === "number"
      ? numbers(b, count, [1, 1, count], rows)
      : b.castLike(b.op("Range", [b.int(0), b.op("Squeeze", [b.sizes(rows, [2])]), b.int(1)]), rows);
  const hit = first(b, rows, most!, 2, places);
  return b.reshapeLike(b.op("Where", [hit, share!, b.scalar(0, g)]), x);
}

/** Where along an axis the first element is that equals `most`: `places` counts along it. */
function first(b: Builder, values: string, most: string, axis: number, places: string): string {
  const never = b.scalar(2 ** 24, places);
  const order = b.op("Where", [b.op("Equal", [values, most]), places, never]);
  return b.op("Equal", [places, b.op("ReduceMin", [order, b.ints([axis])], { keepdims: 1 })]);
}

function numbers(b: Builder, count: number, dims: readonly number[], like: string): string {
  const kind = b.shapes.elemType(like) === DataType.DOUBLE ? DataType.DOUBLE : DataType.FLOAT;
  return b.constant(
    Array.from({ length: count }, (_, i) => i),
    dims,
    kind,
  );
}
