/** Operators that roll dice: neither their results nor gradients through them come again. */
import type { NodeProto } from "onnx-buf";
import { decodeNode } from "./codec.js";
import { nodeReads, subgraphs, type Graph, type Node } from "./graph.js";
import { readNumbers } from "./tensors.js";

const operators = new Set([
  "RandomNormal",
  "RandomNormalLike",
  "RandomUniform",
  "RandomUniformLike",
  "Bernoulli",
  "Multinomial",
]);

/** The nodes on the way to any of `outputs` (default: all) that draw random numbers, in the graph's order. */
export function randomNodes(graph: Graph, outputs?: readonly string[]): Node[] {
  const needed = new Set(outputs ?? graph.outputs.map((output) => output.name));
  const functions = randomFunctions(graph);
  const found: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((name) => needed.has(name))) continue;
    for (const name of nodeReads(node)) needed.add(name);
    if (isRandom(node, graph, functions)) found.push(node);
  }
  return found.reverse();
}

function isRandom(node: Node, graph: Graph, functions: ReadonlySet<string>): boolean {
  if (functions.has(`${node.domain}:${node.opType}`)) return true;
  if (node.domain === "" && (operators.has(node.opType) || isTraining(node, graph))) return true;
  return subgraphs(node).some((body) => anyRandom(body.node, graph, functions));
}

function anyRandom(nodes: readonly NodeProto[], graph: Graph, functions: ReadonlySet<string>): boolean {
  return nodes.some((node) => isRandom(decodeNode(node), graph, functions));
}

/** A Dropout that drops. Before operator set 12 it never did; what is no constant may come to be anything. */
function isTraining(node: Node, graph: Graph): boolean {
  if (node.opType !== "Dropout" || !node.inputs[2]) return false;
  const ratio = node.inputs[1] ? constantNumber(node.inputs[1], graph) : 0.5;
  return ratio !== 0 && constantNumber(node.inputs[2], graph) !== 0;
}

/** A scalar that is an initializer or made by a Constant; null for anything else. */
function constantNumber(name: string, graph: Graph): number | bigint | null {
  const maker = graph.nodes.find((node) => node.outputs.includes(name));
  const value =
    graph.initializers.get(name) ??
    (maker?.domain === "" && maker.opType === "Constant" ? maker.attributes.get("value")?.t : undefined);
  return value ? (readNumbers(value)?.[0] ?? null) : null;
}

/** The model's own functions that contain one, by "domain:name". */
function randomFunctions(graph: Graph): Set<string> {
  const random = new Set<string>();
  for (let before = -1; before < random.size;) {
    before = random.size;
    for (const f of graph.functions)
      if (anyRandom(f.node, graph, random)) random.add(`${f.domain}:${f.name}`);
  }
  return random;
}
