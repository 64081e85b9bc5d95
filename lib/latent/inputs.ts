/** Between a latent [n, d] and the inputs of a generator: which columns go where, and in what shape. */
import { Builder, DataType, emptyGraph, type Dim, type Graph } from "../onnx/index.js";
import { elementCount, type Tensor } from "../base/tensor.js";
import type { NativeTorchPart } from "../native/types/pipeline.js";
import { classBorders, classOf, labelOps, type LabelInput } from "./labels.js";

/** An input of a generator and the columns of a latent that it takes. */
export interface LatentInput {
  readonly name: string;
  readonly begin: number;
  /** Numbers of the latent. */
  readonly size: number;
  /** Shape of one row of the input. */
  readonly row: readonly number[];
  /** The same numbers go into each of row[0] layers. */
  readonly broadcast: boolean;
  /** The one number stands for a class. */
  readonly label?: LabelInput;
}

/** latent [N, d] → the inputs, each as an output of its name. */
export function latentGraph(batch: Dim, dim: number, inputs: readonly LatentInput[]): Graph {
  const b = new Builder(emptyGraph("tr0n_latent"));
  const latent = b.input("latent", DataType.FLOAT, [batch, dim]);
  for (const { name, begin, size, row, broadcast, label } of inputs) {
    const part =
      size === dim ? latent : b.op("Slice", [latent, b.ints([begin]), b.ints([begin + size]), b.ints([1])]);
    const own = label ? labelOps(b, part, label) : part;
    const shaped = broadcast
      ? b.op("Expand", [b.unsqueeze(own, [1]), b.ints([1, ...row])])
      : b.reshape(own, [-1, ...row]);
    b.output(`input_${name}`, shaped);
    b.graph.outputs.at(-1)!.dims = [batch, ...row];
  }
  return b.graph;
}

/** The same for models of libtorch, which takes the parts by itself. */
export function latentParts(inputs: readonly LatentInput[]): NativeTorchPart[] {
  return inputs.map(({ name: input, begin, size, row: shape, broadcast, label }) => ({
    ...{ input, begin, size, shape, broadcast },
    ...(label ? { borders: classBorders(label.classes), oneHot: label.oneHot } : {}),
  }));
}

/** Rows of latents [n, d] as the inputs take them. */
export function latentTensors(
  latents: Float32Array,
  n: number,
  inputs: readonly LatentInput[],
): Record<string, Tensor> {
  const d = latents.length / n;
  return Object.fromEntries(
    inputs.map(({ name, begin, size, row, broadcast, label }) => {
      const data = new Float32Array(n * elementCount(row));
      if (label) {
        for (let i = 0; i < n; i++) {
          const number = classOf(latents[i * d + begin]!, label.classes);
          if (label.oneHot) data[i * label.classes + number] = 1;
          else data[i] = number;
        }
        return [name, { data, shape: [n, ...row] }];
      }
      const copies = broadcast ? row[0]! : 1;
      for (let i = 0; i < n; i++)
        for (let k = 0; k < copies; k++)
          data.set(latents.subarray(i * d + begin, i * d + begin + size), (i * copies + k) * size);
      return [name, { data, shape: [n, ...row] }];
    }),
  );
}
