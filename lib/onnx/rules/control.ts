/** Control flow. */
import { create } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  type AttributeProto,
  type GraphProto,
} from "onnx-buf";
import { graph as graphAttribute } from "../attributes.js";
import { bodyGraph, encodeBody, renameApart } from "../body.js";
import { capturedNames, subgraphs } from "../graph.js";
import { decodeNode } from "../codec.js";
import { define, type RuleContext } from "./rule.js";

/** Every level computes again what the levels within it do: the work grows with the cube of the depth. */
const maxDepth = 16;

// Each branch is differentiated, and an If of the same condition picks the adjoints of what the branches capture. What
// a branch computes cannot be seen from outside, so it is computed again.
define("If", (c) => {
  const wanted = c.captured.filter(c.isActive);
  let made: string[] | undefined;
  const adjoint = (name: string) => (): string => (made ??= branches(c, wanted))[wanted.indexOf(name)]!;
  return [null, ...c.captured.map((name) => (wanted.includes(name) ? adjoint(name) : null))];
});

function branches(c: RuleContext, wanted: readonly string[]): string[] {
  const { b, node } = c;
  const outputs = wanted.map((name) => b.names.fresh(`${node.outputs[0]!}/${name}`));
  const attributes = ["then_branch", "else_branch"].map((key): [string, AttributeProto] => {
    const body = graphAttribute(node, key);
    if (!body) throw new Error(`it has no ${key}`);
    if (depth(body) > maxDepth) throw c.fail("it is nested too deeply");
    const g = adjointBranch(c, body, wanted);
    return [key, create(AttributeProtoSchema, { name: key, type: AttributeProto_AttributeType.GRAPH, g })];
  });
  b.append({
    opType: "If",
    domain: "",
    name: b.names.fresh("grad/If"),
    overload: "",
    inputs: [c.x[0]!],
    outputs,
    attributes: new Map(attributes),
  });
  return outputs;
}

/** The branch that gives the adjoints of `wanted`. */
function adjointBranch(c: RuleContext, body: GraphProto, wanted: readonly string[]): GraphProto {
  const { b, grads } = c;
  const branch = bodyGraph(body, { graph: b.graph, valueInfo: (name) => b.shapes.valueInfo(name) }, wanted);
  // An operator nobody knows may make it; the adjoint says of what type it is.
  branch.outputs.forEach((output, i) => {
    if (output.elemType === 0 && grads[i]) output.elemType = b.shapes.elemType(grads[i]);
  });
  const seeded = branch.outputs.flatMap(({ name }, i) => (grads[i] ? [{ name, g: grads[i] }] : []));
  if (new Set(seeded.map(({ name }) => name)).size < seeded.length)
    throw c.fail("it hands out a value twice");
  const prefix = "adjoint of ";
  const result = c.differentiate(branch, {
    wrt: [...wanted],
    outputs: seeded.map(({ name }) => name),
    keepOutputs: false,
    prefix,
  });
  // Captured values and the adjoints around the node keep their names, all others are new.
  const bound = new Map([...capturedNames(body), ...wanted].map((name) => [name, name]));
  for (const { name, g } of seeded) bound.set(prefix + name, g);
  renameApart(result, b.names, bound, "grad/");
  return encodeBody(result, b.graph);
}

function depth(body: GraphProto): number {
  const within = body.node.flatMap((node) => subgraphs(decodeNode(node)).map(depth));
  return 1 + within.reduce((p, q) => Math.max(p, q), 0);
}
