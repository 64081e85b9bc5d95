/** Resize: a linear map per axis, with the coordinates that the ONNX specification and ONNX Runtime use. */
import { float, int, ints, string } from "../attributes.js";
import { same } from "../shapes/dims.js";
import { DataType } from "../tensors.js";
import { applyMap, applyTransposed, isIdentity, zeroMap, type LinearMap } from "./linear-map.js";
import { define, type NodeContext, type RuleContext } from "./rule.js";

define("Resize", (c) => [() => resizeAdjoint(c), null, null, null]);

interface Axis {
  axis: number;
  size: number;
  length: number;
  scale: number;
}

/** The resized image by products with constant matrices, one for each axis that changes. */
export function resizeByMaps(c: NodeContext): string {
  return resizedAxes(c).reduce((value, axis) => applyMap(c, value, axis.axis, axisMap(c, axis)), c.x[0]!);
}

function resizeAdjoint(c: RuleContext): string {
  const { b, g, x } = c;
  const whole = wholeScales(c);
  if (whole) return blockSums(c, whole);
  const maps = resizedAxes(c).map((axis) => ({ axis: axis.axis, map: axisMap(c, axis) }));
  const repeats = maps.map(({ map }) => repetition(map));
  const pooled = maps.length > 0 && maps.every(({ axis }, i) => repeats[i]! > 0 && axis >= 2);
  if (pooled && b.shapes.elemType(g) === DataType.FLOAT && c.rank(x[0]!) <= 5) {
    const factors = new Array<number>(c.rank(x[0]!)).fill(1);
    maps.forEach(({ axis }, i) => (factors[axis] = repeats[i]!));
    return blockSums(c, factors);
  }
  return maps.reduce((value, { axis, map }) => applyTransposed(c, value, axis, map), g);
}

/** Sums over blocks of the spatial axes, the adjoint of repeating pixels. */
function blockSums({ b, g }: RuleContext, factors: readonly number[]): string {
  const kernel = factors.slice(2);
  const area = kernel.reduce((p, q) => p * q, 1);
  if (area === 1) return g;
  return b.op("Mul", [
    b.op("AveragePool", [g], { kernel_shape: kernel, strides: kernel }),
    b.scalar(area, g),
  ]);
}

/** Whole scales in the mode that repeats pixels, for which no size need be known. */
function wholeScales(c: RuleContext): number[] | null {
  const { b, g, x, node } = c;
  const scales = x[2] ? b.shapes.numbers(x[2]) : null;
  const plain =
    string(node, "mode", "nearest") === "nearest" &&
    string(node, "coordinate_transformation_mode", "half_pixel") === "asymmetric" &&
    string(node, "nearest_mode", "round_prefer_floor") === "floor" &&
    b.shapes.elemType(g) === DataType.FLOAT;
  const rank = c.rank(x[0]!);
  if (!plain || scales?.length !== rank || rank < 3 || rank > 5 || ints(node, "axes")) return null;
  return scales.every((scale, axis) => Number.isInteger(scale) && scale >= 1 && (axis >= 2 || scale === 1))
    ? scales
    : null;
}

/** The axes that change, with their sizes before and after. */
function resizedAxes(c: NodeContext): Axis[] {
  const { b, x, y, node, fail } = c;
  const rank = c.rank(x[0]!);
  const from = b.shapes.dims(x[0]!)!;
  const to = b.shapes.dims(y);
  const axes = ints(node, "axes")?.map((axis) => c.axis(axis, rank)) ?? from.map((_, axis) => axis);
  const scales = x[2] ? b.shapes.numbers(x[2]) : null;
  const sizes = x[3] ? b.shapes.sizes(x[3]) : null;
  const policy = string(node, "keep_aspect_ratio_policy", "stretch");
  if (!scales && !sizes) throw fail("its scales are known only at run time");
  let common: number | null = null;
  if (sizes && policy !== "stretch") {
    const ratios = axes.map((axis, i) => Number(sizes[i]) / Number(from[axis]));
    if (ratios.some(Number.isNaN)) throw fail("its sizes are known only at run time");
    common = Math.fround(policy === "not_larger" ? Math.min(...ratios) : Math.max(...ratios));
  }
  return axes.flatMap((axis, i): Axis[] => {
    const size = from[axis]!;
    if (scales?.[i] === 1 || (sizes && common === null && same(sizes[i]!, size))) return [];
    const length = common !== null ? Math.floor(common * Number(size) + 0.5) : (to?.[axis] ?? null);
    if (typeof size !== "number" || typeof length !== "number")
      throw fail(`the size of axis ${axis} is known only at run time`);
    return [{ axis, size, length, scale: common ?? Math.fround(scales ? scales[i]! : length / size) }];
  });
}

