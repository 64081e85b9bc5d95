/** Shape rules of control flow. */
import { graph as graphAttribute, int, ints } from "../attributes.js";
import type { Dim } from "../graph.js";
import { DataType } from "../tensors.js";
import type { TensorType } from "./context.js";
import { define, normalAxis } from "./table.js";

// What both branches say.
define("If", (c) => {
  const [yes, no] = ["then_branch", "else_branch"].map((key) => {
    const body = graphAttribute(c.node, key);
    return body ? c.body(body) : [];
  });
  c.node.outputs.forEach((_, i) => {
    const [p, q] = [yes![i], no![i]];
    const together = p?.dims && q?.dims && p.dims.length === q.dims.length;
    c.set(
      i,
      p?.elemType || (q?.elemType ?? 0),
      together ? p.dims!.map((dim, axis) => (dim === q.dims![axis] ? dim : null)) : null,
    );
  });
});

/** The type of a value that steps may change: what is the same before and after one. */
function carried(before: TensorType, after: TensorType | undefined): TensorType {
  const elemType = before.elemType || (after?.elemType ?? 0);
  const [p, q] = [before.dims, after?.dims];
  if (!p || p.length !== q?.length) return { elemType, dims: null };
  return { elemType, dims: p.map((dim, axis) => (dim === q[axis] ? dim : null)) };
}

// Values that steps carry keep their shapes; one element of each other input goes in, and one of each further output comes out.
define("Scan", (c) => {
  const body = graphAttribute(c.node, "body");
  const count = int(c.node, "num_scan_inputs", 0);
  const states = c.node.inputs.length - count;
  if (!body || states < 0) return;
  const axes = ints(c.node, "scan_input_axes") ?? [];
  let length: Dim = null;
  const own = c.node.inputs.map((_, i): TensorType => {
    const { elemType, dims } = c.type(i);
    if (i < states || !dims) return { elemType, dims };
    const axis = normalAxis(axes[i - states] ?? 0, dims.length);
    if (axis === null) return { elemType, dims: null };
    length ??= dims[axis]!;
    return { elemType, dims: dims.filter((_, at) => at !== axis) };
  });
  const made = c.body(body, own);
  const places = ints(c.node, "scan_output_axes") ?? [];
  made.forEach(({ elemType, dims }, i) => {
    if (i < states) return c.set(i, own[i]!.elemType || elemType, own[i]!.dims ?? dims);
    const axis = dims && normalAxis(places[i - states] ?? 0, dims.length + 1);
    c.set(i, elemType, axis === null ? null : [...dims!.slice(0, axis), length, ...dims!.slice(axis)]);
  });
});

// The number of the step and the condition go in, then what steps carry; the condition comes out first.
define("Loop", (c) => {
  const body = graphAttribute(c.node, "body");
  if (!body) return;
  const states = c.node.inputs.length - 2;
  const scalar = (elemType: number): TensorType => ({ elemType, dims: [] });
  const before = c.node.inputs.slice(2).map((_, i) => c.type(i + 2));
  const step = (types: readonly TensorType[]): TensorType[] =>
    c.body(body, [scalar(DataType.INT64), scalar(DataType.BOOL), ...types]);
  // What one step leaves as it is, all do, unless another value that does change decides of it.
  let types = before;
  for (let round = 0; round < 3; round++) {
    const after = step(types);
    types = types.map((type, i) => carried(type, after[i + 1]));
  }
  const made = step(types);
  c.node.outputs.forEach((_, i) => {
    const { elemType, dims } = i < states ? types[i]! : (made[i + 1] ?? { elemType: 0, dims: null });
    if (i < states) return c.set(i, elemType, dims);
    // The body may end it before its time.
    c.set(i, elemType, dims && [null, ...dims]);
  });
});
