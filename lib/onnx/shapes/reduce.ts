/** Shape rules of reductions. */
import { int, ints } from "../attributes.js";
import type { TensorType } from "./context.js";
import { define, finite, normalAxis, reduceDims } from "./table.js";

define(
  "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum ReduceLogSumExp",
  (c) => {
    const { elemType, dims }: TensorType = c.type(0);
    const keep = int(c.node, "keepdims", 1) !== 0;
    // Before opset 18 (ReduceSum: 13) the axes are an attribute, and no axes always means all of them.
    const given = ints(c.node, "axes") ?? (c.has(1) ? c.numbers(1) : []);
    if (!dims || !given) return c.set(0, elemType, keep && dims ? dims.map(() => null) : null);
    const none = given.length === 0;
    if (none && int(c.node, "noop_with_empty_axes", 0) !== 0) return c.set(0, elemType, dims);
    const axes = none ? dims.map((_, i) => i) : given.map((axis) => normalAxis(axis, dims.length));
    c.set(0, elemType, axes.includes(null) ? null : reduceDims(dims, axes, keep));
    const value = c.numbers(0);
    if (value && axes.length === dims.length && c.node.opType === "ReduceProd")
      c.setValue({ dims: keep ? dims.map(() => 1) : [], data: [finite(value.reduce((p, q) => p * q, 1))] });
  },
);
