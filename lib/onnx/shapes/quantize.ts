/** Shape rules of operators that make quantised numbers, or compute with them. */
import { int } from "../attributes.js";
import { DataType } from "../tensors.js";
import type { InferContext } from "./context.js";
import { broadcast } from "./dims.js";
import { define, merge, operators, type ShapeRule } from "./table.js";

/** The type of an optional zero point, or what `output_dtype` says; unsigned bytes without either. */
const quantisedType = (c: InferContext, zeroPoint: number): number =>
  c.type(zeroPoint).elemType || int(c.node, "output_dtype", 0) || DataType.UINT8;

define("QuantizeLinear com.microsoft.QuantizeLinear", (c) => c.set(0, quantisedType(c, 2), c.dims(0)));
define("DequantizeLinear com.microsoft.DequantizeLinear", (c) =>
  c.set(0, int(c.node, "output_dtype", 0) || c.type(1).elemType, c.dims(0)),
);
define("DynamicQuantizeLinear", (c) => {
  c.set(0, DataType.UINT8, c.dims(0));
  c.set(1, DataType.FLOAT, []);
  c.set(2, DataType.UINT8, []);
});

/**
 * The rule of another operator, with some inputs of its own as that one's.
 *
 * @param inputs which of its inputs stand for the other operator's
 */
function like(opType: string, inputs: readonly number[], elemType: (c: InferContext) => number): ShapeRule {
  return (c) =>
    operators.get(opType)!({
      ...c,
      node: { ...c.node, inputs: inputs.map((i) => c.node.inputs[i] ?? "") },
      type: (i) => c.type(inputs[i]!),
      dims: (i) => c.dims(inputs[i]!),
      value: (i) => c.value(inputs[i]!),
      sizes: (i) => c.sizes(inputs[i]!),
      numbers: (i) => c.numbers(inputs[i]!),
      has: (i) => i < inputs.length && c.has(inputs[i]!),
      set: (i, _, dims) => c.set(i, elemType(c), dims),
      setValue: () => undefined,
    });
}

const typeOf =
  (input: number) =>
  (c: InferContext): number =>
    c.type(input).elemType;
const int32 = (): number => DataType.INT32;
const float32 = (): number => DataType.FLOAT;

define("MatMulInteger", like("MatMul", [0, 1], int32));
define("ConvInteger", like("Conv", [0, 1], int32));
define("QLinearMatMul", like("MatMul", [0, 3], typeOf(7)));
define("QLinearConv", like("Conv", [0, 3], typeOf(7)));
define(
  "com.microsoft.DynamicQuantizeMatMul com.microsoft.MatMulIntegerToFloat",
  like("MatMul", [0, 1], float32),
);
define(
  "com.microsoft.QGemm",
  like("Gemm", [0, 3], (c) => c.type(8).elemType || (c.has(7) ? c.type(0).elemType : DataType.FLOAT)),
);
define("com.microsoft.QLinearAdd com.microsoft.QLinearMul", (c) => {
  const [p, q] = [c.dims(0), c.dims(3)];
  c.set(0, c.type(0).elemType, p && q && broadcast(p, q, merge(c)));
});
define("com.microsoft.QLinearSigmoid com.microsoft.QLinearLeakyRelu com.microsoft.QLinearSoftmax", (c) =>
  c.set(0, c.type(0).elemType, c.dims(0)),
);
define("com.microsoft.QLinearConcat", (c) => {
  const terms = Array.from({ length: Math.floor((c.node.inputs.length - 2) / 3) }, (_, i) => 2 + 3 * i);
  like("Concat", terms, typeOf(terms[0] ?? 0))(c);
});
/** Channels last are moved to where the rules of pools expect them, and back. */
const pooled =
  (opType: string): ShapeRule =>
  (c) => {
    if (int(c.node, "channels_last", 0) === 0) return like(opType, [0], typeOf(0))(c);
    const dims = c.dims(0);
    const turned = dims && [dims[0]!, dims.at(-1)!, ...dims.slice(1, -1)];
    operators.get(opType)!({
      ...c,
      dims: () => turned,
      set: (i, elemType, made) => c.set(i, elemType, made && [made[0]!, ...made.slice(2), made[1]!]),
    });
  };
define("com.microsoft.QLinearGlobalAveragePool", pooled("GlobalAveragePool"));
define("com.microsoft.QLinearAveragePool", pooled("AveragePool"));
define("com.microsoft.QLinearWhere", (c) => {
  const [condition, p, q] = [c.dims(0), c.dims(1), c.dims(4)];
  const both = p && q && broadcast(p, q, merge(c));
  c.set(0, c.type(1).elemType, both && condition && broadcast(both, condition, merge(c)));
});
