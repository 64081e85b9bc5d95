/** Cropping and padding about the centre. */
import { ints } from "../attributes.js";
import { isStatic } from "../shapes/dims.js";
import { define } from "./rule.js";

// Of an odd difference the larger half lies behind. What was cut off gets zeros, what was padded is cut off.
define("CenterCropPad", (c) => {
  const { b, g, x, node, rank } = c;
  return [
    () => {
      const count = rank(x[0]!);
      const axes =
        ints(node, "axes")?.map((axis) => c.axis(axis, count)) ?? Array.from({ length: count }, (_, i) => i);
      const [from, to] = [axes.map((axis) => b.shapes.dims(x[0]!)![axis]!), b.shapes.numbers(x[1]!)];
      if (isStatic(from) && to) {
        const differences = from.map((size, i) => size - to[i]!);
        const before = differences.map((difference) => Math.trunc(difference / 2));
        const after = differences.map((difference, i) => difference - before[i]!);
        return b.op("Pad", [g, b.ints([...before, ...after]), null, b.ints(axes)]);
      }
      // Quotients of int64 are cut off towards zero.
      const difference = b.op("Sub", [b.sizes(x[0]!, axes), x[1]!]);
      const before = b.op("Div", [difference, b.ints([2])]);
      const pads = b.op("Concat", [before, b.op("Sub", [difference, before])], { axis: 0 });
      return b.op("Pad", [g, pads, null, b.ints(axes)]);
    },
    null,
  ];
});
