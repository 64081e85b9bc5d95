/** A model that a caller gives as a stage, tried: what it makes of rows, and whether each depends on its own alone. */
import { shapeText } from "../base/check.js";
import { ArgumentError, ModelError } from "../base/errors.js";
import { concatenate, elementCount } from "../base/tensor.js";
import { modelBarrier } from "../model/gradient-barrier.js";
import type { GradientBarrier } from "../model/output-facts.js";
import { floats } from "../model/values.js";
import { openGraph } from "../model/weights.js";
import { runJob } from "../native/job.js";
import { graphToRun } from "../onnx/index.js";
import { randomOperator } from "../onnx/queries.js";
import { refuseRandomOperator } from "./trial.js";
import { stageGraph } from "./stage-graphs.js";
import type { RowShape } from "./stages/kind.js";
import type { Stage } from "./stages/index.js";

/** Of the largest number: how far apart a row may come out in two places. */
const byPlace = 1e-4;

/**
 * @param name what messages call the stage
 * @param shape of a row that comes in
 * @throws ArgumentError ERR_SHAPE_MISMATCH where it does not take such rows; ModelError where its rows are no rows
 */
export async function tryOwnStage(
  name: string,
  stage: Stage,
  shape: RowShape,
  signal: AbortSignal | undefined,
): Promise<{ readonly row: RowShape; readonly stop: GradientBarrier | null }> {
  const what = "trying the stages";
  const graph = stageGraph(stage, ["batch", ...shape], undefined, name);
  refuseRandomOperator(name, "its model", randomOperator(graph, "staged"));
  const stop = await modelBarrier(graph, "staged", false, signal);
  const size = elementCount(shape);
  // Numbers as pixels are, no two alike.
  const rows = Float32Array.from({ length: 2 * size }, (_, i) => Math.sin(1 + i) / 2);
  const second = rows.slice(size);
  const session = await openGraph(graphToRun(graph), { threads: 1, name, what, signal });
  try {
    const run = async (data: Float32Array) => {
      const image = { data, shape: [2, ...shape] };
      return floats(await runJob(what, signal, () => session.run({ image })))["staged"]!;
    };
    const [made, again] = [await run(rows), await run(concatenate([second, second]))];
    const row = made.shape.slice(1);
    if (made.shape[0] !== 2 || elementCount(row) === 0)
      throw new ArgumentError(
        `${name}: expected [2, …] of its model for 2 rows ${shapeText(shape)}, got ${shapeText(made.shape)}. Export it with an open ` +
          "batch as the first axis of its input and its output",
        { code: "ERR_SHAPE_MISMATCH" },
      );
    const half = elementCount(row);
    const largest = made.data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    for (let i = 0; i < half; i++)
      if (Math.abs(made.data[half + i]! - again.data[i]!) > byPlace * largest)
        throw new ModelError(
          "ERR_MODEL_UNSUPPORTED",
          `${name}: what its model gives for a row depends on the other rows or on its place in the batch. Export it in evaluation mode, with ` +
            "the batch as the first axis of its input and its output",
        );
    return { row, stop: stop && { ...stop, message: `in ${name} ${stop.message}` } };
  } catch (error) {
    if (!(error instanceof ModelError) || error.code !== "ERR_RUN_FAILED") throw error;
    throw new ArgumentError(
      `${name}: its model does not take two rows ${shapeText(["batch", ...shape])} (${error.message})`,
      { code: "ERR_SHAPE_MISMATCH", cause: error },
    );
  } finally {
    session.dispose();
  }
}
