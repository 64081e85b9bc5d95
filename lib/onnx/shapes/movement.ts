/** Shape rules of operators that move elements, with their constant folding. */
import { int, ints } from "../attributes.js";
import type { Dim } from "../graph.js";
import { DataType } from "../tensors.js";
import type { InferContext } from "./context.js";
import { broadcast, divide, multiply, product } from "./dims.js";
import { define, merge, normalAxis, rankOnly } from "./table.js";
import {
  asBound,
  concat,
  maxEntries,
  cutOf,
  positionsOf,
  take,
  transpose,
  zip,
  type Entry,
} from "./values.js";

define("Reshape", (c) => {
  const [x, target] = [c.dims(0), c.sizes(1)];
  const type = c.type(0).elemType;
  if (!target) return c.set(0, type, rankOnly(c.dims(1)));
  const allowZero = int(c.node, "allowzero", 0) !== 0;
  const dims = target.map((entry, axis): Dim => (entry === 0 && !allowZero ? (x?.[axis] ?? null) : entry));
  const open = dims.indexOf(-1);
  if (open >= 0) {
    const rest = product(dims.filter((_, axis) => axis !== open));
    // With a size of 0 in it nothing can be divided.
    dims[open] = x && rest !== 0 ? divide(product(x), rest) : null;
  } else {
    // One entry that is not known can still follow from the number of elements.
    const gaps = dims.flatMap((dim, axis) => (dim === null ? [axis] : []));
    const rest = product(dims.filter((dim) => dim !== null));
    if (x && gaps.length === 1 && rest !== 0) dims[gaps[0]!] = divide(product(x), rest);
  }
  c.set(0, type, dims);
  const value = c.value(0);
  const known = dims.every((dim) => typeof dim === "number") ? dims : null;
  if (value && known && known.reduce((p, q) => p * q, 1) === value.data.length)
    c.setValue({ dims: known, data: value.data });
});
define("Flatten", (c) => {
  const x = c.dims(0);
  const axis = x && int(c.node, "axis", 1);
  const at = axis === null ? null : axis < 0 ? axis + x!.length : axis;
  c.set(
    0,
    c.type(0).elemType,
    at === null ? [null, null] : [product(x!.slice(0, at)), product(x!.slice(at))],
  );
});
const relabel = (c: InferContext, dims: Dim[] | null): void => {
  c.set(0, c.type(0).elemType, dims);
  const value = c.value(0);
  if (value && dims?.every((dim) => typeof dim === "number")) c.setValue({ dims, data: value.data });
};
define("Squeeze", (c) => {
  const x = c.dims(0);
  if (!x) return c.set(0, c.type(0).elemType, null);
  const axes = c.has(1) ? c.numbers(1)?.map((axis) => normalAxis(axis, x.length)) : undefined;
  if (c.has(1) && !axes) return c.set(0, c.type(0).elemType, null);
  if (!axes && x.some((dim) => typeof dim !== "number")) return c.set(0, c.type(0).elemType, null);
  relabel(
    c,
    x.filter((dim, axis) => (axes ? !axes.includes(axis) : dim !== 1)),
  );
});
define("Unsqueeze", (c) => {
  const [x, axes] = [c.dims(0), c.numbers(1)];
  if (!x || !axes) return c.set(0, c.type(0).elemType, null);
  const rank = x.length + axes.length;
  const inserted = new Set(axes.map((axis) => normalAxis(axis, rank)));
  if (inserted.size !== axes.length || inserted.has(null)) return c.set(0, c.type(0).elemType, null);
  let next = 0;
  relabel(
    c,
    Array.from({ length: rank }, (_, axis) => (inserted.has(axis) ? 1 : x[next++]!)),
  );
});
define("Transpose", (c) => {
  const x = c.dims(0);
  const perm = ints(c.node, "perm") ?? x?.map((_, axis) => x.length - 1 - axis) ?? null;
  const valid =
    x &&
    perm &&
    perm.length === x.length &&
    new Set(perm).size === x.length &&
    perm.every((axis) => axis in x);
  if (!valid) return c.set(0, c.type(0).elemType, null);
  c.set(
    0,
    c.type(0).elemType,
    perm.map((axis) => x[axis]!),
  );
  const value = c.value(0);
  if (value && value.dims.length === perm.length) c.setValue(transpose(value, perm));
});
define("Expand", (c) => {
  const [x, target] = [c.dims(0), c.sizes(1) ?? rankOnly(c.dims(1))];
  c.set(0, c.type(0).elemType, x && target && broadcast(x, target, merge(c)));
  const value = c.value(0);
  const known = c.numbers(1);
  const count = known?.every((size) => size >= 0) ? known.reduce((p, q) => p * q, 1) : Infinity;
  if (value && known && count <= maxEntries)
    c.setValue(zip(value, { dims: known, data: new Array<Entry>(count).fill(0) }, (x) => x));
});
define("Tile", (c) => {
  const [x, repeats] = [c.dims(0), c.sizes(1)];
  c.set(
    0,
    c.type(0).elemType,
    x?.map((dim, axis) => (repeats ? multiply(dim, repeats[axis] ?? null) : null)) ?? null,
  );
});
define("Concat", (c) => {
  const all = c.node.inputs.map((_, i) => c.dims(i));
  const type = c.node.inputs.reduce((found, _, i) => found || c.type(i).elemType, 0);
  const known = all.find((dims) => dims !== null);
  const axis = known ? normalAxis(int(c.node, "axis", 0), known.length) : null;
  if (!known || axis === null) return c.set(0, type, null);
  const total = all.reduce<Dim>((sum, dims) => {
    const size = dims?.[axis] ?? null;
    return typeof sum === "number" && typeof size === "number" ? sum + size : null;
  }, 0);
  const sizes = all.map((dims) => dims?.[axis] ?? null);
  const joined = total ?? (sizes.includes(null) ? null : c.derive(`concat(${sizes.join(",")})`));
  c.set(
    0,
    type,
    known.map((dim, i) =>
      i === axis ? joined : (all.find((dims) => typeof dims?.[i] === "number")?.[i] ?? dim),
    ),
  );
  const values = c.node.inputs.map((_, i) => c.value(i));
  if (values.every((value) => value !== null)) c.setValue(concat(values, axis));
});
define("Split", (c) => {
  const x = c.dims(0);
  const axis = x && normalAxis(int(c.node, "axis", 0), x.length);
  const sizes = c.sizes(1);
  const parts = c.node.outputs.length;
  const length = axis === null ? null : x![axis]!;
  c.node.outputs.forEach((_, i) => {
    let size: Dim = null;
    if (sizes) size = sizes[i] ?? null;
    else if (!c.has(1) && typeof length === "number") {
      const each = Math.ceil(length / parts);
      size = i < parts - 1 ? each : length - each * (parts - 1);
    }
    c.set(i, c.type(0).elemType, axis === null ? null : x!.map((dim, a) => (a === axis ? size : dim)));
  });
  const value = c.value(0);
  if (value && axis === 0 && typeof sizes?.[0] === "number")
    c.setValue(
      take(
        value,
        0,
        Array.from({ length: Math.min(sizes[0], maxEntries + 1) }, (_, i) => i),
      ),
    );
});
define("Slice", (c) => {
  const x = c.dims(0);
  const type = c.type(0).elemType;
  if (!x) return c.set(0, type, null);
  const axesGiven = c.has(3) ? c.numbers(3) : (c.dims(1)?.[0] ?? null);
  const count = typeof axesGiven === "number" ? axesGiven : null;
  const axes =
    count !== null
      ? x.slice(0, count).map((_, i) => i)
      : Array.isArray(axesGiven)
        ? axesGiven.map((axis) => normalAxis(axis, x.length))
        : null;
  const [starts, ends, steps] = [
    c.value(1)?.data,
    c.value(2)?.data,
    c.has(4) ? c.value(4)?.data : axes?.map(() => 1),
  ];
  if (!axes || axes.includes(null))
    return c.set(
      0,
      type,
      x.map(() => null),
    );
  const dims = x.map((size, axis): Dim => {
    const at = axes.indexOf(axis);
    if (at < 0) return size;
    const [start, end, step] = [starts?.[at], ends?.[at], steps?.[at]];
    const [from, to, by] = [asBound(start), asBound(end), asBound(step)];
    if (by === 1 && from === 0 && (end === size || (to !== null && to >= 2 ** 31 - 1))) return size;
    if (from === null || to === null || by === null || size === null) return null;
    if (typeof size === "number") return cutOf(size, from, to, by)?.length ?? null;
    return c.derive(`slice(${size},${start},${end},${step})`);
  });
  c.set(0, type, dims);
  let value = c.value(0);
  axes.forEach((axis, i) => {
    const [start, end, step] = [asBound(starts?.[i]), asBound(ends?.[i]), asBound(steps?.[i])];
    const cut =
      value && start !== null && end !== null && step !== null
        ? cutOf(value.dims[axis!]!, start, end, step)
        : null;
    const positions = cut && positionsOf(cut);
    value = positions && take(value!, axis!, positions);
  });
  c.setValue(value);
});
define("Gather", (c) => {
  const [x, indices] = [c.dims(0), c.dims(1)];
  const axis = x && normalAxis(int(c.node, "axis", 0), x.length);
  c.set(
    0,
    c.type(0).elemType,
    axis === null || !indices ? null : [...x!.slice(0, axis), ...indices, ...x!.slice(axis + 1)],
  );
  const [value, picks] = [c.value(0), c.numbers(1)];
  if (!value || !picks || axis === null || !indices) return;
  const rows = take(value, axis, picks);
  const shape = c.value(1)!.dims;
  if (rows)
    c.setValue({
      dims: [...value.dims.slice(0, axis), ...shape, ...value.dims.slice(axis + 1)],
      data: rows.data,
    });
});
define("GatherElements", (c) => c.set(0, c.type(0).elemType, c.dims(1)));
define("GatherND", (c) => {
  const [x, indices] = [c.dims(0), c.dims(1)];
  const batch = int(c.node, "batch_dims", 0);
  const depth = indices?.at(-1);
  const known = x && indices && typeof depth === "number";
  c.set(0, c.type(0).elemType, known ? [...indices.slice(0, -1), ...x.slice(batch + depth)] : null);
});
define("Pad", (c) => {
  const [x, pads] = [c.dims(0), c.sizes(1)];
  if (!x) return c.set(0, c.type(0).elemType, null);
  const axes = c.has(3) ? c.numbers(3)?.map((axis) => normalAxis(axis, x.length)) : x.map((_, axis) => axis);
  const count = axes?.length ?? 0;
  const dims = x.map((size, axis): Dim => {
    if (!axes || !pads) return null;
    const at = axes.indexOf(axis);
    if (at < 0) return size;
    const [before, after] = [pads[at] ?? null, pads[at + count] ?? null];
    if (typeof before !== "number" || typeof after !== "number" || size === null) return null;
    if (typeof size === "number") return size + before + after;
    return before + after === 0 ? size : c.derive(`${size}+${before}+${after}`);
  });
  c.set(0, c.type(0).elemType, dims);
});
define("Unique", (c) => {
  const x = c.dims(0);
  const axis = c.node.attributes.has("axis") && x ? normalAxis(int(c.node, "axis", 0), x.length) : null;
  const rows = c.derive(`${c.node.outputs[0]} distinct`);
  const along = axis === null ? null : x!.map((dim, i) => (i === axis ? rows : dim));
  c.set(0, c.type(0).elemType, c.node.attributes.has("axis") ? along : [rows]);
  for (const i of [1, 3]) c.set(i, DataType.INT64, [rows]);
  c.set(2, DataType.INT64, [null]);
});
define("CenterCropPad", (c) => {
  const [x, target] = [c.dims(0), c.sizes(1)];
  const axes = ints(c.node, "axes")?.map((axis) => normalAxis(axis, x?.length ?? 0));
  const size = (dim: Dim, axis: number): Dim => {
    const at = axes ? axes.indexOf(axis) : axis;
    return at < 0 ? dim : (target?.[at] ?? null);
  };
  c.set(0, c.type(0).elemType, x?.map(size) ?? null);
});
define("DepthToSpace SpaceToDepth", (c) => {
  const x = c.dims(0);
  const block = int(c.node, "blocksize", 1);
  if (x?.length !== 4) return c.set(0, c.type(0).elemType, null);
  const up = c.node.opType === "DepthToSpace";
  const grow = (dim: Dim): Dim => (up ? multiply(dim, block) : divide(dim, block));
  const channels = up ? divide(x[1]!, block * block) : multiply(x[1]!, block * block);
  c.set(0, c.type(0).elemType, [x[0]!, channels, grow(x[2]!), grow(x[3]!)]);
});
define("Compress", (c) => {
  const x = c.dims(0);
  const type = c.type(0).elemType;
  if (!c.node.attributes.has("axis")) return c.set(0, type, [null]);
  const axis = x && normalAxis(int(c.node, "axis", 0), x.length);
  c.set(0, type, axis === null ? null : x!.map((dim, i) => (i === axis ? null : dim)));
});
define("TopK", (c) => {
  const x = c.dims(0);
  const axis = x && normalAxis(int(c.node, "axis", -1), x.length);
  const dims = axis === null ? null : x!.map((dim, i) => (i === axis ? (c.sizes(1)?.[0] ?? null) : dim));
  c.set(0, c.type(0).elemType, dims);
  c.set(1, DataType.INT64, dims);
});
