/** Shape rules of matrix products. */
import { int, string } from "../attributes.js";
import type { Dim } from "../graph.js";
import { broadcast, divide, multiply } from "./dims.js";
import { define, merge } from "./table.js";

define("MatMul", (c) => {
  const [a, b] = [c.dims(0), c.dims(1)];
  const type = c.type(0).elemType || c.type(1).elemType;
  if (!a || !b || a.length === 0 || b.length === 0) return c.set(0, type, null);
  const batch = broadcast(a.slice(0, -2), b.slice(0, -2), merge(c));
  const rows = a.length > 1 ? [a.at(-2)!] : [];
  const columns = b.length > 1 ? [b.at(-1)!] : [];
  c.set(0, type, [...batch, ...rows, ...columns]);
});
define("Gemm", (c) => {
  const [a, b] = [c.dims(0), c.dims(1)];
  const side = (dims: Dim[] | null, at: number): Dim => (dims?.length === 2 ? dims[at]! : null);
  c.set(0, c.type(0).elemType || c.type(1).elemType, [
    side(a, int(c.node, "transA", 0) ? 1 : 0),
    side(b, int(c.node, "transB", 0) ? 0 : 1),
  ]);
});
define("Det", (c) => c.set(0, c.type(0).elemType, c.dims(0)?.slice(0, -2) ?? null));
// Q [batch, heads, length, size] with V of another size, or both with their heads side by side.
define("Attention", (c) => {
  const [q, k, v] = [c.dims(0), c.dims(1), c.dims(2)];
  const type = c.type(0).elemType;
  const [heads, groups] = [int(c.node, "q_num_heads", 0), int(c.node, "kv_num_heads", 0)];
  if (!q || !v || q.length !== v.length) return c.set(0, type, null);
  const flat = q.length === 3;
  const last = flat ? multiply(divide(v[2]!, groups), heads) : v.at(-1)!;
  c.set(0, type, [...q.slice(0, -1), last]);
  [k, v].forEach((dims, i) => {
    if (!dims) return c.set(i + 1, type, null);
    const past = c.has(4 + i) ? (c.dims(4 + i)?.[2] ?? null) : 0;
    const now = flat ? dims[1]! : dims[2]!;
    const together =
      typeof past === "number" && typeof now === "number" ? past + now : past === 0 ? now : null;
    const size = flat ? divide(dims[2]!, groups) : dims[3]!;
    c.set(i + 1, c.type(i + 1).elemType, [dims[0]!, flat ? groups : dims[1]!, together, size]);
  });
  c.set(3, type, q.map(() => null).concat(flat ? [null] : []));
});
// Sizes by label. Where an ellipsis broadcasts, the sizes are left open.
define("Einsum", (c) => {
  const type = c.type(0).elemType;
  const [left, right] = string(c.node, "equation", "").replaceAll(" ", "").split("->");
  const terms = left!.split(",");
  if (right === undefined || terms.length !== c.node.inputs.length) return c.set(0, type, null);
  const sizes = new Map<string, Dim>();
  const wide: Dim[][] = [];
  for (const [i, term] of terms.entries()) {
    const dims = c.dims(i);
    if (!dims) return c.set(0, type, null);
    const [before, after] = term.split("...");
    const back = dims.length - (after?.length ?? 0);
    [...before!].forEach((label, axis) => note(label, dims[axis] ?? null));
    [...(after ?? "")].forEach((label, axis) => note(label, dims[back + axis] ?? null));
    if (after !== undefined) wide.push(dims.slice(before!.length, back));
  }
  function note(label: string, size: Dim): void {
    const known = sizes.get(label);
    // Of a number, a symbol and a size of 1 that broadcasts the first says most.
    if (
      known === undefined ||
      known === 1 ||
      (typeof known !== "number" && typeof size === "number" && size !== 1)
    )
      sizes.set(label, size);
  }
  const [before, after] = right.split("...");
  const at = (label: string): Dim => sizes.get(label) ?? null;
  const middle = after === undefined ? [] : wide.reduce<Dim[]>((p, q) => broadcast(p, q, merge(c)), []);
  c.set(0, type, [...[...before!].map(at), ...middle, ...[...(after ?? "")].map(at)]);
});
