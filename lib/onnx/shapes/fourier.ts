/** Shape rules of Fourier transforms. */
import { int } from "../attributes.js";
import type { Dim } from "../graph.js";
import { define, normalAxis } from "./table.js";

const bins = (length: Dim, onesided: boolean): Dim =>
  !onesided ? length : typeof length === "number" ? Math.floor(length / 2) + 1 : null;

// Operator set 20 made the axis an input.
define("DFT", (c) => {
  const x = c.dims(0);
  const attribute = c.node.attributes.has("axis");
  const given = attribute ? int(c.node, "axis", 1) : c.has(2) ? c.numbers(2)?.[0] : c.opset < 20 ? 1 : -2;
  const axis = x && given !== undefined ? normalAxis(given, x.length) : null;
  if (!x || axis === null) return c.set(0, c.type(0).elemType, x && x.map(() => null));
  const length = c.has(1) ? (c.sizes(1)?.[0] ?? null) : x[axis]!;
  const half = int(c.node, "onesided", 0) !== 0;
  const known = !(half && int(c.node, "inverse", 0) !== 0);
  const size = (dim: Dim, at: number): Dim =>
    at === x.length - 1 ? (known ? 2 : null) : at === axis ? (known ? bins(length, half) : null) : dim;
  c.set(0, c.type(0).elemType, x.map(size));
});
define("STFT", (c) => {
  const x = c.dims(0);
  const [step, length] = [c.numbers(1)?.[0], x?.[1]];
  const size = c.has(2) ? c.dims(2)?.[0] : c.numbers(3)?.[0];
  const frames =
    typeof length === "number" && typeof size === "number" && step
      ? Math.floor((length - size) / step) + 1
      : null;
  c.set(0, c.type(0).elemType, x && [x[0]!, frames, bins(size ?? null, int(c.node, "onesided", 1) !== 0), 2]);
});
