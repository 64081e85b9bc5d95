/** Convolutions. */
import { int, ints, string } from "../attributes.js";
import type { Builder } from "../builder.js";
import { isFloat } from "../tensors.js";
import { define, type RuleContext } from "./rule.js";
import { distribute, pads, reach, slidingWindows, spread, type Windows } from "./windows.js";

// x [N, C, ...], W [M, C / group, ...kernel], bias [M], y [N, M, ...]
define("Conv", (c) => {
  const { b, g, x, node } = c;
  const group = int(node, "group", 1);
  const windows = (): Windows => slidingWindows(c, x[0]!, b.shapes.dims(x[1]!)?.slice(2) ?? null);
  return [
    () => {
      const w = windows();
      return rotatedConv(c, w, group) ?? spread(c, g, x[1]!, group, w, x[0]!);
    },
    () => weightAdjoint(c, x[0]!, g, windows(), group),
    () => biasAdjoint(c),
  ];
});

// x [N, C, ...], W [C, M / group, ...kernel], bias [M], y [N, M, ...]: the adjoint of a Conv from y to x, so its
// own adjoint is that Conv.
define("ConvTranspose", (c) => {
  const { b, g, x, node } = c;
  const group = int(node, "group", 1);
  return [
    () => {
      const w = transposedWindows(c);
      return b.op("Conv", [g, x[1]!], {
        kernel_shape: w.kernel,
        strides: w.strides,
        dilations: w.dilations,
        pads: pads(w),
        group,
      });
    },
    () => weightAdjoint(c, g, x[0]!, transposedWindows(c), group),
    () => biasAdjoint(c),
  ];
});

function biasAdjoint({ b, g, y, rank }: RuleContext): string {
  const axes = Array.from({ length: rank(y) }, (_, axis) => axis).filter((axis) => axis !== 1);
  return b.sum(g, axes, false);
}

/**
 * With stride 1 the adjoint is a convolution itself, with the kernel rotated and its channels swapped. ONNX
 * Runtime's Conv is up to three times faster than its ConvTranspose. A constant kernel is turned by a few nodes that the
 * runtime folds when it opens the session, so neither this process's event loop nor the file carries a second copy. For
 * kernels of one element it is 1.6 times as fast, most of it as the layout stays (blocked.ts). null where it does not apply.
 */
function rotatedConv(c: RuleContext, w: Windows, group: number): string | null {
  const { b, g, x } = c;
  if (w.strides.some((stride) => stride !== 1)) return null;
  const before = w.before.map((pad, i) => reach(w, i) - 1 - pad);
  const after = w.after.map((pad, i) => reach(w, i) - 1 - pad);
  if ([...before, ...after].some((pad) => pad < 0)) return null;
  const kernel = rotatedKernel(c, x[1]!, group);
  if (kernel === null) return null;
  return b.op("Conv", [g, kernel], {
    kernel_shape: w.kernel,
    strides: w.strides,
    dilations: w.dilations,
    pads: [...before, ...after],
    group,
  });
}

/** Kernels that several nodes share are rotated once. */
const rotatedKernels = new WeakMap<Builder, Map<string, string>>();

/** W [M, C / group, ...k] of a constant → [C, M / group, ...k reversed], or null when W follows from more than constants. */
function rotatedKernel({ b }: RuleContext, name: string, group: number): string | null {
  const dims = b.isConstant(name) && isFloat(b.shapes.elemType(name)) ? b.shapes.staticDims(name) : null;
  if (!dims) return null;
  const [outputs, inputs, ...kernel] = dims as [number, number, ...number[]];
  if (outputs % group !== 0) return null;
  const cache = rotatedKernels.get(b) ?? new Map<string, string>();
  rotatedKernels.set(b, cache);
  const key = `${group}:${name}`;
  const before = cache.get(key);
  if (before !== undefined) return before;
  const spatial = kernel.map((_, i) => i + 2);
  let swapped: string;
  if (group === 1) swapped = b.op("Transpose", [name], { perm: [1, 0, ...spatial] });
  else {
    const parts = b.reshape(name, [group, outputs / group, inputs, ...kernel]);
    const turned = b.op("Transpose", [parts], { perm: [0, 2, 1, ...spatial.map((axis) => axis + 1)] });
    swapped = b.reshape(turned, [group * inputs, outputs / group, ...kernel]);
  }
  if (kernel.every((size) => size === 1)) {
    cache.set(key, swapped);
    return swapped;
  }
  // From the last element backwards to before the first.
  const all = (value: number): string => b.ints(kernel.map(() => value));
  const rotated = b.op("Slice", [swapped, all(-1), all(-(2 ** 31)), b.ints(spatial), all(-1)]);
  cache.set(key, rotated);
  return rotated;
}

