/** What an operator's shape rule sees and says. */
import type { GraphProto } from "onnx-buf";
import type { Dim, Node } from "../graph.js";
import type { SmallValue } from "./values.js";

/** Element type (0: unknown) and dimensions (null: unknown rank) of a tensor. */
export interface TensorType {
  elemType: number;
  dims: Dim[] | null;
}

export interface InferContext {
  readonly node: Node;
  /** The graph's operator set. */
  readonly opset: number;
  /** The type of input `i`; unknown where the input is left out. */
  type(i: number): TensorType;
  /** Dimensions of input `i`, null when its rank is unknown. */
  dims(i: number): Dim[] | null;
  /** The entries of a small integer or float tensor, where they are known (maybe as symbols). */
  value(i: number): SmallValue | null;
  /** The entries as sizes, null for one that is too large to be one; null when nothing is known. */
  sizes(i: number): Dim[] | null;
  /** As `value`, but only when every entry is a number, which integers beyond 2⁵³ are not. */
  numbers(i: number): number[] | null;
  has(i: number): boolean;
  /** A dimension that nothing is known of, the same one for the same formula. */
  derive(formula: string): Dim;
  /** The types of a body's outputs, for inputs of its own of these types. */
  body(body: GraphProto, inputs?: readonly TensorType[]): TensorType[];
  /** States the type of output `i`. */
  set(i: number, elemType: number, dims: readonly Dim[] | null): void;
  /** States the entries of output 0. */
  setValue(value: SmallValue | null): void;
}
