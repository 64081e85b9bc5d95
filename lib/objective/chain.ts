/** The stages between generator and encoder, each with the rows that it gets and gives. */
import { shapeText } from "../base/check.js";
import { ArgumentError } from "../base/errors.js";
import type { GradientBarrier } from "../model/output-facts.js";
import { tryOwnStage } from "./own-stage.js";
import type { RowShape } from "./stages/kind.js";
import { stages, type Stage } from "./stages/index.js";

/** A stage where it stands. */
export interface Link {
  readonly stage: Stage;
  /** What messages call it. */
  readonly name: string;
  /** Shape of a row that comes in. */
  readonly from: RowShape;
  /** Shape of a row that it makes. */
  readonly to: RowShape;
  /** Why it has no gradient; null where it has one. */
  readonly stop: GradientBarrier | null;
}

/**
 * Stages one behind the other, for rows of the shape `row`.
 *
 * @throws ArgumentError ERR_SHAPE_MISMATCH for a stage that does not take what comes before it; ModelError for a model that is
 *   none for a stage
 */
export async function chainOf(
  list: readonly Stage[],
  row: RowShape,
  signal: AbortSignal | undefined,
): Promise<readonly Link[]> {
  const links: Link[] = [];
  for (const [index, item] of list.entries())
    links.push(await linkOf(`preprocess[${index}]`, item, links.at(-1)?.to ?? row, signal));
  return links;
}

/** A stage behind rows of the shape `from`. @throws as {@link chainOf} */
async function linkOf(
  place: string,
  stage: Stage,
  from: RowShape,
  signal: AbortSignal | undefined,
): Promise<Link> {
  const kind = stages.of(stage);
  const name = `${place}, a stage.${nameOf(stage)},`;
  if (kind.model) {
    const { row: to, stop } = await tryOwnStage(`${place}: stage.fromOnnx`, stage, from, signal);
    return { stage, name, from, to, stop };
  }
  const to = kind.shape ? kind.shape(stage, from) : from;
  if (to === null)
    throw new ArgumentError(
      `${place}: stage.${kind.kind} expected ${kind.takes?.(stage) ?? "other rows"}, got ${shapeText(["batch", ...from])}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  return { stage, name, from, to, stop: null };
}

/** The row that comes out at the end. */
export function chainEnd(links: readonly Link[], row: RowShape): RowShape {
  return links.at(-1)?.to ?? row;
}

/** What callers make it by. */
function nameOf(stage: Stage): string {
  return stage.kind === "onnx" ? "fromOnnx" : stage.kind;
}
