/** What the values of a graph take. */
import { copyGraph, describeNode, nodeReads, removeDead, type Graph } from "./graph.js";
import { LimitError } from "./limits.js";
import { inferSteps } from "./shapes.js";
import type { Steps } from "./steps.js";
import { elementSize } from "./tensors.js";

/**
 * Checks that no value of a known size is larger than `bytes`, nor all values together that follow from constants alone,
 * which the runtime makes when it opens the model. Open sizes count as 1.
 *
 * @throws LimitError naming the node
 */
export function* sizeSteps(graph: Graph, bytes: number, name: string): Steps<void> {
  const live = copyGraph(graph);
  yield;
  removeDead(live);
  yield;
  const shapes = yield* inferSteps(live);
  const variable = new Set(live.inputs.map((input) => input.name));
  // Sizes are known without the numbers.
  const read = new Set(
    live.nodes.flatMap((node) =>
      node.domain === "" && /^(Shape|Size)$/.test(node.opType) ? [] : nodeReads(node),
    ),
  );
  for (const { name: output } of live.outputs) read.add(output);
  let folded = 0;
  for (const node of live.nodes) {
    yield;
    const varies = nodeReads(node).some((value) => variable.has(value));
    for (const output of node.outputs) {
      if (varies) variable.add(output);
      const { elemType, dims } = shapes.type(output);
      if (output === "" || !dims || !read.has(output)) continue;
      const count = dims.reduce<number>((product, dim) => product * (typeof dim === "number" ? dim : 1), 1);
      const size = count * (elementSize(elemType) ?? 1);
      if (!varies) folded += size;
      if (size > bytes || folded > bytes)
        throw new LimitError(
          `${name}: ${describeNode(node)} makes ` +
            `[${dims.map((dim) => (typeof dim === "number" ? dim : "?")).join(", ")}], ` +
            `${(Math.max(size, varies ? 0 : folded) / 1e9).toPrecision(3)} GB` +
            `${size > bytes ? "" : " with the model's other constants"}, and there are ` +
            `${(bytes / 1e9).toPrecision(3)} GB of memory`,
        );
    }
  }
}