/** The factor by which a map repeats every element, or 0 when it does something else. */
function repetition(map: LinearMap): number {
  const factor = map.rows / map.columns;
  if (!Number.isInteger(factor)) return 0;
  if (isIdentity(map)) return 1;
  for (let row = 0; row < map.rows; row++)
    for (let column = 0; column < map.columns; column++)
      if (map.data[row * map.columns + column] !== (column === Math.floor(row / factor) ? 1 : 0)) return 0;
  return factor;
}

function axisMap(c: NodeContext, axis: Axis): LinearMap {
  const mode = string(c.node, "mode", "nearest");
  const map = zeroMap(c, axis.length, axis.size);
  const add = (row: number, column: number, weight: number): void => {
    map.data[row * map.columns + Math.min(Math.max(column, 0), axis.size - 1)]! += weight;
  };
  const smooth = int(c.node, "antialias", 0) !== 0 && axis.scale < 1;
  for (let row = 0; row < axis.length; row++) {
    const at = coordinate(c, row, axis);
    if (mode === "nearest") add(row, nearest(c, at), 1);
    else if (smooth) filtered(c, mode, at, axis, (column, weight) => add(row, column, weight));
    else if (mode === "linear") {
      const inside = Math.min(Math.max(at, 0), axis.size - 1);
      const left = Math.floor(inside);
      add(row, left, 1 - (inside - left));
      add(row, left + 1, inside - left);
    } else cubic(c, at, axis, (column, weight) => add(row, column, weight));
  }
  return map;
}

/** Where output position `row` lies in the input. In float32, as rounding to the nearest element depends on it. */
function coordinate(c: NodeContext, row: number, { size, length, scale }: Axis): number {
  const f = Math.fround;
  const halfPixel = (): number => f(f(f(row + 0.5) / scale) - 0.5);
  const mode = string(c.node, "coordinate_transformation_mode", "half_pixel");
  switch (mode) {
    case "asymmetric":
      return f(row / scale);
    case "align_corners":
      return length === 1 ? 0 : f(f(row * (size - 1)) / (length - 1));
    case "half_pixel":
      return halfPixel();
    case "pytorch_half_pixel":
      return length > 1 ? halfPixel() : 0;
    case "half_pixel_symmetric": {
      const adjusted = f(length / f(scale * size));
      return f(f((size / 2) * f(1 - adjusted)) + halfPixel());
    }
    default:
      throw c.fail(`its coordinate mode "${mode}" has no gradient`);
  }
}

function nearest(c: NodeContext, at: number): number {
  switch (string(c.node, "nearest_mode", "round_prefer_floor")) {
    case "floor":
      return Math.floor(at);
    case "ceil":
      return Math.ceil(at);
    case "round_prefer_ceil":
      return Math.floor(at + 0.5);
    default:
      return Math.ceil(at - 0.5);
  }
}

/** The cubic convolution kernel at distance `d`. */
function cubicKernel(d: number, a: number): number {
  const t = Math.abs(d);
  if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
}

function cubic(
  c: NodeContext,
  at: number,
  { size }: Axis,
  add: (column: number, weight: number) => void,
): void {
  const a = float(c.node, "cubic_coeff_a", -0.75);
  const exclude = int(c.node, "exclude_outside", 0) !== 0;
  const first = Math.floor(at) - 1;
  const taps = [0, 1, 2, 3]
    .map((i) => first + i)
    .filter((column) => !exclude || (column >= 0 && column < size));
  const weights = taps.map((column) => cubicKernel(at - column, a));
  const total = exclude ? weights.reduce((p, q) => p + q, 0) : 1;
  taps.forEach((column, i) => add(column, weights[i]! / total));
}

/**
 * Antialiasing: the kernel is stretched over 1 / scale elements and normalised. What falls outside counts for the
 * element at the edge.
 */
function filtered(
  c: NodeContext,
  mode: string,
  at: number,
  { size, scale }: Axis,
  add: (column: number, weight: number) => void,
): void {
  const a = float(c.node, "cubic_coeff_a", -0.75);
  const kernel = (d: number): number =>
    mode === "linear" ? Math.max(0, 1 - Math.abs(d)) : cubicKernel(d, a);
  const support = (mode === "linear" ? 1 : 2) / scale;
  const centre = at + 0.5;
  const exclude = int(c.node, "exclude_outside", 0) !== 0;
  const first = Math.floor(centre - support + 0.5);
  const count = Math.floor(centre + support + 0.5) - first;
  if (!(count <= 1 << 16)) throw c.fail("its scale is too small");
  const columns = Array.from({ length: count }, (_, i) => first + i).filter(
    (column) => !exclude || (column >= 0 && column < size),
  );
  const weights = columns.map((column) => kernel((column + 0.5 - centre) * scale));
  const total = weights.reduce((p, q) => p + q, 0);
  columns.forEach((column, i) => add(column, weights[i]! / total));
}
