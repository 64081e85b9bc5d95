/** Stages that nobody has to ask for: where it is certain how numbers must be moved to fit what comes behind. */
import { shapeText } from "../base/check.js";
import { ArgumentError } from "../base/errors.js";
import { isChannelsLast } from "../base/layout.js";
import { elementCount, knownElementCount } from "../base/tensor.js";
import { fits } from "../model/model.js";
import { reshape } from "./stages/reshape.js";
import { transpose } from "./stages/transpose.js";
import type { RowShape } from "./stages/kind.js";
import type { Stage } from "./stages/index.js";

/** A stage that fits, and why. */
export interface Fit {
  readonly stage: Stage;
  readonly reason: string;
}

type Wanted = readonly (number | null)[];

/** [H, W, C] → [C, H, W]. */
export const toFront: Stage = transpose.make([2, 0, 1]);
const toBack: Stage = transpose.make([1, 2, 0]);

/** [C, H, W] of images with few channels. */
function isChannelsFirst(shape: RowShape): boolean {
  return shape.length === 3 && isChannelsLast([shape[1]!, shape[2]!, shape[0]!]);
}

/** Channels of images whose order makes a difference. */
function isFew(channels: number | undefined): boolean {
  return channels === 3 || channels === 4;
}

/** The axes that have more than one number. */
function wide(shape: Wanted): Wanted {
  return shape.filter((size) => size !== 1);
}

/** What rows may be taken for by a stage for images. */
export function asImages(row: RowShape): Fit | null {
  if (isChannelsLast(row))
    return { stage: toFront, reason: `rows ${shapeText(row)} can only have their channels last` };
  if (row.length === 2 && isGray(row))
    return {
      stage: reshape.make([1, ...row]),
      reason: `rows ${shapeText(row)} have no channels`,
    };
  return null;
}

/**
 * What makes rows fit an encoder that takes rows of the shape `wanted`, where there is one way; null where numbers need not
 * or cannot be moved.
 */
export function fitFor(row: RowShape, wanted: Wanted): Fit | null {
  if (fits(row, wanted)) return null;
  const [height, width, channels] = row;
  const told = `the encoder takes ${shapeText(wanted)} and gets rows ${shapeText(row)}`;
  if (wanted.length === 3) {
    if (isChannelsLast(row) && fits([channels!, height!, width!], wanted))
      return { stage: toFront, reason: `${told}, which can only have their channels last` };
    if (isChannelsFirst(row) && fits([width!, channels!, height!], wanted))
      return { stage: toBack, reason: `${told}, which can only have their channels first` };
  }
  // Axes of one number say nothing about the order of the others.
  const target = complete(wanted, elementCount(row));
  if (!target) return null;
  const [a, b] = [wide(row), wide(target)];
  if (a.length === b.length && a.every((size, axis) => size === b[axis]))
    return { stage: reshape.make(target), reason: `${told}: the same but for axes of one number` };
  const flat = (row.length === 1 && isGray(target)) || (target.length === 1 && isGray(row));
  return flat
    ? { stage: reshape.make(target), reason: `${told}: images of one channel have one order` }
    : null;
}

/** [1, H, W], [H, W, 1], or [H, W] where it can only be an image. */
function isGray(shape: RowShape): boolean {
  if (shape.length === 2) return shape[0] === shape[1] && shape[0]! > 4;
  return shape.length === 3 && (shape[0] === 1 || shape[2] === 1);
}

/** `wanted` with its one open size at most, as `size` numbers want it. */
function complete(wanted: Wanted, size: number): number[] | null {
  const open = wanted.indexOf(null);
  const known = knownElementCount(wanted);
  if (wanted.filter((length) => length === null).length > 1 || known === 0) return null;
  if (open < 0) return known === size ? [...(wanted as number[])] : null;
  return size % known === 0 ? wanted.map((length) => length ?? size / known) : null;
}

/**
 * The way out where flat rows of several channels meet images: both orders are about as usual, and only whoever made the models
 * knows. Undefined where that is not the question.
 */
function flatQuestion(row: RowShape, wanted: Wanted): string | undefined {
  const target = complete(wanted, elementCount(row));
  if (!target || (row.length > 1 && target.length > 1)) return undefined;
  const flat = row.length === 1;
  const image = flat ? target : row;
  const first = isFew(image[0]);
  if (image.length !== 3 || (!first && !isFew(image[2]))) return undefined;
  const [channels, height, width] = first ? image : [image[2], image[0], image[1]];
  const either = (planes: string, pixels: string): string =>
    `Flat rows may be channel by channel, as PyTorch has them: preprocess: [${planes}]; or pixel by pixel, as TensorFlow has them: ` +
    `preprocess: [${pixels}]`;
  if (!flat)
    return first
      ? `${either("stage.reshape([-1])", "stage.transpose([1, 2, 0]), stage.reshape([-1])")} (on the command line --reshape=-1, or --transpose 1,2,0)`
      : `${either("stage.transpose([2, 0, 1]), stage.reshape([-1])", "stage.reshape([-1])")} (on the command line --transpose 2,0,1, or --reshape=-1)`;
  const sizes = [channels, height, width].join(", ");
  const last = [height, width, channels].join(", ");
  return (
    either(`stage.reshape([${sizes}])`, `stage.reshape([${last}])`) +
    ` (on the command line --reshape ${sizes.replaceAll(" ", "")}, or --reshape ${last.replaceAll(" ", "")})`
  );
}

/** @throws ArgumentError ERR_SHAPE_MISMATCH with the code for either order, where {@link flatQuestion} is the question */
export function askForOrder(role: string, name: string, row: RowShape, wanted: Wanted): void {
  const question = flatQuestion(row, wanted);
  if (question !== undefined)
    throw new ArgumentError(
      `${role}: ${name} takes ${shapeText([null, ...wanted])}, and rows ${shapeText(["batch", ...row])} are as many numbers in an order ` +
        `that no shape tells. ${question}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
}
