/** Fourier transforms of real and complex signals; a complex number is the last axis, of size 2. */
import { int } from "../attributes.js";
import { define, expanded, type RuleContext } from "./rule.js";

// Y = F X along an axis, a signal cut or padded to n. The adjoint is conj(F)ᵀ = n F⁻¹, and that of F⁻¹ is F / n: each is the
// other direction. What the node left out of X and Y (one half, imaginary parts, what was cut) is zero.
define("DFT", (c) => [() => adjoint(c), null, null]);

function adjoint(c: RuleContext): string {
  const { b, g, x, y, node, rank, fail } = c;
  const count = rank(x[0]!);
  const asInput = b.graph.opsets.get("")! >= 20;
  const given = asInput ? (x[2] ? b.shapes.numbers(x[2])?.[0] : -2) : int(node, "axis", 1);
  if (given === undefined) throw fail("its axis is known only at run time");
  const axis = c.axis(given, count);
  const [size, bins] = [b.shapes.dims(x[0]!)![axis]!, b.shapes.dims(y)?.[axis] ?? null];
  const length = x[1] ? b.shapes.numbers(x[1])?.[0] : size;
  if (typeof size !== "number" || typeof length !== "number")
    throw fail("the length of its signal is known only at run time");
  const [inverse, half] = [int(node, "inverse", 0) !== 0, int(node, "onesided", 0) !== 0];
  if (inverse && half) throw fail("its inverse of one half is not supported");
  const parts = b.shapes.dims(x[0]!)![count - 1];
  if (parts !== 1 && parts !== 2) throw fail("whether its signal is real is known only at run time");

  const resized = (value: string, from: number, to: number): string =>
    from === to ? value : b.op("Pad", [value, b.ints([0, to - from]), null, b.ints([axis])]);
  const full = half ? resized(g, typeof bins === "number" ? bins : Math.floor(length / 2) + 1, length) : g;
  const direction = { inverse: inverse ? 0 : 1 };
  const back = asInput
    ? b.op("DFT", [full, null, b.int(axis)], direction)
    : b.op("DFT", [full], { ...direction, axis });
  const scaled = b.op("Mul", [back, b.scalar(inverse ? 1 / length : length, back)]);
  const real = parts === 1 ? b.op("Slice", [scaled, b.ints([0]), b.ints([1]), b.ints([count - 1])]) : scaled;
  return resized(real, length, size);
}

// signal [N, length, 1 or 2] → [N, frames, bins, 2]: windows of the signal, transformed.
define(
  "STFT",
  expanded(({ b, x, y, node, fail }) => {
    const [signal, step, window] = [x[0]!, b.shapes.numbers(x[1]!)?.[0], x[2] || null];
    const size = window ? b.shapes.dims(window)?.[0] : x[3] ? b.shapes.numbers(x[3])?.[0] : undefined;
    const length = b.shapes.dims(signal)?.[1];
    if (typeof length !== "number" || typeof size !== "number" || step === undefined || step < 1)
      throw fail("its length, step or window is known only at run time");
    const frames = Math.floor((length - size) / step) + 1;
    if (!(frames >= 1 && frames * size <= 1 << 24)) throw fail("it has too many frames, or none");
    const places = Array.from({ length: frames * size }, (_, i) => Math.floor(i / size) * step + (i % size));
    let cut = b.op("Gather", [signal, b.constant(places, [frames, size], 7)], { axis: 1 });
    if (window) cut = b.op("Mul", [cut, b.unsqueeze(window, [1])]);
    const onesided = int(node, "onesided", 1);
    const bins =
      b.graph.opsets.get("")! >= 20
        ? b.op("DFT", [cut, null, b.int(2)], { onesided })
        : b.op("DFT", [cut], { onesided, axis: 2 });
    return b.reshapeLike(bins, y);
  }),
);
