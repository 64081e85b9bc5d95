/** In what range values reach each stage and the encoder, and what is known of the range that they expect. */
import type { Decision } from "../base/decisions.js";
import { rangeText, sameRange, type Range } from "../base/range.js";
import type { InputScaling } from "../onnx/index.js";
import type { Link } from "./chain.js";
import { stages as kinds, type Stage } from "./stages/index.js";
import { clipStatistics } from "./stages/clip.js";
import { ofChannel } from "./stages/kind.js";

/** Means and deviations that models are trained with, of values in [0, 1]. */
const statistics: readonly {
  readonly of: string;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}[] = [
  { of: "ImageNet", mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  { of: "CLIP", ...clipStatistics },
  { of: "CIFAR-10", mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] },
  { of: "CIFAR-10", mean: [0.4914, 0.4822, 0.4465], std: [0.2023, 0.1994, 0.201] },
  { of: "MNIST", mean: [0.1307], std: [0.3081] },
  { of: "a half", mean: [0.5], std: [0.5] },
  { of: "none", mean: [0], std: [1] },
];

/** Normalised images are as wide as this at most. */
const widest = 16;

const ranges: readonly Range[] = [
  [0, 1],
  [0, 255],
  [-1, 1],
];

/** The range that a scaling is made for, and whose mean and deviation it has; null where it is none that is known. */
function expectedRange({ scale, offset }: InputScaling): { range: Range; by: string } | null {
  const channels = Math.max(scale.length, offset.length);
  for (const { of, mean, std } of statistics) {
    if (mean.length > 1 && mean.length !== channels) continue;
    for (const range of ranges) {
      const [low, width] = [range[0], range[1] - range[0]];
      // x → x and [-1, 1] by a half are the same, and say nothing.
      if ((of === "none" && width === 1) || (of === "a half" && low === -1)) continue;
      const fits = Array.from({ length: channels }, (_, i) => {
        const [m, s] = [low + width * ofChannel(mean, i), width * ofChannel(std, i)];
        const [k, b] = [ofChannel(scale, i), ofChannel(offset, i)];
        return Math.abs(k * s - 1) < 0.01 && Math.abs(b * s + m) < 0.01 * width;
      });
      if (!fits.every(Boolean)) continue;
      return {
        range,
        by: of === "none" || of === "a half" ? "first operators" : `mean and deviation, ${of}'s,`,
      };
    }
  }
  return null;
}

/** The range behind a stage. Where channels differ, the one around them all. */
function rangeAfter(stage: Stage, range: Range): Range {
  const kind = kinds.of(stage);
  if (kind.range) return kind.range(stage, range);
  if (!kind.scaling) return range;
  const { scale, offset } = kind.scaling(stage, range);
  const ends = scale.flatMap((k, i) => range.map((end) => k * end + ofChannel(offset, i)));
  return [Math.min(...ends), Math.max(...ends)];
}

/** The range of the values in front of each stage, and of what the encoder receives. */
export function stagedRanges(range: Range, stages: readonly Stage[]): { before: Range[]; received: Range } {
  const before: Range[] = [];
  let received = range;
  for (const item of stages) {
    before.push(received);
    received = rangeAfter(item, received);
  }
  return { before, received };
}

/** What is wrong about the ranges between generator and encoder, as far as it is known. */
export function rangeProblems(
  range: Range,
  chain: readonly Link[],
  encoder: { readonly name: string; readonly scaling: InputScaling | null | undefined },
): Decision[] {
  const problems: Decision[] = [];
  const { before, received } = stagedRanges(
    range,
    chain.map(({ stage }) => stage),
  );
  const check = (who: string, scaling: InputScaling, got: Range): void => {
    const expected = expectedRange(scaling);
    if (!expected || sameRange(expected.range, got, 0.25)) return;
    problems.push({
      option: "preprocess",
      value: `${who} gets values in ${rangeText(got)}`,
      reason:
        `that is what comes before it, although its ${expected.by} are for values in ${rangeText(expected.range)}; ` +
        `stage.scale(${rangeText(got)}, ${rangeText(expected.range)}) before it makes them fit`,
      certain: false,
    });
  };
  for (const [index, { stage, name }] of chain.entries()) {
    const kind = kinds.of(stage);
    const scaling = kind.tellsRange && kind.scaling?.(stage, before[index]!);
    if (scaling) check(name, scaling, before[index]!);
  }
  const who = `the encoder ${encoder.name}`;
  if (encoder.scaling) check(who, encoder.scaling, received);
  else if (encoder.scaling === null && received[1] - received[0] > widest)
    problems.push({
      option: "preprocess",
      value: `${who} gets values in ${rangeText(received)}`,
      reason:
        "that is what comes before it, and it has no scale of its own, though most encoders are trained on values in " +
        `[-1, 1], [0, 1] or about that; stage.scale(${rangeText(received)}, [-1, 1]) makes them so`,
      certain: false,
    });
  return problems;
}
