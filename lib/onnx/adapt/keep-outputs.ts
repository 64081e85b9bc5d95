/** A model without the outputs that nobody uses: what only they need is gone, and so are inputs that nothing reads then. */
import { ArgumentError } from "../../base/errors.js";
import { copyGraph, nodeReads, removeDead, type Graph } from "../graph.js";

/**
 * The graph with only these outputs, in the graph's order. Weights are shared with the graph that came.
 *
 * @throws ArgumentError for a name that is no output, naming those that there are
 */
export function keepOutputs(graph: Graph, names: readonly string[], model = "the model"): Graph {
  for (const name of names)
    if (!graph.outputs.some((output) => output.name === name))
      throw new ArgumentError(
        `options.output: ${model} has no output ${JSON.stringify(name)}; it has ` +
          graph.outputs.map((output) => JSON.stringify(output.name)).join(", "),
      );
  const kept = copyGraph(graph);
  kept.outputs = kept.outputs.filter((output) => names.includes(output.name));
  removeDead(kept);
  const read = new Set(kept.outputs.map((output) => output.name));
  for (const node of kept.nodes) for (const name of nodeReads(node)) read.add(name);
  kept.inputs = kept.inputs.filter((input) => read.has(input.name));
  return kept;
}
