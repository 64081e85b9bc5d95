/** Shape rules of matrix products. */
import { int } from "../attributes.js";
import type { Dim } from "../graph.js";
import { broadcast } from "./dims.js";
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
