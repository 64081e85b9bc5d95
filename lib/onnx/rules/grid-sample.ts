/** GridSample: sums of gathered pixels, weighted by where the grid points between them; and AffineGrid, that makes grids. */
import { int, string } from "../attributes.js";
import { isStatic } from "../shapes/dims.js";
import { define, expanded, type NodeContext } from "./rule.js";

/** A neighbour along one axis: its position and its weight. */
type Tap = [position: string, weight: string | null];

// x [N, C, ...sizes], grid [N, ...outputs, d] with d coordinates in −1 … 1, the last axis first.
define(
  "GridSample",
  expanded((c) => {
    const { b, x, y, rank } = c;
    const d = rank(x[0]!) - 2;
    const sizes = Array.from({ length: d }, (_, i) => b.sizes(x[0]!, [i + 2]));
    // [N, points] of each axis.
    const axes = sizes.map((size, i) => {
      const picked = b.op("Gather", [x[1]!, b.int(d - 1 - i)], { axis: -1 });
      return taps(c, b.reshape(picked, [0, -1]), size);
    });
    const rows = b.reshape(x[0]!, [0, b.sizes(x[0]!, [1]), -1]);
    const terms = product(axes).map((corner) => {
      let [flat, weight] = [b.int(0), null as string | null];
      corner.forEach(([position, w], i) => {
        const inside = within(c, position, sizes[i]!);
        flat = b.op("Add", [b.op("Mul", [flat, sizes[i]!]), inside.index]);
        for (const factor of [w, inside.mask])
          if (factor) weight = weight ? b.op("Mul", [weight, factor]) : factor;
      });
      const shape = b.op("Concat", [b.sizes(rows, [0, 1]), b.ints([1])], { axis: 0 });
      const everyChannel = b.op("Expand", [b.unsqueeze(flat, [1]), shape]);
      const pixels = b.op("GatherElements", [rows, everyChannel], { axis: 2 });
      return weight ? b.op("Mul", [pixels, b.unsqueeze(weight, [1])]) : pixels;
    });
    return b.op("Reshape", [b.op("Sum", terms), b.shapeOf(y)]);
  }),
);

/** All combinations of one entry of each list. */
function product<T>(lists: readonly (readonly T[])[]): T[][] {
  return lists.reduce<T[][]>(
    (all, list) => all.flatMap((head) => list.map((entry) => [...head, entry])),
    [[]],
  );
}

/** The neighbours of the points that `at` (−1 … 1) names along an axis. */
function taps(c: NodeContext, at: string, size: string): Tap[] {
  const { b, fail } = c;
  const mode = string(c.node, "mode", "linear");
  const count = b.castLike(b.op("Squeeze", [size]), at);
  const number = (value: number): string => b.scalar(value, at);
  const aligned = int(c.node, "align_corners", 0) !== 0;
  // −1 and 1 are the centres of the outermost pixels, or their outer edges.
  const half = b.op("Mul", [b.op("Add", [at, number(1)]), number(0.5)]);
  const pixel = aligned
    ? b.op("Mul", [half, b.op("Sub", [count, number(1)])])
    : b.op("Sub", [b.op("Mul", [half, count]), number(0.5)]);
  if (mode === "nearest") return [[b.op("Round", [padded(c, pixel, count)]), null]];
  const cubic = mode === "cubic" || mode === "bicubic";
  const point = cubic ? pixel : padded(c, pixel, count);
  const first = b.op("Floor", [point]);
  const rest = b.op("Sub", [point, first]);
  const shifted = (by: number): string => (by === 0 ? first : b.op("Add", [first, number(by)]));
  if (cubic)
    return [-1, 0, 1, 2].map((by): Tap => {
      const distance = by <= 0 ? b.op("Sub", [rest, number(by)]) : b.op("Sub", [number(by), rest]);
      return [padded(c, shifted(by), count), cubicWeight(c, distance, by === 0 || by === 1)];
    });
  if (mode !== "linear" && mode !== "bilinear") throw fail(`its mode "${mode}" has no gradient`);
  return [
    [first, b.op("Sub", [number(1), rest])],
    [shifted(1), rest],
  ];
}

