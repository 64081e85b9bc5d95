/** What stages make of an image's shape. */
import { shapeText } from "../base/check.js";
import { ArgumentError } from "../base/errors.js";
import type { ImageShape } from "./stages/kind.js";
import { stages, type Stage } from "./stages/index.js";

/** [C, H, W] after a stage. */
export function stagedShape(name: string, item: Stage, shape: readonly number[]): readonly number[] {
  const channels = stageChannels(item);
  const image = shape as unknown as ImageShape;
  if (shape.length !== 3 || (channels !== null && !channels.includes(image[0])))
    throw new ArgumentError(
      `${name}: stage.${item.kind} expected images [batch, ${channels?.join(" or ") ?? "channels"}, height, width], got ${shapeText(["batch", ...shape])}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  return stages.of(item).shape?.(item, image) ?? shape;
}

/** The numbers of channels that a stage can work on; null where any will do. */
function stageChannels(stage: Stage): readonly number[] | null {
  return stages.of(stage).channels?.(stage) ?? null;
}
