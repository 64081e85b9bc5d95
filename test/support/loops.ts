/** Scans and Loops with their bodies, for tests. */
import { create } from "@bufbuild/protobuf";
import { AttributeProto_AttributeType as Type, AttributeProtoSchema } from "onnx-buf";
import { makeAttribute, type AttributeValue } from "../../lib/onnx/attributes.js";
import { encodeBody } from "../../lib/onnx/body.js";
import { Builder, emptyGraph, type Dim } from "../../lib/onnx/index.js";

export interface BodySpec {
  /** The body's own inputs: name, element type, shape. */
  own: [string, number, Dim[] | null][];
  /** What it takes from around it. */
  captured?: string[];
  write: (b: Builder, ...own: string[]) => string[];
}

let bodies = 0;

export function withBody(
  b: Builder,
  opType: "Scan" | "Loop",
  inputs: string[],
  outputs: number,
  spec: BodySpec,
  attributes: Record<string, AttributeValue> = {},
): string[] {
  const prefix = `body${bodies++}`;
  const graph = emptyGraph(prefix, b.graph.opsets.get(""));
  const inner = new Builder(graph, `${prefix}/`);
  const own = spec.own.map(([name, type, dims]) => inner.input(`${prefix}/${name}`, type, dims));
  for (const name of spec.captured ?? [])
    inner.input(name, b.shapes.elemType(name), b.shapes.valueInfo(name).dims);
  spec.write(inner, ...own).forEach((value, i) => inner.output(`${prefix}/out${i}`, value));
  const given = graph.inputs.filter(({ name }) => own.includes(name));
  const g = encodeBody(graph, emptyGraph("none"), given);
  const names = Array.from({ length: outputs }, (_, i) => b.names.fresh(`${opType}${i}`));
  b.append({
    opType,
    domain: "",
    name: b.names.fresh(opType),
    overload: "",
    inputs,
    outputs: names,
    attributes: new Map([
      ["body", create(AttributeProtoSchema, { name: "body", type: Type.GRAPH, g })],
      ...Object.entries(attributes).map(([name, value]) => [name, makeAttribute(name, value)] as const),
    ]),
  });
  return names;
}
