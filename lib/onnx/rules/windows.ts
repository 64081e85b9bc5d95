/** What convolutions and pools share: the geometry of a window that slides over the spatial axes. */
import { ints, string } from "../attributes.js";
import type { Dim } from "../graph.js";
import { isStatic } from "../shapes/dims.js";
import type { NodeContext } from "./rule.js";

export interface Windows {
  /** Sizes along the spatial axes, axis by axis. */
  kernel: number[];
  strides: number[];
  dilations: number[];
  before: number[];
  after: number[];
}

/** Elements between the first and the last that a window covers, both included. */
export function reach(w: Windows, i: number): number {
  return w.dilations[i]! * (w.kernel[i]! - 1) + 1;
}

export function pads(w: Windows): number[] {
  return [...w.before, ...w.after];
}

/** The windows of a Conv or pool node over `x` [N, C, ...spatial]. */
export function slidingWindows(c: NodeContext, x: string, kernelDims: readonly Dim[] | null): Windows {
  const { node } = c;
  const spatial = c.rank(x) - 2;
  const kernel = ints(node, "kernel_shape") ?? kernelDims;
  if (!isStatic(kernel as Dim[] | null) || kernel!.length !== spatial || spatial < 1)
    throw c.fail("the size of its window is known only at run time");
  const list = (name: string, fill: number, length = spatial): number[] => {
    const values = ints(node, name) ?? new Array<number>(length).fill(fill);
    if (values.length !== length)
      throw c.fail(`its attribute ${name} has ${values.length} entries, expected ${length}`);
    return values;
  };
  const padding = list("pads", 0, 2 * spatial);
  const w: Windows = {
    kernel: kernel as number[],
    strides: list("strides", 1),
    dilations: list("dilations", 1),
    before: padding.slice(0, spatial),
    after: padding.slice(spatial),
  };
  const mode = string(node, "auto_pad", "NOTSET");
  if (mode === "VALID") w.before = w.after = new Array<number>(spatial).fill(0);
  if (mode.startsWith("SAME")) samePadding(c, w, x, mode === "SAME_UPPER");
  return w;
}

/** Padding so that the output has ⌈size / stride⌉ elements; an odd one goes behind (upper) or in front. */
function samePadding(c: NodeContext, w: Windows, x: string, upper: boolean): void {
  w.kernel.forEach((_, i) => {
    const size = c.b.shapes.dims(x)![i + 2]!;
    const stride = w.strides[i]!;
    if (typeof size !== "number" && stride !== 1)
      throw c.fail(`its padding follows from the size of axis ${i + 2}, which is known only at run time`);
    const last = typeof size === "number" ? (Math.ceil(size / stride) - 1) * stride - size : -1;
    distribute(w, i, Math.max(0, last + reach(w, i)), upper);
  });
}

export function distribute(w: Windows, i: number, total: number, upper: boolean): void {
  w.before[i] = upper ? Math.floor(total / 2) : Math.ceil(total / 2);
  w.after[i] = total - w.before[i]!;
}

/**
 * The adjoint of sliding windows: every element of `g` [N, M, ...] is spread over its window of `like`
 * [N, C, ...] with the weights [M, C / group, ...kernel].
 */
export function spread(
  c: NodeContext,
  g: string,
  weights: string,
  group: number,
  w: Windows,
  like: string,
): string {
  const { b } = c;
  const sizes = b.shapes.dims(like)!.slice(2);
  const steps = b.shapes.dims(g)?.slice(2) ?? sizes.map(() => null);
  const extra: number[] = [];
  const after: number[] = [];
  let exact = true;
  sizes.forEach((size, i) => {
    const [count, stride] = [steps[i] ?? null, w.strides[i]!];
    if (typeof size === "number" && typeof count === "number") {
      const beyond = (count - 1) * stride + reach(w, i) - w.before[i]! - size;
      after.push(Math.max(0, beyond));
      extra.push(Math.max(0, -beyond));
    } else {
      // The rest that the windows leave over is below the stride: make the result that much larger, then cut.
      const kept = Math.max(0, w.after[i]! - (stride - 1));
      after.push(kept);
      extra.push(stride - 1 - (w.after[i]! - kept));
      exact &&= stride === 1;
    }
  });
  const all = b.op("ConvTranspose", [g, weights], {
    kernel_shape: w.kernel,
    strides: w.strides,
    dilations: w.dilations,
    group,
    pads: [...w.before, ...after],
    ...(extra.some((pad) => pad > 0) ? { output_padding: extra } : {}),
  });
  if (exact) return all;
  const axes = sizes.map((_, i) => i + 2);
  return b.op("Slice", [all, b.ints(axes.map(() => 0)), b.sizes(like, axes), b.ints(axes)]);
}
