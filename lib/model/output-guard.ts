/**
 * Nothing that a model goes through on its way into a pipeline or a gradient (upgrades, simplification, joins, rewrites) may
 * change what it computes. So its outputs there are compared with those of `run` on a few rows, once.
 */
import { shapeText } from "../base/check.js";
import { ModelError } from "../base/errors.js";
import type { Model } from "./interface.js";
import { elementCount, type Tensor } from "../base/tensor.js";

/**
 * How far an output may be from `run`'s, as a share of the largest number of that output. Sums in another order and fused
 * operators differ by 1e-6 to 1e-5 of it in the deepest models that were measured (StyleGAN, BigGAN, ViT, VQGAN); a
 * wrong slice, axis or constant differs by a tenth and more.
 */
export const tolerance = 1e-3;
/** For models with parts in half precision or quantised numbers, whose steps are 2⁻¹¹ and 1/127 of a tensor's range. */
export const coarseTolerance = 5e-2;

/** Numbers that are compared before the event loop has its turn. */
const slice = 1 << 20;

/** The worst of some numbers that are not what they should be. */
interface Difference {
  /** How many differ beyond the tolerance. */
  readonly count: number;
  readonly index: number;
  readonly got: number;
  readonly expected: number;
  /** |got − expected| as a share of the largest number expected; Infinity where one is not finite. */
  readonly share: number;
}

/**
 * The largest difference beyond the tolerance; null where there is none. NaN equals NaN, and infinities themselves. */
export async function difference(
  got: ArrayLike<number>,
  expected: ArrayLike<number>,
  allowed: number,
): Promise<Difference | null> {
  let scale = 0;
  let count = 0;
  let worst: Omit<Difference, "count"> | null = null;
  for (const pass of ["scale", "differences"] as const)
    for (let from = 0; from < expected.length; from += slice) {
      if (from > 0) await new Promise((resolve) => setImmediate(resolve));
      const end = Math.min(from + slice, expected.length);
      for (let index = from; index < end; index++) {
        const [x, y] = [got[index]!, expected[index]!];
        if (pass === "scale") {
          if (Number.isFinite(y)) scale = Math.max(scale, Math.abs(y));
          continue;
        }
        if (Object.is(x, y) || x === y) continue;
        const apart = Math.abs(x - y) / Math.max(scale, 1e-6);
        const share = Number.isNaN(apart) ? Infinity : apart;
        if (!(share > allowed)) continue;
        count++;
        if (!(worst && worst.share >= share)) worst = { index, got: x, expected: y, share };
      }
    }
  return worst && { ...worst, count };
}

/** A model's input, moved by what a few roundings move it by. Deterministic, so that a verdict is the same every time. */
export function nudged(values: Float32Array): Float32Array {
  return values.map((x, i) => x * (1 + (((i * 2654435761) >>> 16) % 2 === 0 ? nudge : -nudge)));
}

/** Some 80 roundings of float32: more than a pipeline may have before a step or a steep function. */
const nudge = 1e-5;

/** A model's output, where it was computed, and what `run` says. */
export interface Comparison {
  /** The model, or what it is a part of. */
  readonly model: string;
  readonly output: string;
  /** Where the output was computed: "the gradient", "the pipeline generator → encoder". */
  readonly where: string;
  readonly coarse: boolean;
  /** Whether the model is folded by ONNX Runtime's optimiser on the way. */
  readonly simplified: boolean;
}

/**
 * A model with steps (Floor, Round, ArgMax) or of steep functions may differ where a rounding decides. It does so against
 * itself, too: numbers that differ are a mistake if they are more than those that `moved` differs in.
 *
 * @param moved what `run` gives for the same input {@link nudged}; asked for where numbers differ
 * @throws ModelError ERR_OUTPUTS_DIFFER naming the model, the output and the largest difference
 */
export async function checkSame(
  got: Tensor,
  expected: Tensor,
  of: Comparison,
  moved?: () => Promise<Tensor>,
): Promise<void> {
  const what = `${of.model}: its output "${of.output}" in ${of.where} is not what run() gives for the same input`;
  const advice =
    (of.simplified ? "Load the model with simplify: false; if that does not help, export" : "Export") +
    " it with another operator set. Nothing computed with it can be trusted: please report it, with the model";
  if (
    got.shape.length !== expected.shape.length ||
    got.shape.some((size, axis) => size !== expected.shape[axis])
  )
    throw new ModelError(
      "ERR_OUTPUTS_DIFFER",
      `${what}: expected the shape ${shapeText(expected.shape)}, got ${shapeText(got.shape)}. ${advice}`,
    );
  const allowed = of.coarse ? coarseTolerance : tolerance;
  const worst = await difference(got.data, expected.data, allowed);
  if (worst === null) return;
  const own = moved && (await difference((await moved()).data, expected.data, allowed));
  if (own && worst.count <= 2 * own.count) return;
  const share = Number.isFinite(worst.share)
    ? `${worst.share.toPrecision(2)} of its largest number`
    : "and one of them is not finite";
  throw new ModelError(
    "ERR_OUTPUTS_DIFFER",
    `${what}: expected ${worst.expected} at index ${worst.index}, got ${worst.got}, the largest difference ` +
      `(${share}). ${advice}`,
  );
}

/** Results of `run` that are kept do not take more than this, in bytes. */
const keptBytes = 64 << 20;

/** What models give by themselves, so that the pipelines of one Tr0n run each of them once for the same rows. */
export class ReferenceRuns {
  private readonly known = new Map<
    Model,
    { inputs: Record<string, Tensor>; outputs: Record<string, Tensor> }
  >();

  async run(model: Model, inputs: Record<string, Tensor>): Promise<Record<string, Tensor>> {
    const before = this.known.get(model);
    if (before && sameTensors(before.inputs, inputs)) return before.outputs;
    const outputs = await model.run(inputs);
    this.note(model, inputs, outputs);
    return outputs;
  }

  /** Keeps what a model has given, where it is not too much. */
  note(model: Model, inputs: Record<string, Tensor>, outputs: Record<string, Tensor>): void {
    const all = [...Object.values(inputs), ...Object.values(outputs)];
    if (4 * all.reduce((sum, { shape }) => sum + elementCount(shape), 0) <= keptBytes)
      this.known.set(model, { inputs, outputs });
  }
}

function sameTensors(p: Record<string, Tensor>, q: Record<string, Tensor>): boolean {
  const names = Object.keys(p);
  return (
    names.length === Object.keys(q).length &&
    names.every((name) => {
      const [a, b] = [p[name]!, q[name]];
      return (
        b !== undefined &&
        a.data.length === b.data.length &&
        a.data.every((value, i) => Object.is(value, b.data[i]))
      );
    })
  );
}

/** What a pipeline is tried on when it is made. */
export interface Probe {
  /** Rows as they go in: `n` of them, or for 0 as many as there are. */
  readonly rows: (n: number) => Promise<Tensor>;
  readonly runs: ReferenceRuns;
}

/** A probe of rows that are there already; more are made by repeating them. */
export function probeOf(rows: Tensor, runs: ReferenceRuns): Probe {
  return { rows: async (n) => (n === 0 || n === rows.shape[0] ? rows : repeatedRows(rows, n)), runs };
}

function repeatedRows({ data, shape }: Tensor, n: number): Tensor {
  const size = elementCount(shape.slice(1));
  const out = new Float32Array(n * size);
  for (let row = 0; row < n; row++) {
    const from = (row % shape[0]!) * size;
    out.set(data.subarray(from, from + size), row * size);
  }
  return { data: out, shape: [n, ...shape.slice(1)] };
}
