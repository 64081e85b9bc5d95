/** Calls of model-local functions, and Ifs whose condition is known, are replaced by what they stand for. */
import { AttributeProtoSchema, type AttributeProto, type FunctionProto, type GraphProto } from "onnx-buf";
import { create } from "@bufbuild/protobuf";
import { ModelError } from "../base/errors.js";
import { LimitError, maxCallDepth, maxNodes } from "./limits.js";
import { graph as graphAttribute } from "./attributes.js";
import { bodyGraph, functionGraph, mapBodies, renameApart } from "./body.js";
import { decodeNode, encodeNode } from "./codec.js";
import {
  copyGraph,
  describeNode,
  identity,
  Names,
  onNode,
  withFields,
  type Graph,
  type Node,
} from "./graph.js";
import { Shapes } from "./shapes.js";

/** Of the name of a call, before the names of its nodes. */
const longestPrefix = 200;

const keyOf = (domain: string, name: string, overload: string): string => `${domain}:${name}:${overload}`;

/**
 * The graph with every call of one of its own functions replaced by the function's nodes.
 *
 * @throws ModelError ERR_MODEL_UNSUPPORTED for a function of another operator set than the model's, or for functions
 *   that call themselves
 */
export function inlineFunctions(graph: Graph): Graph {
  if (graph.functions.length === 0) return graph;
  const functions = new Map(graph.functions.map((f) => [keyOf(f.domain, f.name, f.overload), f]));
  const result = copyGraph(graph);
  const names = new Names(result);
  let count = 0;
  const inline = (nodes: readonly Node[], depth: number): Node[] => {
    if (depth > maxCallDepth + 1) throw new LimitError("the model is nested too deeply");
    return nodes.flatMap((node) => {
      if (++count > maxNodes) throw new LimitError("the model's functions are too large");
      const f = functions.get(keyOf(node.domain, node.opType, node.overload));
      if (!f) return [mapBodies(node, (inner) => inline(inner, depth + 1))];
      if (depth > maxCallDepth)
        throw new LimitError(
          `the model's function ${f.name} calls itself, or its functions call each other more than ${maxCallDepth} deep`,
        );
      checkOpset(graph, f);
      return inline(
        onNode(node, () => expandCall(node, f, names)),
        depth + 1,
      );
    });
  };
  result.nodes = inline(result.nodes, 0);
  result.functions = [];
  return result;
}

function checkOpset(graph: Graph, f: FunctionProto): void {
  for (const { domain, version } of f.opsetImport)
    if ((domain === "" || domain === "ai.onnx") && Number(version) !== graph.opsets.get(""))
      throw new ModelError(
        "ERR_MODEL_UNSUPPORTED",
        `the model's function ${f.name} is of operator set ${version} and the model of ` +
          `${graph.opsets.get("") ?? "none"}: export both with the same`,
      );
}

/** The function's nodes, on the values of the call. */
function expandCall(node: Node, f: FunctionProto, names: Names): Node[] {
  const body = functionGraph(f);
  const attributes = new Map([...f.attributeProto.map((a) => [a.name, a] as const), ...node.attributes]);
  body.nodes = body.nodes.map((inner) => bindAttributes(inner, attributes));
  const bound = new Map(f.input.map((name, i) => [name, node.inputs[i] ?? ""]));
  const after: Node[] = [];
  f.output.forEach((name, i) => {
    const output = node.outputs[i];
    if (!output) return;
    // An output that is an input, or is handed out twice, needs a node to get a second name.
    if (bound.has(name)) after.push(identity(bound.get(name)!, output));
    else bound.set(name, output);
  });
  // Names of names of names must not grow with the depth.
  renameApart(body, names, bound, `${(node.name || node.opType).slice(-longestPrefix)}/`);
  return [...body.nodes, ...after];
}

/** References to the function's attributes become the call's; where that has none, the node has none either. */
function bindAttributes(node: Node, given: ReadonlyMap<string, AttributeProto>): Node {
  const bound = new Map<string, AttributeProto>();
  for (const [name, attribute] of node.attributes) {
    const value = attribute.refAttrName === "" ? attribute : given.get(attribute.refAttrName);
    if (!value) continue;
    const bind = (body: GraphProto): GraphProto =>
      withFields(body, {
        node: body.node.map((inner) => encodeNode(bindAttributes(decodeNode(inner), given))),
      });
    const renamed = value.name === name ? value : withFields(value, { name });
    bound.set(
      name,
      value.g || value.graphs.length > 0
        ? create(AttributeProtoSchema, {
            name,
            type: renamed.type,
            graphs: value.graphs.map(bind),
            ...(value.g ? { g: bind(value.g) } : {}),
          })
        : renamed,
    );
  }
  return { ...node, attributes: bound };
}

/** Replaces every If whose condition is known by the branch that runs, in place. The graph is sorted. */
export function inlineIfs(graph: Graph): void {
  if (!graph.nodes.some(isIf)) return;
  const shapes = new Shapes(graph);
  const names = new Names(graph);
  const nodes: Node[] = [];
  const visit = (node: Node): void => {
    const condition = isIf(node) ? shapes.numbers(node.inputs[0] ?? "")?.[0] : undefined;
    const body =
      condition === undefined ? null : graphAttribute(node, condition ? "then_branch" : "else_branch");
    if (body) onNode(node, () => branchNodes(graph, shapes, node, body, names)).forEach(visit);
    else {
      nodes.push(node);
      shapes.addNode(node);
    }
  };
  graph.nodes.forEach(visit);
  graph.nodes = nodes;
}

function isIf(node: Node): boolean {
  return node.domain === "" && node.opType === "If";
}

function branchNodes(graph: Graph, shapes: Shapes, node: Node, body: GraphProto, names: Names): Node[] {
  const branch = bodyGraph(body, { graph, valueInfo: (name) => shapes.valueInfo(name) });
  if (branch.outputs.length < node.outputs.length)
    throw new ModelError("ERR_MODEL_INVALID", `${describeNode(node)}: its branch has too few outputs`);
  const outside = (name: string): boolean =>
    branch.inputs.some((input) => input.name === name) || graph.initializers.has(name);
  const made = new Set(branch.nodes.flatMap((inner) => inner.outputs));
  const bound = new Map<string, string>();
  for (const { name } of branch.inputs) bound.set(name, name);
  for (const name of branch.initializers.keys()) if (outside(name)) bound.set(name, name);
  const again: [string, string][] = [];
  node.outputs.forEach((output, i) => {
    const name = branch.outputs[i]!.name;
    if (output === "") return;
    if (made.has(name) && !bound.has(name)) bound.set(name, output);
    else again.push([name, output]);
  });
  renameApart(branch, names, bound, `${node.name || "If"}/`);
  const renamed = (name: string): string =>
    bound.get(name) ?? branch.outputs[body.output.findIndex((output) => output.name === name)]!.name;
  for (const [name, tensor] of branch.initializers) graph.initializers.set(name, tensor);
  return [...branch.nodes, ...again.map(([name, output]) => identity(renamed(name), output))];
}
