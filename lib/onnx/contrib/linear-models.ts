/** Operators of classical machine learning that are smooth: scalings, norms and linear models, as scikit-learn's have them. */
import { floatList, int, ints, string, stringList } from "../attributes.js";
import { DataType } from "../tensors.js";
import type { NodeContext } from "../rules/rule.js";
import { add, define } from "./table.js";

/** The rows, which may be of whole numbers, in float32. */
function rows({ b, x }: NodeContext): string {
  const type = b.shapes.elemType(x[0]!);
  return type === DataType.FLOAT ? x[0]! : b.op("Cast", [x[0]!], { to: DataType.FLOAT });
}

const vector = ({ b }: NodeContext, numbers: readonly number[]): string =>
  b.constant(numbers, [numbers.length], DataType.FLOAT);

define("ai.onnx.ml:Scaler", (c) => {
  const { b, node } = c;
  const [offset, scale] = [floatList(node, "offset"), floatList(node, "scale")];
  const centred = offset ? b.op("Sub", [rows(c), vector(c, offset)]) : rows(c);
  return scale ? b.op("Mul", [centred, vector(c, scale)]) : centred;
});

// A row of zeros stays one.
define("ai.onnx.ml:Normalizer", (c) => {
  const { b, node, fail } = c;
  const x = rows(c);
  const norm = string(node, "norm", "MAX");
  const axes = b.ints([-1]);
  if (norm !== "L1" && norm !== "L2") throw fail(`its norm ${norm} has no gradient here`);
  const length = b.op(norm === "L1" ? "ReduceL1" : "ReduceL2", [x, axes], { keepdims: 1 });
  const zero = b.op("Equal", [length, b.scalar(0, length)]);
  return b.op("Div", [x, b.op("Where", [zero, b.scalar(1, length), length])]);
});

/** Rows times coefficients, one row of them for each result. */
function products(c: NodeContext, results: number): string {
  const { b, node } = c;
  const coefficients = floatList(node, "coefficients") ?? [];
  if (results < 1 || coefficients.length % results !== 0)
    throw new Error("its coefficients do not fit its results");
  const w = b.constant(coefficients, [results, coefficients.length / results], DataType.FLOAT);
  const intercepts = floatList(node, "intercepts");
  return add(
    b,
    b.op("MatMul", [rows(c), b.op("Transpose", [w], { perm: [1, 0] })]),
    intercepts && vector(c, intercepts),
  );
}

function transformed({ b, node, fail }: NodeContext, scores: string): string {
  const how = string(node, "post_transform", "NONE");
  if (how === "NONE") return scores;
  if (how === "LOGISTIC") return b.op("Sigmoid", [scores]);
  if (how === "SOFTMAX") return b.op("Softmax", [scores], { axis: -1 });
  throw fail(`its post_transform ${how} has no gradient here`);
}

define("ai.onnx.ml:LinearRegressor", (c) => transformed(c, products(c, int(c.node, "targets", 1))));

// Labels are its own; scores are spelled out.
define("ai.onnx.ml:LinearClassifier", (c) => {
  const { b, node, fail } = c;
  const labels = ints(node, "classlabels_ints") ?? stringList(node, "classlabels_strings") ?? [];
  const classes = floatList(node, "intercepts")?.length ?? labels.length;
  if (classes < 2) throw fail("it has one row of coefficients for two classes");
  const outputs = ["label", "scores"].map((name) => b.names.fresh(`${node.outputs[0] || node.name}/${name}`));
  b.append({ ...node, outputs });
  return [outputs[0]!, transformed(c, products(c, classes))];
});
