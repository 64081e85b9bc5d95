/**
 * What a model may ask for. A file of a few hundred bytes can name any size, nest to any depth and call functions that call
 * functions: whatever recurses or allocates by a number of the file's is bounded here, far above what real models need.
 */
import type { FunctionProto, GraphProto, ModelProto, NodeProto } from "onnx-buf";
import { ModelError } from "../base/errors.js";

/** Nodes of a graph, those that differentiation and rewrites make among them. */
export const maxNodes = 1_000_000;
/** Bodies within bodies. Protobuf's own limit, which ONNX Runtime keeps, is reached at 33. */
const maxBodyDepth = 32;
/** Functions that call functions. ONNX Runtime takes 7 s for 800 levels, and ends the process at 3,000. */
export const maxCallDepth = 64;
/** Nodes that calls of functions stand for. ONNX Runtime makes them one by one, about 2,500 in a second. */
const maxExpandedNodes = 100_000;
/** Elements of one constant that a rule or a rewrite makes of sizes in the file: 64 MB of float32. */
export const maxMadeElements = 1 << 24;
/** Elements of all of them: 2 GB of float32, which no file could hold anyway. */
export const maxAllMadeElements = 1 << 29;

/** A model asks for more than it may. */
export class LimitError extends ModelError {
  constructor(message: string) {
    super("ERR_MODEL_UNSUPPORTED", message);
    this.name = "ModelError";
  }
}

const keyOf = (domain: string, name: string, overload: string): string =>
  `${domain === "ai.onnx" ? "" : domain}:${name}:${overload}`;

/**
 * Checks depths and numbers of nodes before anything walks over the model.
 *
 * @throws LimitError naming what is too deep or too many
 */
export function checkNesting(model: ModelProto, name: string): void {
  let nodes = 0;
  const walk = (list: readonly NodeProto[], depth: number): void => {
    if (depth > maxBodyDepth)
      throw new LimitError(
        `${name}: its If, Loop and Scan bodies lie within each other more than ${maxBodyDepth} deep; export it flatter`,
      );
    if ((nodes += list.length) > maxNodes)
      throw new LimitError(`${name}: expected at most ${maxNodes} nodes, got ${nodes} or more`);
    for (const node of list)
      for (const { g, graphs } of node.attribute) {
        if (g) walk(g.node, depth + 1);
        for (const body of graphs) walk(body.node, depth + 1);
      }
  };
  if (model.graph) walk(model.graph.node, 0);
  for (const f of model.functions) walk(f.node, 0);
  for (const { initialization, algorithm } of model.trainingInfo)
    for (const graph of [initialization, algorithm]) if (graph) walk(graph.node, 0);
  checkFunctions(model.functions, model.graph, name);
}

/** What the calls of functions come to. */
function checkFunctions(
  functions: readonly FunctionProto[],
  graph: GraphProto | undefined,
  name: string,
): void {
  if (functions.length === 0) return;
  const byKey = new Map(functions.map((f) => [keyOf(f.domain, f.name, f.overload), f]));
  const sizes = new Map<FunctionProto, number>();
  const open = new Set<FunctionProto>();
  /** Nodes that a list stands for, with all calls in it expanded. */
  const size = (nodes: readonly NodeProto[], depth: number): number => {
    let sum = 0;
    for (const node of nodes) {
      const f = byKey.get(keyOf(node.domain, node.opType, node.overload));
      sum += f ? sizeOf(f, depth + 1) : 1;
      for (const { g, graphs } of node.attribute) {
        if (g) sum += size(g.node, depth);
        for (const body of graphs) sum += size(body.node, depth);
      }
      if (sum > maxExpandedNodes)
        throw new LimitError(
          `${name}: the calls of its functions stand for more than ${maxExpandedNodes} nodes; inline them before ` +
            "exporting, or export it without functions",
        );
    }
    return sum;
  };
  const sizeOf = (f: FunctionProto, depth: number): number => {
    if (open.has(f)) throw new LimitError(`${name}: its function ${f.name} calls itself`);
    if (depth > maxCallDepth)
      throw new LimitError(
        `${name}: its functions call each other more than ${maxCallDepth} deep (at ${f.name}); inline them before ` +
          "exporting, or export it without functions",
      );
    // A function that is known to be flat enough here may lie deeper elsewhere.
    const key = sizes.get(f);
    if (key !== undefined && depth + depths.get(f)! <= maxCallDepth) return key;
    open.add(f);
    const own = size(f.node, depth);
    open.delete(f);
    sizes.set(f, own);
    depths.set(f, height(f));
    return own;
  };
  const depths = new Map<FunctionProto, number>();
  /** Levels of calls below a function whose callees are known. */
  const height = (f: FunctionProto): number => {
    let most = 0;
    const visit = (nodes: readonly NodeProto[]): void => {
      for (const node of nodes) {
        const callee = byKey.get(keyOf(node.domain, node.opType, node.overload));
        if (callee) most = Math.max(most, 1 + (depths.get(callee) ?? 0));
        for (const { g, graphs } of node.attribute) {
          if (g) visit(g.node);
          graphs.forEach((body) => visit(body.node));
        }
      }
    };
    visit(f.node);
    return most;
  };
  // Of functions that nothing calls, too: the runtime looks at all of them.
  for (const f of functions) sizeOf(f, 1);
  if (graph) size(graph.node, 0);
}
