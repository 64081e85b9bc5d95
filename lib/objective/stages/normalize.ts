import { ArgumentError } from "../../base/errors.js";
import type { Builder, InputScaling } from "../../onnx/index.js";
import { check } from "../../options/check.js";
import { number, object, oneOrMore, required } from "../../options/describe.js";
import { defineStage, ofChannel, turns, twoNumbers } from "./kind.js";

export interface NormalizeStage {
  readonly kind: "normalize";
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

const options = object({
  mean: required(oneOrMore(number()), "a number, or one a channel"),
  std: required(oneOrMore(number({ above: 0 })), "a number above 0, or one a channel"),
});

const ofChannels = (value: number | readonly number[]): readonly number[] =>
  Object.freeze(typeof value === "number" ? [value] : value);

/** (x − mean) / std, each a number or one number a channel. */
function make(mean: number | readonly number[], std: number | readonly number[]): NormalizeStage {
  const checked = check(options, { mean, std }, { name: "stage.normalize" });
  const [m, s] = [ofChannels(checked.mean), ofChannels(checked.std)];
  if (m.length !== s.length && m.length !== 1 && s.length !== 1)
    throw new ArgumentError(`std: expected as many numbers as mean has (${m.length}), got ${s.length}`);
  return Object.freeze({ kind: "normalize", mean: m, std: s });
}

type Statistics = Omit<NormalizeStage, "kind">;

function channelsOf({ mean, std }: Statistics): number {
  return Math.max(mean.length, std.length);
}

/** (x − mean) / std as x · (1 / std) + (−mean / std). */
export function emitNormalize(b: Builder, x: string, { mean, std }: Statistics): string {
  const channels = channelsOf({ mean, std });
  const scale = Array.from({ length: channels }, (_, i) => 1 / ofChannel(std, i));
  const offset = scale.map((s, i) => -ofChannel(mean, i) * s);
  const shape = [1, channels, ...new Array<number>((b.rank(x) ?? 4) - 2).fill(1)];
  return b.op("Add", [b.op("Mul", [x, b.constantLike(scale, shape, x)]), b.constantLike(offset, shape, x)]);
}

export function normalizing({ mean, std }: Statistics): InputScaling {
  const channels = channelsOf({ mean, std });
  const deviations = Array.from({ length: channels }, (_, i) => ofChannel(std, i));
  return {
    scale: deviations.map((s) => 1 / s),
    offset: deviations.map((s, i) => -ofChannel(mean, i) / s),
  };
}

export const normalize = defineStage({
  kind: "normalize",
  is: "(x − mean) / std",
  options,
  make,
  check: ({ mean, std }: NormalizeStage) => make(mean, std),
  takes: (stage) => {
    const channels = channelsOf(stage);
    return channels > 1 ? `rows [batch, ${channels}, …], their channels first` : "rows [batch, …]";
  },
  shape: (stage, shape) => {
    const channels = channelsOf(stage);
    return shape.length > 0 && (channels === 1 || shape[0] === channels) ? shape : null;
  },
  scaling: (stage) => normalizing(stage),
  tellsRange: true,
  emit: (b, x, stage) => emitNormalize(b, x, stage),
  flag: {
    name: "normalize",
    turn: turns.normalize,
    value: "M,S",
    help: "(x − M) / S for the encoder, x being in the generator's range",
    expected: "M,S with S > 0",
    read: (value) => {
      const [mean, std] = twoNumbers(value) ?? [0, 0];
      return std > 0 ? make(mean, std) : null;
    },
  },
});
