/** Operators of ONNX Runtime's own domain that became standard ones, or are short for them. */
import { float, int, ints, string } from "../attributes.js";
import { makeTensor } from "../tensors.js";
import { define } from "./table.js";

define("Trilu", ({ b, x, node }) => b.op("Trilu", [x[0]!, x[1] || null], { upper: int(node, "upper", 1) }));
define("GatherND", ({ b, x }) => b.op("GatherND", [x[0]!, b.op("Cast", [x[1]!], { to: 7 })]));
define("ExpandDims", ({ b, x, fail }) => {
  const at = b.shapes.numbers(x[1]!)?.[0];
  if (at === undefined) throw fail("its axis is known only at run time");
  return b.op("Unsqueeze", [x[0]!, b.ints([at])]);
});
define("Pad", ({ b, x, node }) =>
  b.op("Pad", [x[0]!, x[1]!, x[2] || null], { mode: string(node, "mode", "constant") }),
);
define("GridSample", ({ b, x, node }) => {
  const mode = string(node, "mode", "bilinear");
  const renamed: Record<string, string> = { bilinear: "linear", bicubic: "cubic" };
  return b.op("GridSample", [x[0]!, x[1]!], {
    mode: b.graph.opsets.get("")! >= 20 ? (renamed[mode] ?? mode) : mode,
    padding_mode: string(node, "padding_mode", "zeros"),
    align_corners: int(node, "align_corners", 0),
  });
});
// Distances between the rows of two matrices.
define("CDist", (c) => {
  const { b, x, node } = c;
  const metric = string(node, "metric", "sqeuclidean");
  if (metric !== "sqeuclidean" && metric !== "euclidean") throw c.fail(`its metric ${metric} is not known`);
  const apart = b.op("Sub", [b.unsqueeze(x[0]!, [1]), b.unsqueeze(x[1]!, [0])]);
  return b.op(metric === "euclidean" ? "ReduceL2" : "ReduceSumSquare", [apart, b.ints([2])], { keepdims: 0 });
});
// Its real part and its imaginary part lie one behind the other.
define("ComplexMul", ({ b, x }) => {
  const one = (value: string, i: number): string => b.op("Gather", [value, b.int(i)], { axis: -1 });
  const times = (i: number, j: number): string => b.op("Mul", [one(x[0]!, i), one(x[1]!, j)]);
  const parts = [b.op("Sub", [times(0, 0), times(1, 1)]), b.op("Add", [times(0, 1), times(1, 0)])];
  return b.op(
    "Concat",
    parts.map((value) => b.unsqueeze(value, [-1])),
    { axis: -1 },
  );
});
// PyTorch wrote it at operator sets 7 and 8, where it was an experiment; the runtime has lost it.
define("ai.onnx:ConstantFill", ({ b, x, node }) => {
  const value = makeTensor("value", int(node, "dtype", 1), [1], [float(node, "value", 0)]);
  const more = ints(node, "extra_shape") ?? [];
  const given = x[0]
    ? int(node, "input_as_shape", 0) !== 0
      ? b.op("Cast", [x[0]], { to: 7 })
      : b.op("Shape", [x[0]])
    : b.ints(ints(node, "shape") ?? []);
  const sizes = more.length > 0 ? b.op("Concat", [given, b.ints(more)], { axis: 0 }) : given;
  return b.op("ConstantOfShape", [sizes], { value });
});
