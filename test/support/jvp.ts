/**
 * Forward-mode derivatives by two reverse passes. u ↦ Jᵀ u is linear in u, so its own vector–Jacobian product at the
 * cotangent v is J v, wherever u is; and what only u feeds is dead then.
 */
import { ArgumentError } from "../../lib/base/errors.js";
import { differentiateGraph } from "../../lib/onnx/differentiate.js";
import type { DifferentiateOptions } from "../../lib/onnx/differentiate-options.js";
import { Names, removeDead, renameValues, sortGraph, valueNames, type Graph } from "../../lib/onnx/graph.js";
import { makeTensor } from "../../lib/onnx/tensors.js";
import { encodeModel, decodeModel } from "../../lib/onnx/codec.js";

type JvpOptions = Pick<DifferentiateOptions, "wrt" | "outputs" | "keepOutputs" | "allowRandom">;

/**
 * A graph with the original inputs and outputs, an input `tangent_<input>` per input of `wrt` and an output
 * `tangent_<output>` = Σ_inputs J · tangent per differentiated output, of its shape.
 *
 * @throws as {@link differentiateGraph}
 */
export function jvpGraph(graph: Graph, options: JvpOptions = {}): Graph {
  const [inner, outer] = ["adjoint of ", "tangent of "];
  const { wrt, outputs, allowRandom } = options;
  const first = differentiateGraph(graph, { wrt, outputs, prefix: inner, allowRandom });
  const named = (values: { name: string }[]): string[] =>
    values.map(({ name }) => name).filter((name) => name.startsWith(inner));
  const [seeds, adjoints] = [named(first.inputs), named(first.outputs)];
  const result = differentiateGraph(first, { wrt: seeds, outputs: adjoints, prefix: outer, allowRandom });

  const tangents = new Set(seeds.map((seed) => outer + seed));
  result.outputs = result.outputs.filter(
    ({ name }) => tangents.has(name) || (options.keepOutputs !== false && !adjoints.includes(name)),
  );
  dropSeeds(result, seeds, inner);
  rename(
    result,
    new Map([...seeds, ...adjoints].map((name) => [outer + name, `tangent_${name.slice(inner.length)}`])),
  );
  return result;
}

/** The cotangents of the first pass are no inputs: where a shape is still read from one it is zeros. */
function dropSeeds(graph: Graph, seeds: readonly string[], inner: string): void {
  for (const seed of seeds) {
    const { elemType } = graph.inputs.find(({ name }) => name === seed)!;
    const [zero, shape] = [`${seed}/zero`, `${seed}/shape`];
    graph.initializers.set(zero, makeTensor(zero, elemType, [], [0]));
    const node = (opType: string, inputs: string[], output: string): void => {
      graph.nodes.push({
        opType,
        domain: "",
        name: output,
        overload: "",
        inputs,
        outputs: [output],
        attributes: new Map(),
      });
    };
    node("Shape", [seed.slice(inner.length)], shape);
    node("Expand", [zero, shape], seed);
  }
  graph.inputs = graph.inputs.filter(({ name }) => !seeds.includes(name));
  sortGraph(graph);
  removeDead(graph);
}

/** Values get the names that are promised; inner ones that have them give way. */
function rename(graph: Graph, promised: ReadonlyMap<string, string>): void {
  const wanted = new Set(promised.values());
  const clash = [...graph.inputs, ...graph.outputs].find(({ name }) => wanted.has(name));
  if (clash) throw new ArgumentError(`the result would hold two values called "${clash.name}"`);
  const names = new Names(graph);
  const renamed = new Map(promised);
  for (const name of valueNames(graph)) if (wanted.has(name)) renamed.set(name, names.fresh(`inner/${name}`));
  renameValues(graph, renamed);
}

/**
 * ONNX bytes → ONNX bytes with `tangent_<input>` inputs and `tangent_<output>` outputs: J · tangent.
 *
 * @param options as in {@link differentiate}
 */
export function jvp(
  onnx: Uint8Array,
  options: { wrt?: string[]; outputs?: string[]; allowRandom?: boolean } = {},
): Uint8Array {
  const { wrt, outputs, allowRandom } = options;
  return encodeModel(jvpGraph(decodeModel(onnx), { wrt, outputs, allowRandom }));
}
