/** What a kind of stage has to say of itself. Each kind is one file of this folder, and a line in list.ts. */
import { checkNumber } from "../../base/check.js";
import { invalid } from "../../base/errors.js";
import { isChannelsLast } from "../../base/layout.js";
import type { Range } from "../../base/range.js";
import type { Builder, InputScaling } from "../../onnx/index.js";
import { integer } from "../../options/describe.js";
import type { Factory, FamilyKind } from "../../options/family.js";

interface Value {
  readonly kind: string;
}

/** Shape of a row, without the batch: [C, H, W] of an image, [C, T] of a signal, [C, T, H, W] of a film, [d] of a table. */
export type RowShape = readonly number[];

/** A flag of the command line that is one stage. */
interface StageFlag<Spec> {
  readonly name: string;
  /** Flags apply by rising turns, wherever they stand on the line: {@link turns}. */
  readonly turn: number;
  /** What stands for its value in the help; absent where it has none. */
  readonly value?: string;
  readonly help: string;
  /** What its value must be. */
  readonly expected?: string;
  /** What a configuration file would have; null where the value means nothing. */
  read(value: string): Spec | null;
}

/** In which order flags apply: what makes images of rows comes first, what an encoder wants of its numbers last. */
export const turns = {
  ...{ reshape: 1, transpose: 2, channels: 3, crop: 4, pad: 5, resize: 6 },
  ...{ grayscale: 7, affine: 8, clamp: 9, normalize: 10, clip: 11, onnx: 12 },
} as const;

export interface StageKind<
  S extends Value = Value,
  Make extends Factory<S> = Factory<S>,
  Spec extends Value = S,
> extends FamilyKind<Make> {
  readonly kind: S["kind"];
  /** Checks what came from a caller, a file or a configuration; what is left out gets its default. @throws ArgumentError */
  check(given: S): S;
  /** The rows that it takes, in words; absent where it takes all. */
  takes?(stage: S): string;
  /**
   * What it makes of a row's shape; null where it does not take such rows. Default: rows of any shape keep theirs. Absent
   * for a `model`, whose rows are seen when it is tried.
   */
  shape?(stage: S, shape: RowShape): RowShape | null;
  /** What it does to the numbers of an image in `range`: x · scale + offset, by channel. Default nothing. */
  scaling?(stage: S, range: Range): InputScaling;
  /** The range behind it, where that is not the one that `scaling` leads to. */
  range?(stage: S, range: Range): Range;
  /** Whether its result depends on the range that images have where it stands. */
  readonly readsRange?: boolean;
  /** Whether its numbers are made for images of one range, which can be told by them. */
  readonly tellsRange?: boolean;
  /** Whether it moves numbers about and changes none of them. */
  readonly moves?: boolean;
  /** Its graph: rows [N, …] → rows. Or a model of the caller's. */
  emit?(b: Builder, rows: string, stage: S, range: Range): string;
  /** An ONNX model: rows [N, …] → rows [N, …]. */
  model?(stage: S): Uint8Array;
  /** As files remember it: JSON. Default: as it is. */
  describe?(stage: S): Value;
  /** What a configuration describes, where that is not the stage itself. @throws ArgumentError, FileError */
  build?(spec: Spec): Promise<S>;
  /** Absent where the command line does not have it. */
  readonly flag?: StageFlag<Spec>;
}

export function defineStage<S extends Value, Make extends Factory<S>, Spec extends Value = S>(
  own: StageKind<S, Make, Spec>,
): StageKind<S, Make, Spec> {
  return own;
}

/** Pixels of a side. */
export const side = integer({ min: 1, max: 2 ** 14 });

/** The shape of an image in words. */
export function imageWords(channels: string): string {
  return `images [batch, ${channels}, height, width]`;
}

/** [C, H, W] where a row is an image that can have its channels first; null where it is none. */
export function asImage(shape: RowShape): readonly [number, number, number] | null {
  return shape.length === 3 && !isChannelsLast(shape) ? (shape as readonly [number, number, number]) : null;
}

/** What {@link asPlanes} takes, in words. */
export const planeWords = `${imageWords("channels")} or films [batch, channels, time, height, width]`;

/** The shape of rows whose last axes are height and width; null where they are something else. */
export function asPlanes(shape: RowShape): RowShape | null {
  return shape.length === 4 ? shape : asImage(shape);
}

/** A number, or one a channel. */
export function numbers(name: string, value: unknown): readonly number[] {
  const list = typeof value === "number" ? [value] : value;
  if (!Array.isArray(list) || list.length === 0)
    throw invalid(name, "a number or one number a channel", value);
  return Object.freeze(list.map((item, index) => checkNumber(`${name}[${index}]`, item ?? Number.NaN, 0)));
}

/** Of a list that has one number for all channels, or one for each. */
export function ofChannel(list: readonly number[], channel: number): number {
  return list[list.length === 1 ? 0 : channel]!;
}

/** Whole numbers of a command line's value, "2,0,1"; null where it is something else. */
export function wholeNumbers(text: string): number[] | null {
  return /^-?\d{1,9}(,-?\d{1,9})*$/.test(text) ? text.split(",").map(Number) : null;
}

/** Two numbers of a command line's value, "0.5,2"; null where it is something else. */
export function twoNumbers(text: string): [number, number] | null {
  const parts = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  return parts.length === 2 && parts.every(Number.isFinite) ? (parts as [number, number]) : null;
}

/** What `make` makes of a command line's value; null where it refuses it. */
export function madeOr<T>(make: () => T): T | null {
  try {
    return make();
  } catch {
    return null;
  }
}

export function emitAffine(b: Builder, x: string, scale: number, offset: number): string {
  const scaled = scale === 1 ? x : b.op("Mul", [x, b.scalar(scale, x)]);
  return offset === 0 && scaled !== x ? scaled : b.op("Add", [scaled, b.scalar(offset, x)]);
}
