/** Joins two graphs: outputs of the first feed inputs of the second. */
import { ArgumentError, ModelError } from "../base/errors.js";
import {
  identity,
  Names,
  removeDead,
  renameValues,
  sortGraph,
  valueNames,
  type Dim,
  type Graph,
  type ValueInfo,
} from "./graph.js";
import { inferSteps, type Shapes } from "./shapes.js";
import { formatDims } from "./shapes/dims.js";
import { finish, type Steps } from "./steps.js";
import { typeName } from "./tensors.js";
import { unifyOpsets } from "./upgrade.js";

export interface ComposeOptions {
  /** Put before names of the second graph that the first has too. Default "second/". */
  prefix?: string;
  /** Outputs of the first graph that stay outputs of the result. Default: those that are not connected. */
  keepOutputs?: string[];
}

/**
 * `second ∘ first`. An input of `second` without a connection becomes an input of the result. Where a symbolic
 * dimension meets a fixed one the fixed one wins, on the graph's inputs too.
 *
 * @param connections output of `first` by input of `second`
 * @throws ArgumentError for a name that does not exist, and with ERR_SHAPE_MISMATCH for types or shapes that do
 *   not fit
 */
export function compose(
  first: Graph,
  second: Graph,
  connections: Record<string, string>,
  options: ComposeOptions = {},
): Graph {
  return finish(composeSteps(first, second, connections, options));
}

export function* composeSteps(
  first: Graph,
  second: Graph,
  connections: Record<string, string>,
  options: ComposeOptions = {},
): Steps<Graph> {
  const [a, b] = yield* unifyOpsets(first, second);
  const prefix = options.prefix ?? "second/";
  checkNames("connections", Object.keys(connections), b.inputs, "inputs of the second graph");
  checkNames("connections", Object.values(connections), a.outputs, "outputs of the first graph");
  checkNames("keepOutputs", options.keepOutputs ?? [], a.outputs, "outputs of the first graph");

  const sizes = unify(a, b, connections, prefix, yield* inferSteps(a));
  yield;
  solveTypes(a, sizes.first);
  solveTypes(b, sizes.second);

  const used = new Set(Object.values(connections));
  const kept = a.outputs.filter((output) =>
    options.keepOutputs ? options.keepOutputs.includes(output.name) : !used.has(output.name),
  );
  const isConnected = (value: ValueInfo): boolean => Object.hasOwn(connections, value.name);
  const passed = b.outputs.filter(isConnected);
  b.outputs = b.outputs.filter((output) => !isConnected(output));
  b.inputs = b.inputs.filter((input) => !isConnected(input));

  // What the result shows to the outside keeps its name: inner values of the first graph make room.
  a.outputs = kept;
  yield;
  const moved = makeRoom(a, [...b.inputs, ...b.outputs, ...passed]);
  const source = (input: string): string => moved.get(connections[input]!) ?? connections[input]!;

  // All other names of the second graph give way: its connected inputs become the first graph's values.
  const names = new Names(a);
  const renamed = new Map(Object.keys(connections).map((input) => [input, source(input)]));
  for (const name of valueNames(b)) {
    if (renamed.has(name)) continue;
    const free = names.has(name) ? names.fresh(prefix + name) : names.fresh(name);
    if (free !== name) renamed.set(name, free);
  }
  yield;
  renameValues(b, renamed);
  for (const node of b.nodes) node.name = node.name === "" ? "" : names.fresh(node.name);
  // An input that the second graph hands through keeps its name as an output.
  for (const output of passed) {
    const name = names.fresh(output.name);
    b.nodes.push(identity(source(output.name), name));
    b.outputs.push({ ...output, name });
  }

  const result: Graph = {
    ...a,
    inputs: [...a.inputs, ...b.inputs],
    outputs: [...kept, ...b.outputs],
    initializers: new Map([...a.initializers, ...b.initializers]),
    nodes: [...a.nodes, ...b.nodes],
    valueInfos: new Map([...a.valueInfos, ...b.valueInfos]),
    functions: joinFunctions(a, b),
    metadata: new Map([...b.metadata, ...a.metadata]),
  };
  yield;
  sortGraph(result);
  yield;
  removeDead(result);
  return result;
}

