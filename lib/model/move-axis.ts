/** Tensors with their axes in another order. */
import type { NativeArray } from "../native/types/values.js";
import { movedAxes } from "../onnx/index.js";
import { elementCount } from "../base/tensor.js";

/** A copy with axis `from` at the place `to`, or the tensor itself where it is there. */
export function moveAxis<T extends { data: NativeArray; shape: readonly number[] }>(
  tensor: T,
  from: number,
  to: number,
): T {
  if (from === to) return tensor;
  const { shape } = tensor;
  const source = tensor.data;
  const order = movedAxes(shape.length, from, to);
  const result = order.map((axis) => shape[axis]!);
  const strides = shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
  const data = source.slice() as typeof source;
  const at = result.map(() => 0);
  let place = 0;
  for (let i = 0; i < data.length; i++) {
    data[i] = source[place]!;
    for (let k = result.length - 1; k >= 0; k--) {
      const stride = strides[order[k]!]!;
      place += stride;
      if (++at[k]! < result[k]!) break;
      place -= stride * result[k]!;
      at[k] = 0;
    }
  }
  return { ...tensor, data, shape: result };
}
