/** Shape rules of operators that work element by element, with their constant folding. */
import { int } from "../attributes.js";
import type { Dim } from "../graph.js";
import { DataType } from "../tensors.js";
import type { InferContext } from "./context.js";
import { broadcast, divide, multiply, same } from "./dims.js";
import { define, finite, merge, normalAxis, sameAsInput, type ShapeRule } from "./table.js";
import { zip, type SmallValue } from "./values.js";

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
  (f: (c: InferContext) => (x: Dim, y: Dim) => Dim) =>
  (c: InferContext): SmallValue | null => {
    const [a, b] = [c.value(0), c.value(1)];
    return a && b && c.node.inputs.length === 2 ? zip(a, b, f(c)) : null;
  };

const isInteger = (c: InferContext): boolean =>
  [DataType.INT64, DataType.INT32].includes(c.type(0).elemType) &&
  [DataType.INT64, DataType.INT32].includes(c.type(1).elemType);

/** Both numbers: `f`; else null, as the result may be negative and so is not a dimension. */
const numeric =
  (f: (x: number, y: number) => number) =>
  (x: Dim, y: Dim): Dim =>
    typeof x === "number" && typeof y === "number" ? finite(f(x, y)) : null;

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
        typeof x === "number" && typeof y === "number"
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
      if (typeof x === "number" && typeof y === "number")
        return finite(isInteger(c) ? Math.trunc(x / y) : x / y);
      if (y === 1) return x;
      return isInteger(c) && (typeof y !== "number" || y > 0) && (typeof x !== "number" || x >= 0)
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
    fold2(() => (x, y) => (same(x, y) ? x : numeric(Math.min)(x, y))),
  ),
);
define(
  "Max",
  elementwise(
    undefined,
    fold2(() => (x, y) => (same(x, y) ? x : numeric(Math.max)(x, y))),
  ),
);
define("Sum Mean BitShift BitwiseAnd BitwiseOr BitwiseXor", elementwise());
define("Pow", (c) => {
  elementwise()(c);
  c.set(0, c.type(0).elemType, c.dims(0) && c.dims(1) && broadcast(c.dims(0)!, c.dims(1)!, merge(c)));
});
const compare = (f: (x: number, y: number) => boolean): ShapeRule =>
  elementwise(
    DataType.BOOL,
    fold2(() => numeric((x, y) => Number(f(x, y)))),
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
  (f: (x: number) => number): ShapeRule =>
  (c) => {
    sameAsInput(c);
    const value = c.value(0);
    c.setValue(value && { ...value, data: value.data.map((x) => (typeof x === "number" ? f(x) : null)) });
  };
define(
  "Neg",
  unaryFold((x) => -x),
);
define("Floor", unaryFold(Math.floor));
define("Ceil", unaryFold(Math.ceil));
define("Where", (c) => {
  const [cond, a, b] = [c.dims(0), c.dims(1), c.dims(2)];
  const branches = a && b && broadcast(a, b, merge(c));
  c.set(0, c.type(1).elemType || c.type(2).elemType, cond && branches && broadcast(cond, branches, merge(c)));
  const [test, x, y] = [c.value(0), c.value(1), c.value(2)];
  if (!test || !x || !y) return;
  // NaN marks the entries that come from the other branch.
  const yes = zip(test, x, (t, v) => (t === null ? null : t !== 0 ? v : NaN));
  c.setValue(yes && zip(yes, y, (v, w) => (Number.isNaN(v) ? w : v)));
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
  const truncates = to === DataType.INT64 || to === DataType.INT32;
  const numeric = truncates || to === DataType.FLOAT || to === DataType.DOUBLE;
  if (numeric)
    c.setValue({
      ...value,
      data: value.data.map((x) => (typeof x === "number" && truncates ? Math.trunc(x) : x)),
    });
  else if (to === DataType.BOOL)
    c.setValue({ ...value, data: value.data.map((x) => (typeof x === "number" ? Number(x !== 0) : null)) });
});
define("CastLike", (c) => c.set(0, c.type(1).elemType, c.dims(0)));
