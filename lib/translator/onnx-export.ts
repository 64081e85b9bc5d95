/** A translator as an ONNX graph of standard operators: it runs in any runtime. */
import { Builder, DataType, emptyGraph, encodeModel } from "../onnx/index.js";
import type { Tensor } from "../base/tensor.js";
import type { TranslatorShape } from "./shape.js";

/** c [batch, m] → logits [batch, K], means [batch, K, d], stds [d] or [K, d], and y where there is that head. */
export function translatorOnnx(shape: TranslatorShape, values: Record<string, Tensor>): Uint8Array {
  const b = new Builder(emptyGraph("tr0n_translator", 17));
  const tensor = (name: string): string => {
    const { data, shape: dims } = values[name]!;
    return b.constant(data, dims, DataType.FLOAT);
  };
  const linear = (x: string, name: string): string =>
    b.op("Gemm", [x, tensor(`${name}.weight`), tensor(`${name}.bias`)], { transB: 1 });
  const { components: k, latent: d } = shape;
  const c = b.input("c", DataType.FLOAT, ["batch", shape.condition]);
  let a = b.op("Relu", [linear(c, "shared1")]);
  for (let block = 0; block < shape.depth; block++)
    a = b.op("Add", [a, b.op("Relu", [linear(a, `shared${2 + block}`)])]);
  let means = shape.rank > 0 ? b.reshape(linear(a, "z_codes"), [-1, shape.rank]) : linear(a, "z_layer");
  if (shape.rank > 0) means = linear(means, "z_basis");
  if (shape.bound > 0) means = b.op("Mul", [b.op("Tanh", [means]), b.scalar(shape.bound, means)]);
  if (shape.deterministic) b.output("means", b.op("Reshape", [means, b.ints([-1, 1, d])]));
  else {
    b.output("logits", linear(a, "z_mixture_logits"));
    b.output("means", b.op("Reshape", [means, b.ints([-1, k, d])]));
    const stds = b.op("Add", [b.op("Exp", [tensor("z_log_stds")]), b.constant([1e-6], [], DataType.FLOAT)]);
    b.output("stds", b.op("Reshape", [stds, b.ints(shape.stds === "component" ? [k, d] : [d])]));
  }
  if (shape.auxiliary > 0) b.output("y", linear(a, "y_layer"));
  return encodeModel(b.graph);
}
