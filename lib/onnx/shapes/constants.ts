/** Shape rules of constants and of operators that ask for shapes and indices. */
import {
  tensor as tensorAttribute,
  floatList,
  float,
  int,
  ints,
  wholeInt,
  wholeInts,
} from "../attributes.js";
import { exactInteger } from "../int64.js";
import { DataType, isInteger, readNumbers, tensorDims, tensorSize } from "../tensors.js";
import { product } from "./dims.js";
import { define, normalAxis, rankOnly, reduceDims } from "./table.js";
import { maxEntries, vector, type Entry } from "./values.js";

define("Constant", (c) => {
  const constant = tensorAttribute(c.node, "value");
  if (constant) {
    const dims = tensorDims(constant);
    c.set(0, constant.dataType, dims);
    const data = tensorSize(constant) <= maxEntries ? readNumbers(constant) : null;
    c.setValue(data && { dims, data: Array.from(data) });
    return;
  }
  const state = (elemType: number, data: Entry[], dims: number[]): void => {
    c.set(0, elemType, dims);
    c.setValue({ dims, data });
  };
  const [wholes, reals] = [wholeInts(c.node, "value_ints"), floatList(c.node, "value_floats")];
  if (wholes) state(DataType.INT64, wholes.map(exactInteger), [wholes.length]);
  else if (reals) state(DataType.FLOAT, reals, [reals.length]);
  else if (c.node.attributes.has("value_int"))
    state(DataType.INT64, [exactInteger(wholeInt(c.node, "value_int", 0n))], []);
  else if (c.node.attributes.has("value_float")) state(DataType.FLOAT, [float(c.node, "value_float", 0)], []);
});
define("Shape", (c) => {
  const dims = c.dims(0);
  const bound = (at: number, rank: number): number => Math.min(Math.max(at < 0 ? at + rank : at, 0), rank);
  if (!dims) return c.set(0, DataType.INT64, [null]);
  // Cut off at the rank, so it does not matter that 2⁶³ − 1 is rounded.
  const start = bound(Number(wholeInt(c.node, "start", 0n)), dims.length);
  const end = bound(Number(wholeInt(c.node, "end", BigInt(dims.length))), dims.length);
  const part = dims.slice(start, Math.max(start, end));
  c.set(0, DataType.INT64, [part.length]);
  c.setValue(vector(part));
});
define("Size", (c) => {
  c.set(0, DataType.INT64, []);
  const dims = c.dims(0);
  if (dims) c.setValue({ dims: [], data: [product(dims)] });
});
define("ConstantOfShape", (c) => {
  const constant = tensorAttribute(c.node, "value");
  const elemType = constant?.dataType ?? DataType.FLOAT;
  c.set(0, elemType, c.sizes(0) ?? rankOnly(c.dims(0)));
  const fill = constant ? readNumbers(constant)?.[0] : 0;
  const known = c.numbers(0);
  const count = known?.every((size) => size >= 0) ? known.reduce((p, q) => p * q, 1) : Infinity;
  if (known && fill !== undefined && count <= maxEntries)
    c.setValue({ dims: known, data: new Array<Entry>(count).fill(fill) });
});
define("Range", (c) => {
  const at = [0, 1, 2].map((i) => c.numbers(i)?.[0]);
  const [start, limit, delta] = at;
  const { elemType } = c.type(0);
  if (start === undefined || limit === undefined || !delta) return c.set(0, elemType, [null]);
  // As the runtime counts: the difference in the type itself, the quotient in double precision.
  const span = elemType === DataType.FLOAT ? Math.fround(limit - start) : limit - start;
  const exact = !isInteger(elemType) || Number.isSafeInteger(span);
  const count = Math.max(0, Math.ceil(span / delta));
  c.set(0, elemType, [exact ? count : null]);
  // Of floats the runtime adds up the steps, rounding each time.
  if (exact && isInteger(elemType) && count <= maxEntries)
    c.setValue(vector(Array.from({ length: count }, (_, i) => start + i * delta)));
});
define("ArgMax ArgMin", (c) => {
  const dims = c.dims(0);
  const axis = dims && normalAxis(int(c.node, "axis", 0), dims.length);
  const keep = int(c.node, "keepdims", 1) !== 0;
  c.set(0, DataType.INT64, axis === null ? null : reduceDims(dims!, [axis], keep));
});
define("NonZero", (c) => c.set(0, DataType.INT64, c.dims(0) && [c.dims(0)!.length, null]));
define("RandomNormal RandomUniform", (c) =>
  c.set(0, int(c.node, "dtype", DataType.FLOAT), ints(c.node, "shape") ?? null),
);
define("RandomNormalLike RandomUniformLike Bernoulli EyeLike", (c) =>
  c.set(0, int(c.node, "dtype", c.type(0).elemType), c.dims(0)),
);
define("OneHot", (c) => {
  const dims = c.dims(0);
  const depth = c.sizes(1)?.[0] ?? null;
  const axis = dims && normalAxis(int(c.node, "axis", -1), dims.length + 1);
  c.set(0, c.type(2).elemType, axis === null ? null : [...dims!.slice(0, axis), depth, ...dims!.slice(axis)]);
});