/** Cubic convolution with a = −0.75, at a distance below or above 1. */
function cubicWeight({ b }: NodeContext, t: string, near: boolean): string {
  const a = -0.75;
  const [p, q, r, s] = near ? [a + 2, -(a + 3), 0, 1] : [a, -5 * a, 8 * a, -4 * a];
  return [q, r, s].reduce(
    (value, next) => b.op("Add", [b.op("Mul", [value, t]), b.scalar(next!, t)]),
    b.scalar(p!, t),
  );
}

/** A position brought into the image as the padding mode says; "zeros" is masked later. */
function padded(c: NodeContext, at: string, count: string): string {
  const { b } = c;
  const number = (value: number): string => b.scalar(value, at);
  const mode = string(c.node, "padding_mode", "zeros");
  if (mode === "zeros") return at;
  const last = b.op("Sub", [count, number(1)]);
  let inside = at;
  if (mode === "reflection") {
    // A triangle wave between the borders: |((x − low) mod 2 span) − span|, mirrored.
    const aligned = int(c.node, "align_corners", 0) !== 0;
    const low = number(aligned ? 0 : -0.5);
    const span = aligned ? last : count;
    const twice = b.op("Mul", [b.op("Max", [span, number(1e-6)]), number(2)]);
    const turn = b.op("Mod", [b.op("Abs", [b.op("Sub", [at, low])]), twice], { fmod: 1 });
    const back = b.op("Abs", [b.op("Sub", [turn, span])]);
    inside = b.op("Add", [b.op("Sub", [span, back]), low]);
  } else if (mode !== "border") throw c.fail(`its padding mode "${mode}" has no gradient`);
  // On the border itself the slope is 0, as in PyTorch.
  const low = b.op("Where", [b.op("Greater", [inside, number(0)]), inside, number(0)]);
  return b.op("Where", [b.op("Less", [low, last]), low, last]);
}

/** The index of a whole position, and 1 where it is one (null: everywhere). */
function within(c: NodeContext, position: string, size: string): { index: string; mask: string | null } {
  const { b } = c;
  const last = b.op("Sub", [size, b.ints([1])]);
  const at = b.op("Cast", [position], { to: 7 });
  const index = b.op("Min", [b.op("Max", [at, b.int(0)]), last]);
  const outside = string(c.node, "padding_mode", "zeros") === "zeros";
  return { index, mask: outside ? b.castLike(b.op("Equal", [index, at]), position) : null };
}

// theta [N, d, d + 1], size [N, C, ...sizes] → grid [N, ...sizes, d]: theta times (coordinates, 1), the last axis first.
define(
  "AffineGrid",
  expanded(({ b, x, node, rank, fail }) => {
    const theta = x[0]!;
    const sizes = b.shapes.sizes(x[1]!)?.slice(2) ?? null;
    if (!isStatic(sizes) || rank(theta) !== 3) throw fail("the sizes of its grid are known only at run time");
    const d = sizes.length;
    const aligned = int(node, "align_corners", 0) !== 0;
    const column = (j: number): string => {
      const vector = b.op("Gather", [theta, b.int(j)], { axis: 2 });
      return b.unsqueeze(
        vector,
        sizes.map((_, i) => i + 1),
      );
    };
    const terms = sizes.map((size, i) => {
      if (size > 1 << 20) throw fail("its grid is too large");
      const at = (k: number): number => (aligned ? (2 * k) / (size - 1) - 1 : (2 * k + 1) / size - 1);
      const shape = [1, ...sizes.map((_, axis) => (axis === i ? size : 1)), 1];
      const coordinates = b.constantLike(
        Array.from({ length: size }, (_, k) => at(k)),
        shape,
        theta,
      );
      return b.op("Mul", [column(d - 1 - i), coordinates]);
    });
    return b.op("Sum", [...terms, column(d)]);
  }),
);
