/**
 * A graph that declares what its nodes make. Files are exported with one batch and edited to another, name two axes alike that
 * are not, and say of inner values what was true before an optimiser passed: the runtime believes it, and plans memory by it.
 */
import { copyGraph, type Dim, type Graph, type ValueInfo } from "../graph.js";
import { inferSteps } from "../shapes.js";
import type { Steps } from "../steps.js";

/** What is wrong with the declarations of a graph, in words; null where nothing is, as far as one can tell. */
export function* wrongDeclaration(graph: Graph): Steps<string | null> {
  const shapes = yield* inferSteps(graph);
  const meanings = new Map<string, Dim>();
  for (const { name, dims } of graph.inputs) {
    if (dims === null) continue;
    const twice = dims.find((dim, axis) => typeof dim === "string" && dims.indexOf(dim) !== axis);
    if (twice !== undefined) return `it gives several axes of ${name} the name ${JSON.stringify(twice)}`;
    const known = shapes.dims(name);
    for (const [axis, dim] of dims.entries()) {
      if (typeof dim !== "string") continue;
      meanings.set(dim, known?.[axis] ?? dim);
    }
  }
  const open = new Set(graph.inputs.flatMap(({ name }) => shapes.dims(name) ?? []));
  const certain = (dim: Dim): boolean =>
    typeof dim !== "string" || dim.split("*").every((factor) => !factor.startsWith("?") || open.has(factor));
  for (const value of [...graph.outputs, ...graph.valueInfos.values()]) {
    yield;
    const made = shapes.dims(value.name)?.map((dim) => (certain(dim) ? dim : null)) ?? null;
    const wrong = contradiction(value, made, meanings);
    if (wrong !== null) return wrong;
  }
  return null;
}

function contradiction(
  { name, dims }: ValueInfo,
  made: readonly Dim[] | null,
  meanings: Map<string, Dim>,
): string | null {
  if (dims === null || made === null) return null;
  const told = `it declares ${name} as [${dims.map((dim) => dim ?? "?").join(", ")}]`;
  if (dims.length !== made.length) return `${told}, and that has ${made.length} axes`;
  for (const [axis, dim] of dims.entries()) {
    const real = made[axis]!;
    if (dim === null || real === null || dim === real) continue;
    if (typeof dim === "number")
      return `${told}, where axis ${axis} is ${typeof real === "number" ? real : "open"}`;
    const before = meanings.get(dim);
    if (before !== undefined && before !== real)
      return `${told}, where ${JSON.stringify(dim)} is another size elsewhere`;
    meanings.set(dim, real);
  }
  return null;
}

/** The graph without what its file says of inner values and outputs; names of axes are names of one axis each. */
export function* soundDeclarations(graph: Graph): Steps<Graph> {
  const result = copyGraph(graph);
  yield;
  result.valueInfos.clear();
  apart(result.inputs);
  return yield* inferredOutputs(result);
}

/** Equal names of axes of one input are told apart. The same name in several inputs is the batch's as a rule, wherever it lies. */
function apart(inputs: readonly ValueInfo[]): void {
  for (const { name, dims } of inputs)
    dims?.forEach((dim, axis) => {
      if (typeof dim === "string" && dims.indexOf(dim) < axis) dims[axis] = `${name}[${axis}]`;
    });
}

/** The graph with outputs as its nodes make them, and as declared where these do not tell; it is changed itself. */
export function* inferredOutputs(graph: Graph): Steps<Graph> {
  const bare = { ...graph, outputs: graph.outputs.map((value) => ({ ...value, dims: null })) };
  const shapes = yield* inferSteps(bare);
  const batch = graph.inputs.some(({ dims }) => dims !== null && typeof dims[0] !== "number");
  for (const output of graph.outputs) {
    const { elemType, dims } = shapes.valueInfo(output.name);
    if (dims === null) {
      // Where the batch is open nobody believes a number in its place.
      if (batch && typeof output.dims?.[0] === "number") output.dims[0] = null;
      continue;
    }
    const declared = output.dims?.length === dims.length ? output.dims : null;
    output.elemType ||= elemType;
    output.dims = dims.map((dim, axis) => {
      if (dim !== null) return dim;
      const said = declared?.[axis] ?? null;
      return typeof said === "number" && (axis > 0 || !batch) ? said : null;
    });
  }
  return graph;
}