/** Renames values of `graph` that are neither inputs nor outputs away from the given names. */
function makeRoom(graph: Graph, wanted: readonly ValueInfo[]): Map<string, string> {
  const shown = new Set([...graph.inputs, ...graph.outputs].map((value) => value.name));
  const own = valueNames(graph);
  const names = new Names(graph);
  const moved = new Map<string, string>();
  for (const { name } of wanted)
    if (own.has(name) && !shown.has(name)) moved.set(name, names.fresh(`first/${name}`));
  renameValues(graph, moved);
  return moved;
}

function checkNames(
  argument: string,
  names: readonly string[],
  values: readonly ValueInfo[],
  what: string,
): void {
  for (const name of names)
    if (!values.some((value) => value.name === name))
      throw new ArgumentError(
        `${argument}: expected names among the ${what} (${values.map((v) => v.name).join(", ")}), got "${name}"`,
      );
}

/** Solves the symbols of both graphs so that the connected values have the same shape. */
function unify(a: Graph, b: Graph, connections: Record<string, string>, prefix: string, shapes: Shapes) {
  const firstSizes = new Map<string, number>();
  const secondSizes = new Map<string, Dim>();
  for (const [inputName, outputName] of Object.entries(connections)) {
    const input = b.inputs.find((value) => value.name === inputName)!;
    const declared = a.outputs.find((value) => value.name === outputName)!;
    const inferred = shapes.valueInfo(outputName);
    const elemType = inferred.elemType || declared.elemType;
    const dims = inferred.dims?.map((dim, i) => dim ?? declared.dims?.[i] ?? null) ?? declared.dims;
    const mismatch = (): ArgumentError =>
      new ArgumentError(
        `connections: output "${outputName}" (${typeName(elemType)} ${formatDims(dims)}) does not fit ` +
          `input "${inputName}" (${typeName(input.elemType)} ${formatDims(input.dims)})`,
        { code: "ERR_SHAPE_MISMATCH" },
      );
    if (elemType !== 0 && input.elemType !== 0 && elemType !== input.elemType) throw mismatch();
    if (dims === null || input.dims === null) continue;
    if (dims.length !== input.dims.length) throw mismatch();
    dims.forEach((dim, axis) => {
      const own = input.dims![axis]!;
      if (typeof dim === "number" && typeof own === "number") {
        if (dim !== own) throw mismatch();
      } else if (typeof own === "string") {
        const before = secondSizes.get(own);
        if (typeof before === "number" && typeof dim === "number" && before !== dim) throw mismatch();
        if (typeof before !== "number" && dim !== null) secondSizes.set(own, dim);
        if (typeof before === "number" && typeof dim === "string") firstSizes.set(dim, before);
      } else if (typeof dim === "string" && typeof own === "number") {
        const before = firstSizes.get(dim);
        if (before !== undefined && before !== own) throw mismatch();
        firstSizes.set(dim, own);
      }
    });
  }
  // A symbol of the second graph that means something else in the first must not be taken for the same.
  const taken = new Set<Dim>();
  for (const value of [...a.inputs, ...a.outputs, ...a.valueInfos.values()])
    value.dims?.forEach((dim) => taken.add(dim));
  const first = (dim: Dim): Dim => (typeof dim === "string" ? (firstSizes.get(dim) ?? dim) : dim);
  const second = (dim: Dim): Dim => {
    if (typeof dim !== "string") return dim;
    const solved = secondSizes.get(dim);
    if (solved !== undefined) return first(solved);
    return taken.has(dim) ? `${prefix}${dim}` : dim;
  };
  return { first, second };
}

/** Writes what was found of the symbols into every declared type. */
function solveTypes(graph: Graph, solve: (dim: Dim) => Dim): void {
  for (const value of [...graph.inputs, ...graph.outputs, ...graph.valueInfos.values()])
    value.dims = value.dims?.map(solve) ?? null;
}

function joinFunctions(a: Graph, b: Graph): Graph["functions"] {
  const key = (f: Graph["functions"][number]): string => `${f.domain}:${f.name}:${f.overload}`;
  const known = new Map(a.functions.map((f) => [key(f), f]));
  for (const f of b.functions) {
    const same = known.get(key(f));
    if (same && JSON.stringify(summary(same)) !== JSON.stringify(summary(f)))
      throw new ModelError(
        "ERR_MODEL_UNSUPPORTED",
        `both graphs define the function ${key(f)}, and differently: rename one of them`,
      );
    known.set(key(f), f);
  }
  return [...known.values()];
}

function summary(f: Graph["functions"][number]): unknown {
  return [f.input, f.output, f.node.map((node) => [node.opType, node.domain, node.input, node.output])];
}
