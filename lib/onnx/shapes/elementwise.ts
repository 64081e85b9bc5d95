/** Shape rules of operators that work element by element, with their constant folding. */
import { int } from "../attributes.js";
import { DataType, isInteger } from "../tensors.js";
import type { InferContext } from "./context.js";
import { broadcast, divide, multiply } from "./dims.js";
import { define, finite, merge, normalAxis, sameAsInput, type ShapeRule } from "./table.js";
import { zip, type Entry, type SmallValue } from "./values.js";

define(
  "Relu LeakyRelu Elu Selu Celu PRelu ThresholdedRelu Sigmoid HardSigmoid HardSwish Tanh Softplus Softsign Exp Log " +
    "Sqrt Abs Reciprocal Erf Gelu Mish Swish Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Sign Round " +
    "Clip Softmax LogSoftmax Hardmax InstanceNormalization GroupNormalization LpNormalization LRN " +
    "MeanVarianceNormalization CumSum ScatterElements ScatterND Scatter BitwiseNot Trilu ReverseSequence " +
    "RMSNormalization Shrink RotaryEmbedding CumProd",
  sameAsInput,
);
define("Dropout", (c) => {
  sameAsInput(c);
  c.set(1, DataType.BOOL, c.dims(0));
});
define("BatchNormalization", sameAsInput);
define("LayerNormalization", (c) => {
  sameAsInput(c);
  const dims = c.dims(0);
  const axis = dims && normalAxis(int(c.node, "axis", -1), dims.length);
  const kept = axis === null ? null : (dims?.map((dim, i) => (i < axis ? dim : 1)) ?? null);
  const stash = int(c.node, "stash_type", DataType.FLOAT);
  c.set(1, stash, kept);
  c.set(2, stash, kept);
});

const elementwise =
  (elemType?: number, fold?: (c: InferContext) => SmallValue | null): ShapeRule =>
  (c) => {
    let dims = c.dims(0);
    let type = c.type(0).elemType;
    for (let i = 1; i < c.node.inputs.length; i++) {
      const other = c.dims(i);
      dims = dims && other && broadcast(dims, other, merge(c));
      type ||= c.type(i).elemType;
    }
    c.set(0, elemType ?? type, dims);
    if (fold) c.setValue(fold(c));
  };

const fold2 =
  (f: (c: InferContext) => (x: Entry, y: Entry) => Entry) =>
  (c: InferContext): SmallValue | null => {
    const [a, b] = [c.value(0), c.value(1)];
    return a && b && c.node.inputs.length === 2 ? zip(a, b, f(c)) : null;
  };

const ofIntegers = (c: InferContext): boolean =>
  isInteger(c.type(0).elemType) && isInteger(c.type(1).elemType);

/** Both numbers: `f`; else null, as the result may be negative and so is not a dimension. */
const numeric =
  (f: (x: number, y: number) => number) =>
  (x: Entry, y: Entry): Entry =>
    typeof x === "number" && typeof y === "number" ? finite(f(x, y)) : null;

/** Whether two entries are the same for certain. */
const same = (x: Entry, y: Entry): boolean => x !== null && x === y;

/** ONNX Runtime's Min and Max of int64 compare the low 32 bits: numbers that need more are what it makes of them. */
const picked =
  (first: (x: number, y: number) => boolean) =>
  (x: Entry, y: Entry): Entry => {
    if (same(x, y)) return x;
    const small = (z: Entry): z is number => typeof z === "number" && Math.abs(z) < 2 ** 31;
    return small(x) && small(y) ? (first(x, y) ? x : y) : null;
  };

const isNumeric = (x: Entry): x is number | bigint => typeof x === "number" || typeof x === "bigint";