/** The windows of a ConvTranspose: those of the Conv it is the adjoint of, from y to x. */
function transposedWindows(c: RuleContext): Windows {
  const { b, x, y, node } = c;
  const mode = string(node, "auto_pad", "NOTSET");
  const w = slidingWindows(
    {
      ...c,
      node: { ...node, attributes: new Map([...node.attributes].filter(([key]) => key !== "auto_pad")) },
    },
    x[0]!,
    b.shapes.dims(x[1]!)?.slice(2) ?? null,
  );
  const extra = ints(node, "output_padding") ?? w.kernel.map(() => 0);
  const fixed = ints(node, "output_shape");
  w.kernel.forEach((_, i) => {
    const stride = w.strides[i]!;
    if (mode === "VALID") w.before[i] = w.after[i] = 0;
    else if (fixed) {
      const size = b.shapes.dims(x[0]!)![i + 2]!;
      if (typeof size !== "number")
        throw c.fail("its padding follows from a size that is known only at run time");
      const out = fixed[i + fixed.length - w.kernel.length]!;
      distribute(
        w,
        i,
        Math.max(0, stride * (size - 1) + extra[i]! + reach(w, i) - out),
        mode === "SAME_UPPER",
      );
    } else if (mode.startsWith("SAME"))
      distribute(w, i, Math.max(0, extra[i]! + reach(w, i) - stride), mode === "SAME_UPPER");
    // Output padding of a stride or more would make the Conv one element larger than x.
    if (extra[i]! >= stride) {
      if (w.after[i]! < extra[i]!) throw c.fail(`its output padding on ${y} is not below the stride`);
      w.after[i] = w.after[i]! - extra[i]!;
    }
  });
  return w;
}

/**
 * The adjoint of the kernel [small channels, big channels / group, ...k] of a Conv from `big` to `small`, as a Conv
 * over the batch: images and channels change places, stride and dilation too.
 */
function weightAdjoint(c: RuleContext, big: string, small: string, w: Windows, group: number): string {
  const { b } = c;
  const rank = w.kernel.length + 2;
  const spatial = Array.from({ length: rank - 2 }, (_, i) => i + 2);
  const swap = [1, 0, ...spatial];
  let images: string;
  if (group === 1) images = b.op("Transpose", [big], { perm: swap });
  else {
    const channels = b.shapes.dims(big)?.[1];
    const each =
      typeof channels === "number" ? channels / group : b.op("Div", [b.sizes(big, [1]), b.ints([group])]);
    const sizes = spatial.map((axis) => b.sizes(big, [axis]));
    const parts = b.reshape(big, [b.sizes(big, [0]), group, each, ...sizes]);
    const turned = b.op("Transpose", [parts], { perm: [2, 1, 0, ...spatial.map((axis) => axis + 1)] });
    images = b.reshape(turned, [each, -1, ...sizes]);
  }
  const kernels = b.op("Transpose", [small], { perm: swap });
  const all = b.op("Conv", [images, kernels], {
    strides: w.dilations,
    dilations: w.strides,
    pads: pads(w),
    group,
  });
  const cut = b.op("Slice", [all, b.ints(spatial.map(() => 0)), b.ints(w.kernel), b.ints(spatial)]);
  return b.op("Transpose", [cut], { perm: swap });
}
