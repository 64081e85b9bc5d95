/** Reading and making node attributes. A wrong type is a typed error that names the node. */
import { create } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType as Type,
  AttributeProtoSchema,
  type AttributeProto,
  type GraphProto,
  type TensorProto,
} from "onnx-buf";
import { ModelError } from "../base/errors.js";
import { describeNode, type Node } from "./graph.js";
import { exactInteger, toInt64 } from "./int64.js";

export type AttributeValue =
  number | bigint | readonly (number | bigint)[] | string | readonly string[] | TensorProto;

/** Numbers of these names are floats in the standard operators (some in old ones only), all others are integers. */
const floats = new Set(
  (
    "alpha beta gamma epsilon momentum bias lambd cubic_coeff_a extrapolation_value ratio spatial_scale mean scale " +
    "seed high low min max value value_float value_floats scales norm_coefficient softcap clip activation_alpha activation_beta " +
    "activation_gamma activation_params mask_filter_value offset coefficients intercepts"
  ).split(" "),
);

/** @throws ModelError ERR_MODEL_INVALID for an integer that 64 bits do not hold exactly */
export function makeAttribute(name: string, value: AttributeValue): AttributeProto {
  const isFloat = floats.has(name);
  if (typeof value === "number" || typeof value === "bigint")
    return create(
      AttributeProtoSchema,
      isFloat ? { name, type: Type.FLOAT, f: Number(value) } : { name, type: Type.INT, i: toInt64(value) },
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
  const numbers = value as readonly (number | bigint)[];
  return create(
    AttributeProtoSchema,
    isFloat
      ? { name, type: Type.FLOATS, floats: numbers.map(Number) }
      : { name, type: Type.INTS, ints: numbers.map(toInt64) },
  );
}

function isList(value: AttributeValue): value is readonly (number | bigint)[] | readonly string[] {
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

/**
 * An integer attribute, or `otherwise` when the node has none.
 *
 * @throws ModelError ERR_MODEL_INVALID for one beyond 2⁵³: nothing that is counted with it exists
 */
export function int(node: Node, name: string, otherwise: number): number {
  return read(node, name, Type.INT, (a) => counted(node, name, a.i), otherwise);
}

/** An integer attribute with all its bits, for bounds that may mean "to the end" and for values that only move. */
export function wholeInt(node: Node, name: string, otherwise: bigint): bigint {
  return read(node, name, Type.INT, (a) => a.i, otherwise);
}

function counted(node: Node, name: string, value: bigint): number {
  const number = exactInteger(value);
  if (typeof number === "number") return number;
  throw new ModelError(
    "ERR_MODEL_INVALID",
    `${describeNode(node)}: expected attribute "${name}" within ±2⁵³, got ${value}`,
  );
}

export function float(node: Node, name: string, otherwise: number): number {
  return read(node, name, Type.FLOAT, (a) => a.f, otherwise);
}

/** @throws as {@link int} */
export function ints(node: Node, name: string): number[] | null {
  return read<number[] | null>(
    node,
    name,
    Type.INTS,
    (a) => a.ints.map((value) => counted(node, name, value)),
    null,
  );
}

/** As {@link wholeInt}, for a list. */
export function wholeInts(node: Node, name: string): bigint[] | null {
  return read<bigint[] | null>(node, name, Type.INTS, (a) => [...a.ints], null);
}

export function floatList(node: Node, name: string): number[] | null {
  return read<number[] | null>(node, name, Type.FLOATS, (a) => [...a.floats], null);
}

export function string(node: Node, name: string, otherwise: string): string {
  return read(node, name, Type.STRING, (a) => new TextDecoder().decode(a.s), otherwise);
}

export function stringList(node: Node, name: string): string[] | null {
  const text = new TextDecoder();
  return read<string[] | null>(node, name, Type.STRINGS, (a) => a.strings.map((s) => text.decode(s)), null);
}

export function tensor(node: Node, name: string): TensorProto | null {
  return read<TensorProto | null>(node, name, Type.TENSOR, (a) => a.t, null);
}

export function graph(node: Node, name: string): GraphProto | null {
  return read<GraphProto | null>(node, name, Type.GRAPH, (a) => a.g, null);
}
