/** The stages between generator and encoder, each with the rows that it gets and gives. */
import { shapeText } from "../base/check.js";
import type { Decisions } from "../base/decisions.js";
import { ArgumentError } from "../base/errors.js";
import { isChannelsLast, isPlain, layoutOf, type PictureLayout } from "../base/layout.js";
import { elementCount } from "../base/tensor.js";
import type { GradientBarrier } from "../model/output-facts.js";
import { fits } from "../model/model.js";
import { asImages, fitFor, toFront, type Fit } from "./fitting.js";
import { tryOwnStage } from "./own-stage.js";
import { asImage, type RowShape } from "./stages/kind.js";
import { reshape } from "./stages/reshape.js";
import { stages, type Stage } from "./stages/index.js";

/** A stage where it stands. */
export interface Link {
  readonly stage: Stage;
  /** What messages call it. */
  readonly name: string;
  /** Whether the caller gave it; others are put in to make rows fit. */
  readonly given: boolean;
  /** Shape of a row that comes in. */
  readonly from: RowShape;
  /** Shape of a row that it makes. */
  readonly to: RowShape;
  /** Why it has no gradient; null where it has one. */
  readonly stop: GradientBarrier | null;
}

/** What a chain leads from and to. */
interface Ends {
  /** Shape of a row that comes in. */
  readonly row: RowShape;
  /** Shape of the encoder's input, the batch included; null where any size serves. */
  readonly input: readonly (number | null)[];
  /** Whether images are varied in front of all stages, which needs their channels first. */
  readonly augmented: boolean;
  /** Told what stages were put in; absent where that was told before. */
  readonly decisions?: Decisions | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Stages one behind the other. Where a stage or the encoder does not take what comes before it, and it is certain how numbers must
 * be moved for that, a stage that moves them is put in.
 *
 * @throws ArgumentError ERR_SHAPE_MISMATCH for a stage that does not take what comes before it; ModelError for a model that is
 *   none for a stage
 */
export async function chainOf(list: readonly Stage[], ends: Ends): Promise<readonly Link[]> {
  const { row, input, augmented, decisions, signal } = ends;
  const links: Link[] = [];
  const last = (): RowShape => links.at(-1)?.to ?? row;
  const putIn = ({ stage, reason }: Fit, before: string): void => {
    const from = last();
    const to = stages.of(stage).shape!(stage, from)!;
    links.push({ stage, name: `a stage before ${before}`, given: false, from, to, stop: null });
    const value = `${codeOf(stage)} before ${before}`;
    decisions?.add({ option: "preprocess", value, reason, certain: true });
  };
  const movesFirst = list.length > 0 && stages.of(list[0]!).moves;
  if (augmented && isChannelsLast(row) && !movesFirst)
    putIn({ stage: toFront, reason: `rows ${shapeText(row)} can only have their channels last` }, "augment");
  for (const [index, item] of list.entries()) {
    const place = `preprocess[${index}]`;
    const kind = stages.of(item);
    const fit = kind.shape && !kind.shape(item, last()) ? asImages(last()) : null;
    const made = fit && stages.of(fit.stage).shape!(fit.stage, last());
    if (fit && made && kind.shape!(item, made)) putIn(fit, `${place}, a stage.${nameOf(item)}`);
    links.push(await linkOf(place, item, last(), signal));
  }
  // The batch may turn out to be another axis than the first, where that is a fixed number.
  const elsewhere = input.findIndex((_, axis) => fits(last(), input.toSpliced(axis, 1)));
  if (elsewhere === 0 || (elsewhere > 0 && input[0] !== null)) return links;
  const wanted = input.slice(1);
  const fit = fitFor(last(), wanted) ?? flattened(links, wanted);
  if (fit) putIn(fit, "the encoder");
  return links;
}

/** Whoever gives the order of axes last has said in which order a flat row is wanted. */
function flattened(links: readonly Link[], wanted: readonly (number | null)[]): Fit | null {
  const { stage, given, to } = links.at(-1) ?? {};
  const [size] = wanted;
  if (wanted.length !== 1 || !given || stage?.kind !== "transpose" || elementCount(to!) !== size) return null;
  return {
    stage: reshape.make([size]),
    reason: "the encoder takes flat rows, in the order that stage.transpose gives them",
  };
}

/** A stage behind rows of the shape `from`. @throws as {@link chainOf} */
async function linkOf(
  place: string,
  stage: Stage,
  from: RowShape,
  signal: AbortSignal | undefined,
): Promise<Link> {
  const kind = stages.of(stage);
  const link = { stage, name: `${place}, a stage.${nameOf(stage)},`, given: true, from };
  if (kind.model) {
    const { row: to, stop } = await tryOwnStage(`${place}: stage.fromOnnx`, stage, from, signal);
    return { ...link, to, stop };
  }
  const to = kind.shape ? kind.shape(stage, from) : from;
  if (to === null)
    throw new ArgumentError(
      `${place}: stage.${kind.kind} expected ${kind.takes?.(stage) ?? "other rows"}, got ${shapeText(["batch", ...from])}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  return { ...link, to, stop: null };
}

/** The row that comes out at the end. */
export function chainEnd(links: readonly Link[], row: RowShape): RowShape {
  return links.at(-1)?.to ?? row;
}

/** How rows are pictures in front of a chain, and behind how many of its links they are images [C, H, W]. */
export interface Pictures {
  /** null where rows are no pictures, or nobody can tell how. */
  readonly layout: PictureLayout | null;
  /** null where they never are. */
  readonly plainAt: number | null;
}

/** What the stages that move numbers in front of all others say about rows of the shape `row`. */
export function picturesOf(links: readonly Link[], row: RowShape): Pictures {
  let plainAt = asImage(row) ? 0 : null;
  let layout = layoutOf(row);
  let reshaped = row;
  let order: readonly number[] | null = null;
  for (const [index, { stage, to }] of links.entries()) {
    if (stage.kind === "reshape" && order === null) reshaped = to;
    else if (stage.kind === "transpose" && order === null) order = stage.order;
    else break;
    const found = layoutOf(to);
    // An image that has its channels first where the encoder wants them last was one before.
    if (asImage(to)) plainAt = index + 1;
    if (!found || (layout && !isPlain(found))) continue;
    const axes = found.order.map((axis) => order?.[axis] ?? axis) as [number, number, number];
    layout = { shape: reshaped, order: axes };
  }
  return { layout, plainAt };
}

/** What callers make it by. */
function nameOf(stage: Stage): string {
  return stage.kind === "onnx" ? "fromOnnx" : stage.kind;
}

/** A stage that moves numbers, as callers write it. */
function codeOf(stage: Stage): string {
  const sizes = stage.kind === "transpose" ? stage.order : stage.kind === "reshape" ? stage.shape : [];
  return `stage.${stage.kind}(${shapeText(sizes)})`;
}
