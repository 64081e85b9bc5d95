/** What a kind of stage has to say of itself. Each kind is one file of this folder, and a line in list.ts. */
import { checkNumber } from "../../base/check.js";
import { invalid } from "../../base/errors.js";
import type { Range } from "../../base/range.js";
import type { Builder, InputScaling } from "../../onnx/index.js";
import { integer } from "../../options/describe.js";
import type { Factory, FamilyKind } from "../../options/family.js";

interface Value {
  readonly kind: string;
}

/** [C, H, W] of an image. */
export type ImageShape = readonly [channels: number, height: number, width: number];

/** A flag of the command line that is one stage. */
interface StageFlag<S> {
  readonly name: string;
  /** Flags apply by rising turns, wherever they stand on the line. */
  readonly turn: number;
  /** What stands for its value in the help; absent where it has none. */
  readonly value?: string;
  readonly help: string;
  /** What its value must be. */
  readonly expected?: string;
  /** null where the value means nothing. */
  read(value: string): S | null;
}

export interface StageKind<
  S extends Value = Value,
  Make extends Factory<S> = Factory<S>,
> extends FamilyKind<Make> {
  readonly kind: S["kind"];
  /** Checks what came from a caller, a file or a configuration; what is left out gets its default. @throws ArgumentError */
  check(given: S): S;
  /** The numbers of channels that it can work on; null where any will do. Default null. */
  channels?(stage: S): readonly number[] | null;
  /** What it makes of an image's shape. Default the same. */
  shape?(stage: S, shape: ImageShape): ImageShape;
  /** What it does to the numbers of an image in `range`: x · scale + offset, by channel. Default nothing. */
  scaling?(stage: S, range: Range): InputScaling;
  /** The range behind it, where that is not the one that `scaling` leads to. */
  range?(stage: S, range: Range): Range;
  /** Whether its result depends on the range that images have where it stands. */
  readonly readsRange?: boolean;
  /** Whether its numbers are made for images of one range, which can be told by them. */
  readonly tellsRange?: boolean;
  /** Its graph: image [N, C, H, W] → image. */
  emit(b: Builder, image: string, stage: S, range: Range): string;
  /** Absent where the command line does not have it. */
  readonly flag?: StageFlag<S>;
}

export function defineStage<S extends Value, Make extends Factory<S>>(
  own: StageKind<S, Make>,
): StageKind<S, Make> {
  return own;
}

/** Pixels of a side. */
export const side = integer({ min: 1, max: 2 ** 14 });

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

export function emitAffine(b: Builder, x: string, scale: number, offset: number): string {
  const scaled = scale === 1 ? x : b.op("Mul", [x, b.scalar(scale, x)]);
  return offset === 0 && scaled !== x ? scaled : b.op("Add", [scaled, b.scalar(offset, x)]);
}