define(
  "Add",
  elementwise(
    undefined,
    fold2(() => (x, y) => (x === 0 ? y : y === 0 ? x : numeric((p, q) => p + q)(x, y))),
  ),
);
define(
  "Sub",
  elementwise(
    undefined,
    fold2(() => (x, y) => (y === 0 ? x : numeric((p, q) => p - q)(x, y))),
  ),
);
define(
  "Mul",
  elementwise(
    undefined,
    fold2(
      () => (x, y) =>
        typeof x === "bigint" || typeof y === "bigint"
          ? null
          : typeof x === "number" && typeof y === "number"
            ? finite(x * y)
            : (typeof x === "number" && !(Number.isInteger(x) && x >= 0)) ||
                (typeof y === "number" && !(Number.isInteger(y) && y >= 0))
              ? null
              : multiply(x, y),
    ),
  ),
);
define(
  "Div",
  elementwise(
    undefined,
    fold2((c) => (x, y) => {
      if (y === 1) return x;
      if (typeof x === "bigint" || typeof y === "bigint") return null;
      if (typeof x === "number" && typeof y === "number")
        return finite(ofIntegers(c) ? (x - (x % y)) / y : x / y);
      return ofIntegers(c) && (typeof y !== "number" || y > 0) && (typeof x !== "number" || x >= 0)
        ? divide(x, y)
        : null;
    }),
  ),
);
define(
  "Mod",
  elementwise(
    undefined,
    fold2(() => numeric((p, q) => (q > 0 && p >= 0 ? p % q : NaN))),
  ),
);
define(
  "Min",
  elementwise(
    undefined,
    fold2(() => picked((x, y) => x < y)),
  ),
);
define(
  "Max",
  elementwise(
    undefined,
    fold2(() => picked((x, y) => x > y)),
  ),
);
define("Sum Mean BitShift BitwiseAnd BitwiseOr BitwiseXor", elementwise());
define("Pow", (c) => {
  elementwise()(c);
  c.set(0, c.type(0).elemType, c.dims(0) && c.dims(1) && broadcast(c.dims(0)!, c.dims(1)!, merge(c)));
});
const compare = (f: (x: number | bigint, y: number | bigint) => boolean): ShapeRule =>
  elementwise(
    DataType.BOOL,
    fold2(() => (x, y) => (isNumeric(x) && isNumeric(y) ? Number(f(x, y)) : null)),
  );
define(
  "Equal",
  compare((x, y) => x === y),
);
define(
  "Greater",
  compare((x, y) => x > y),
);
define(
  "GreaterOrEqual",
  compare((x, y) => x >= y),
);
define(
  "Less",
  compare((x, y) => x < y),
);
define(
  "LessOrEqual",
  compare((x, y) => x <= y),
);
define("And Or Xor", elementwise(DataType.BOOL));
define("Not IsNaN IsInf", (c) => {
  c.set(0, DataType.BOOL, c.dims(0));
  const value = c.node.opType === "Not" ? c.value(0) : null;
  c.setValue(
    value && { ...value, data: value.data.map((x) => (typeof x === "number" ? Number(x === 0) : null)) },
  );
});
const unaryFold =
  <T extends number | bigint>(f: (x: T) => Entry, accepts: (x: Entry) => boolean): ShapeRule =>
  (c) => {
    sameAsInput(c);
    const value = c.value(0);
    c.setValue(value && { ...value, data: value.data.map((x) => (accepts(x) ? f(x as T) : null)) });
  };
const isNumber = (x: Entry): boolean => typeof x === "number";
define(
  "Neg",
  unaryFold<number | bigint>((x) => -x, isNumeric),
);
define("Floor", unaryFold(Math.floor, isNumber));
define("Ceil", unaryFold(Math.ceil, isNumber));
/** Marks the entries that come from the other branch: no symbol is spelled like this. */
const otherBranch = "\0";
define("Where", (c) => {
  const [cond, a, b] = [c.dims(0), c.dims(1), c.dims(2)];
  const branches = a && b && broadcast(a, b, merge(c));
  c.set(0, c.type(1).elemType || c.type(2).elemType, cond && branches && broadcast(cond, branches, merge(c)));
  const [test, x, y] = [c.value(0), c.value(1), c.value(2)];
  if (!test || !x || !y) return;
  const yes = zip(test, x, (t, v) => (t === null ? null : t !== 0 ? v : otherBranch));
  c.setValue(yes && zip(yes, y, (v, w) => (v === otherBranch ? w : v)));
});
define("Identity", (c) => {
  sameAsInput(c);
  c.setValue(c.value(0));
});
define("Cast", (c) => {
  const to = int(c.node, "to", 0);
  c.set(0, to, c.dims(0));
  const value = c.value(0);
  if (!value) return;
  if (to === DataType.BOOL)
    return c.setValue({ ...value, data: value.data.map((x) => (isNumeric(x) ? Number(x != 0) : null)) });
  // A size that is known only at run time may not fit into few bits, and is rounded by a float. What a number becomes in a
  // type that does not hold it is not defined.
  const keepsSizes = [DataType.INT64, DataType.INT32, DataType.FLOAT, DataType.DOUBLE].includes(to);
  const cast = (x: Entry): Entry =>
    typeof x === "number" && isInteger(to) ? Math.trunc(x) : typeof x === "string" && !keepsSizes ? null : x;
  c.setValue({ ...value, data: value.data.map(cast) });
});
define("CastLike", (c) => c.set(0, c.type(1).elemType, c.dims(0)));
