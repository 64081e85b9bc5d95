/** What stages make of an image's shape. */
import { shapeText } from "../base/check.js";
import { ArgumentError } from "../base/errors.js";
import type { Stage } from "./stages.js";

/** [C, H, W] after a stage. */
export function stagedShape(name: string, item: Stage, shape: readonly number[]): readonly number[] {
  const channels = stageChannels(item);
  const [c, h, w] = shape as [number, number, number];
  if (shape.length !== 3 || (channels !== null && !channels.includes(c)))
    throw new ArgumentError(
      `${name}: stage.${item.kind} expected images [batch, ${channels?.join(" or ") ?? "channels"}, height, width], got ${shapeText(["batch", ...shape])}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  switch (item.kind) {
    case "resize":
      return [c, item.height, item.width];
    case "clip":
      return [c, item.size, item.size];
    case "grayscale":
      return [item.channels, h, w];
    default:
      return shape;
  }
}

/** The numbers of channels that a stage can work on; null where any will do. */
export function stageChannels(stage: Stage): readonly number[] | null {
  switch (stage.kind) {
    case "normalize": {
      const channels = Math.max(stage.mean.length, stage.std.length);
      return channels > 1 ? [channels] : null;
    }
    case "grayscale":
      return [1, 3];
    case "clip":
      return [3];
    default:
      return null;
  }
}
