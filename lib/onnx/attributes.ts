/** Reading and making node attributes. A wrong type is a typed error that names the node. */
import { create } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType as Type,
  AttributeProtoSchema,
  type AttributeProto,
  type GraphProto,
  type TensorProto,
} from "onnx-buf";
import { ModelError } from "../errors.js";
import { describeNode, type Node } from "./graph.js";

export type AttributeValue = number | readonly number[] | string | readonly string[] | TensorProto;

/** Numbers of these names are floats in the standard operators (some in old ones only), all others are integers. */
const floats = new Set(
  (
    "alpha beta gamma epsilon momentum bias lambd cubic_coeff_a extrapolation_value ratio spatial_scale mean scale " +
    "seed high low min max value value_float value_floats scales norm_coefficient softcap"
  ).split(" "),
);

const int64Max = (1n << 63n) - 1n;
const int64Min = -(1n << 63n);

/** A number as int64, saturated: 2⁶³ stands for "to the end" in slices. */
export function toInt64(value: number): bigint {
  const big = BigInt(Math.trunc(value));
  return big > int64Max ? int64Max : big < int64Min ? int64Min : big;
}

export function makeAttribute(name: string, value: AttributeValue): AttributeProto {
  const isFloat = floats.has(name);
  if (typeof value === "number")
    return create(
      AttributeProtoSchema,
      isFloat ? { name, type: Type.FLOAT, f: value } : { name, type: Type.INT, i: toInt64(value) },
    );
  if (typeof value === "string")
    return create(AttributeProtoSchema, { name, type: Type.STRING, s: encodeText(value) });
  if (!isList(value)) return create(AttributeProtoSchema, { name, type: Type.TENSOR, t: value });
  if (typeof value[0] === "string")
    return create(AttributeProtoSchema, {
      name,
      type: Type.STRINGS,
      strings: (value as readonly string[]).map(encodeText),
    });
  const numbers = value as readonly number[];
  return create(
    AttributeProtoSchema,
    isFloat
      ? { name, type: Type.FLOATS, floats: [...numbers] }
      : { name, type: Type.INTS, ints: numbers.map(toInt64) },
  );
}

function isList(value: AttributeValue): value is readonly number[] | readonly string[] {
  return Array.isArray(value);
}

function encodeText(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function read<T>(
  node: Node,
  name: string,
  type: Type,
  get: (a: AttributeProto) => T | undefined,
  otherwise: T,
): T {
  const attribute = node.attributes.get(name);
  if (attribute === undefined) return otherwise;
  // Files from before 2017 leave the type out.
  const value = attribute.type === type || attribute.type === Type.UNDEFINED ? get(attribute) : undefined;
  if (value === undefined)
    throw new ModelError(
      "ERR_MODEL_INVALID",
      `${describeNode(node)}: expected attribute "${name}" of type ${Type[type]}, got ${Type[attribute.type] ?? attribute.type}`,
    );
  return value;
}

/** An integer attribute, or `otherwise` when the node has none. */
export function int(node: Node, name: string, otherwise: number): number {
  return read(node, name, Type.INT, (a) => Number(a.i), otherwise);
}

export function float(node: Node, name: string, otherwise: number): number {
  return read(node, name, Type.FLOAT, (a) => a.f, otherwise);
}

export function ints(node: Node, name: string): number[] | null {
  return read<number[] | null>(node, name, Type.INTS, (a) => a.ints.map(Number), null);
}

export function floatList(node: Node, name: string): number[] | null {
  return read<number[] | null>(node, name, Type.FLOATS, (a) => [...a.floats], null);
}

export function string(node: Node, name: string, otherwise: string): string {
  return read(node, name, Type.STRING, (a) => new TextDecoder().decode(a.s), otherwise);
}

export function tensor(node: Node, name: string): TensorProto | null {
  return read<TensorProto | null>(node, name, Type.TENSOR, (a) => a.t, null);
}

export function graph(node: Node, name: string): GraphProto | null {
  return read<GraphProto | null>(node, name, Type.GRAPH, (a) => a.g, null);
}
