/** Preprocessing stages as small ONNX graphs, to be joined behind a generator. */
import { defaultRange, type Range } from "../base/range.js";
import { Builder, DataType, emptyGraph, type Dim, type Graph } from "../onnx/index.js";
import { clipMean, clipStd, type Stage } from "./stages.js";

/** A stage: image [N, C, H, W] → image. `dims` is what comes in, `range` that of its values. */
export function stageGraph(stage: Stage, dims: readonly Dim[], range: Range = defaultRange): Graph {
  const b = new Builder(emptyGraph(`tr0n_${stage.kind}`));
  const x = b.input("image", DataType.FLOAT, [...dims]);
  b.output("staged", emitStage(b, x, stage, range));
  return b.graph;
}

function emitStage(b: Builder, x: string, stage: Stage, range: Range): string {
  switch (stage.kind) {
    case "resize":
      return b.op("Resize", [x, null, null, b.ints([stage.height, stage.width])], {
        mode: stage.mode,
        coordinate_transformation_mode: "half_pixel",
        axes: [2, 3],
        ...(stage.mode === "nearest" ? { nearest_mode: "round_prefer_floor" } : {}),
        ...(stage.mode === "cubic" ? { cubic_coeff_a: -0.75 } : {}),
      });
    case "normalize":
      return normalize(b, x, stage.mean, stage.std);
    case "affine":
      return affine(b, x, stage.scale, stage.offset);
    case "clamp":
      return b.op("Clip", [x, b.scalar(stage.min, x), b.scalar(stage.max, x)]);
    case "grayscale": {
      if (b.shapes.dims(x)?.[1] === 1)
        return stage.channels === 1 ? x : b.op("Concat", [x, x, x], { axis: 1 });
      const luma = b.constantLike([0.299, 0.587, 0.114], [1, 3, 1, 1], x);
      const gray = b.sum(b.op("Mul", [x, luma]), [1], true);
      return stage.channels === 1 ? gray : b.op("Concat", [gray, gray, gray], { axis: 1 });
    }
    case "clip": {
      const [low, high] = range;
      const unit = affine(b, x, 1 / (high - low), -low / (high - low));
      const size = { height: stage.size, width: stage.size };
      const resized = emitStage(b, unit, { kind: "resize", ...size, mode: "linear" }, [0, 1]);
      return normalize(b, resized, clipMean, clipStd);
    }
  }
}

function affine(b: Builder, x: string, scale: number, offset: number): string {
  const scaled = scale === 1 ? x : b.op("Mul", [x, b.scalar(scale, x)]);
  return offset === 0 && scaled !== x ? scaled : b.op("Add", [scaled, b.scalar(offset, x)]);
}

/** (x − mean) / std as x · (1 / std) + (−mean / std). */
function normalize(b: Builder, x: string, mean: readonly number[], std: readonly number[]): string {
  const channels = Math.max(mean.length, std.length);
  const at = (list: readonly number[], i: number): number => list[list.length === 1 ? 0 : i]!;
  const scale = Array.from({ length: channels }, (_, i) => 1 / at(std, i));
  const offset = scale.map((s, i) => -at(mean, i) * s);
  const shape = [1, channels, 1, 1];
  return b.op("Add", [b.op("Mul", [x, b.constantLike(scale, shape, x)]), b.constantLike(offset, shape, x)]);
}
