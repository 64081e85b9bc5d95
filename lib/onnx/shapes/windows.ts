/** Shape rules of convolutions, pools and resizing. */
import { int, ints, string } from "../attributes.js";
import type { Dim } from "../graph.js";
import { DataType } from "../tensors.js";
import type { InferContext } from "./context.js";
import { divide, multiply, product } from "./dims.js";
import { define, normalAxis, rankOnly } from "./table.js";

/** The size of one axis after a window slides over it (Conv, pools). */
function slide(
  c: InferContext,
  size: Dim,
  kernel: Dim,
  stride: number,
  dilation: number,
  pads: [number, number],
  ceil: boolean,
): Dim {
  const mode = string(c.node, "auto_pad", "NOTSET");
  if (typeof kernel !== "number" || !(stride > 0) || size === null) return null;
  const reach = dilation * (kernel - 1) + 1;
  if (!Number.isSafeInteger(reach) || !Number.isSafeInteger(pads[0] + pads[1])) return null;
  if (mode === "SAME_UPPER" || mode === "SAME_LOWER")
    return typeof size === "number"
      ? Math.ceil(size / stride)
      : stride === 1
        ? size
        : c.derive(`ceil(${size}/${stride})`);
  const padding = mode === "VALID" ? 0 : pads[0] + pads[1];
  if (typeof size !== "number")
    return stride === 1 && padding === reach - 1
      ? size
      : c.derive(`slide(${size},${reach},${stride},${padding},${ceil})`);
  const steps = (size + padding - reach) / stride;
  // A window larger than the data: ONNX Runtime's integer division makes one place of it, others make none.
  if (steps < 0) return null;
  let count = (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1;
  // A window that would start in the padding behind the data is left out.
  if (ceil && (count - 1) * stride >= size + pads[0]) count--;
  return count;
}

function window(c: InferContext, channels: Dim, kernel: readonly Dim[] | null, outputs: number): void {
  const x = c.dims(0);
  const type = c.type(0).elemType;
  const spatial = x ? x.length - 2 : 0;
  if (!x || spatial < 1 || kernel?.length !== spatial)
    return c.set(0, type, x && x.length > 2 ? x.map((d, i) => (i === 0 ? d : null)) : null);
  const ones = new Array<number>(spatial).fill(1);
  const strides = ints(c.node, "strides") ?? ones;
  const dilations = ints(c.node, "dilations") ?? ones;
  const pads = ints(c.node, "pads") ?? new Array<number>(2 * spatial).fill(0);
  const ceil = int(c.node, "ceil_mode", 0) !== 0;
  const sizes = x
    .slice(2)
    .map((size, i) =>
      slide(
        c,
        size,
        kernel[i]!,
        strides[i] ?? 1,
        dilations[i] ?? 1,
        [pads[i] ?? 0, pads[i + spatial] ?? 0],
        ceil,
      ),
    );
  c.set(0, type, [x[0]!, channels, ...sizes]);
  if (outputs > 1) c.set(1, DataType.INT64, [x[0]!, channels, ...sizes]);
}

define("Conv", (c) => {
  const w = c.dims(1);
  window(c, w?.[0] ?? null, ints(c.node, "kernel_shape") ?? w?.slice(2) ?? null, 1);
});
define("MaxPool AveragePool LpPool", (c) =>
  window(c, c.dims(0)?.[1] ?? null, ints(c.node, "kernel_shape"), 2),
);
define("GlobalAveragePool GlobalMaxPool GlobalLpPool", (c) =>
  c.set(0, c.type(0).elemType, c.dims(0)?.map((dim, i) => (i < 2 ? dim : 1)) ?? null),
);
define("ConvTranspose", (c) => {
  const [x, w] = [c.dims(0), c.dims(1)];
  const type = c.type(0).elemType;
  if (!x || !w || x.length < 3 || w.length !== x.length) return c.set(0, type, null);
  const spatial = x.length - 2;
  const list = (name: string, fill: number): number[] =>
    ints(c.node, name) ?? new Array<number>(2 * spatial).fill(fill);
  const [strides, dilations, pads, extra] = [
    list("strides", 1),
    list("dilations", 1),
    list("pads", 0),
    list("output_padding", 0),
  ];
  const fixed = ints(c.node, "output_shape");
  const mode = string(c.node, "auto_pad", "NOTSET");
  const sizes = x.slice(2).map((size, i): Dim => {
    if (fixed) return fixed[i] ?? null;
    const kernel = w[i + 2]!;
    if (size === null || typeof kernel !== "number") return null;
    if (mode.startsWith("SAME")) return multiply(size, strides[i]!);
    const padding = mode === "VALID" ? 0 : pads[i]! + pads[i + spatial]!;
    const rest = extra[i]! + dilations[i]! * (kernel - 1) + 1 - padding - strides[i]!;
    if (!Number.isSafeInteger(rest)) return null;
    if (typeof size === "number") return strides[i]! * size + rest;
    return rest === 0 ? multiply(size, strides[i]!) : c.derive(`${strides[i]}*${size}+${rest}`);
  });
  c.set(0, type, [x[0]!, multiply(w[1]!, int(c.node, "group", 1)), ...sizes]);
});
define("MaxUnpool", (c) => {
  const [x, kernel] = [c.dims(0), ints(c.node, "kernel_shape")];
  const type = c.type(0).elemType;
  if (c.has(2)) return c.set(0, type, c.sizes(2) ?? rankOnly(c.dims(2)));
  const spatial = kernel?.length ?? 0;
  const strides = ints(c.node, "strides") ?? new Array<number>(spatial).fill(1);
  const pads = ints(c.node, "pads") ?? new Array<number>(2 * spatial).fill(0);
  const grow = (dim: Dim, i: number): Dim =>
    typeof dim === "number" ? (dim - 1) * strides[i]! + kernel![i]! - pads[i]! - pads[i + spatial]! : null;
  const known = x !== null && x.length === spatial + 2;
  c.set(0, type, known ? [x[0]!, x[1]!, ...x.slice(2).map(grow)] : null);
});
define("GridSample", (c) => {
  const [x, grid] = [c.dims(0), c.dims(1)];
  const known = x && grid && x.length === grid.length && x.length >= 3;
  c.set(0, c.type(0).elemType, known ? [x[0]!, x[1]!, ...grid.slice(1, -1)] : null);
});
define("AffineGrid", (c) => {
  const [theta, size] = [c.dims(0), c.sizes(1)];
  const known = theta?.length === 3 && size && size.length >= 3;
  c.set(0, c.type(0).elemType, known ? [theta[0]!, ...size.slice(2), size.length - 2] : null);
});
define("Col2Im", (c) => {
  const [x, image, block] = [c.dims(0), c.sizes(1), c.sizes(2)];
  const known = x?.length === 3 && image && block;
  c.set(0, c.type(0).elemType, known ? [x[0]!, divide(x[1]!, product(block)), ...image] : null);
});
define("Resize", (c) => {
  const x = c.dims(0);
  const type = c.type(0).elemType;
  if (!x) return c.set(0, type, null);
  const axes = ints(c.node, "axes")?.map((axis) => normalAxis(axis, x.length)) ?? x.map((_, i) => i);
  const [scales, sizes] = [c.numbers(2), c.sizes(3)];
  const exact = string(c.node, "keep_aspect_ratio_policy", "stretch") === "stretch";
  c.set(
    0,
    type,
    x.map((size, axis): Dim => {
      const at = axes.indexOf(axis);
      if (at < 0) return size;
      if (sizes) return exact ? (sizes[at] ?? null) : null;
      const scale = scales?.[at];
      if (scale === undefined || size === null) return null;
      // The runtime multiplies in float32: 3 · (5/3) are 5 there.
      if (typeof size === "number") return Math.floor(Math.fround(size * Math.fround(scale)));
      return Number.isInteger(scale) && scale > 0
        ? multiply(size, scale)
        : c.derive(`floor(${size}*${scale})`);
    }),
  );
});
