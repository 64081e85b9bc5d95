/** Preprocessing stages as small ONNX graphs, to be joined behind a generator. */
import { defaultRange, type Range } from "../base/range.js";
import { Builder, DataType, emptyGraph, type Dim, type Graph } from "../onnx/index.js";
import { stages, type Stage } from "./stages/index.js";

/** A stage: image [N, C, H, W] → image. `dims` is what comes in, `range` that of its values. */
export function stageGraph(stage: Stage, dims: readonly Dim[], range: Range = defaultRange): Graph {
  const b = new Builder(emptyGraph(`tr0n_${stage.kind}`));
  const x = b.input("image", DataType.FLOAT, [...dims]);
  b.output("staged", stages.of(stage).emit(b, x, stage, range));
  return b.graph;
}
