/** Noise on the translator's conditions while it trains: what bridges text and image embeddings. */
import { checkOptions, checkSignal, shapeText } from "../base/check.js";
import { ArgumentError, invalid } from "../base/errors.js";
import { runJob } from "../native/job.js";
import { native } from "../native/binding.js";
import type { NativeTrainerConfig } from "../native/types/translator.js";
import type { Owned } from "../native/types/values.js";
import { checkTensor, type Tensor } from "../base/tensor.js";
import { checkOption } from "../options/check.js";
import {
  constant,
  either,
  list,
  number,
  object,
  option,
  required,
  words,
  type Properties,
} from "../options/describe.js";

const scale = number({ min: 0 });
/** As fields of noise: `scale` of that which has one by itself, and of that which must be told. */
const scaled = {
  isotropic: required(scale, "s of c + s·ε"),
  adaptive: option(scale, "s of c + s·‖c‖·ε/‖ε‖", { default: 1 }),
  pairs: option(scale, "with `from`: s of c + s·ε", { default: 1 }),
};
const kind = <const K extends string, const P extends Properties>(name: K, is: string, properties: P) =>
  object({ kind: required(constant(name), is), ...properties });

/**
 * As a configuration file has it: a covariance by its rows.
 *
 * @internal
 */
export const noiseInFile = either(
  kind("isotropic", "the same noise in all directions", { scale: scaled.isotropic }),
  kind("adaptive", "noise in proportion to the condition's length", { scale: scaled.adaptive }),
  kind("covariance", "N(0, Σ)", {
    covariance: option(list(list(number())), "Σ, its rows", { otherwise: "Σ is estimated" }),
    from: option(words("pairs"), "what Σ is estimated from", {
      otherwise: "pairs, where there is no covariance",
    }),
    scale: scaled.pairs,
  }),
);

/**
 * c + s·ε ("isotropic"); c + s·‖c‖·ε/‖ε‖ ("adaptive"), s being `scale` in both; c + N(0, Σ) ("covariance", Σ a tensor
 * [m, m], or s² times the covariance of the training pairs' conditions). The paper uses isotropic 0.5 for OpenCLIP with
 * BigGAN and 0.2 otherwise. `covarianceOf` estimates Σ from rows of your own, such as differences between embeddings of
 * texts and of their images.
 */
export type ConditionNoise =
  | { readonly kind: "isotropic"; readonly scale: number }
  | { readonly kind: "adaptive"; readonly scale?: number }
  | { readonly kind: "covariance"; readonly covariance: Tensor }
  | { readonly kind: "covariance"; readonly from: "pairs"; readonly scale?: number };

/** Noise whose numbers are all there. */
export type KnownNoise = Exclude<ConditionNoise, { readonly from: "pairs" }>;

/** @throws ArgumentError */
export function checkNoise(name: string, value: unknown): ConditionNoise | undefined {
  if (value === undefined) return undefined;
  const given = value as ConditionNoise | null;
  switch (given !== null && typeof given === "object" ? given.kind : undefined) {
    case "isotropic":
      return {
        kind: "isotropic",
        scale: checkOption(scaled.isotropic, (given as { scale?: number }).scale, `${name}.scale`),
      };
    case "adaptive":
      return {
        kind: "adaptive",
        scale: checkOption(scaled.adaptive, (given as { scale?: number }).scale, `${name}.scale`),
      };
    case "covariance": {
      const { covariance, from } = given as { covariance?: Tensor | null; from?: unknown };
      if (from !== undefined) {
        if (covariance !== undefined || from !== "pairs")
          throw invalid(`${name}.from`, '"pairs", and no covariance beside it', from);
        const chosen = (given as { scale?: number }).scale;
        return { kind: "covariance", from, scale: checkOption(scaled.pairs, chosen, `${name}.scale`) };
      }
      checkTensor(`${name}.covariance`, covariance as Tensor, { finite: true });
      const [rows, columns] = covariance!.shape;
      if (covariance!.shape.length !== 2 || rows !== columns)
        throw new ArgumentError(
          `${name}.covariance: expected a square matrix [m, m], got [${covariance!.shape.join(", ")}]`,
          { code: "ERR_SHAPE_MISMATCH" },
        );
      return {
        kind: "covariance",
        covariance: { data: Float32Array.from(covariance!.data), shape: [rows!, columns!] },
      };
    }
    default:
      throw invalid(name, 'condition noise such as { kind: "isotropic", scale: 0.2 }', value);
  }
}

/** As checkNoise, for noise that does not wait for pairs. @throws ArgumentError */
export function checkKnownNoise(name: string, value: unknown): KnownNoise | undefined {
  const noise = checkNoise(name, value);
  if (noise && "from" in noise)
    throw invalid(name, "a covariance as a tensor [m, m]: covarianceOf(c) estimates it", value);
  return noise;
}

/**
 * The addon's settings for conditions of `size` numbers.
 *
 * @throws ArgumentError when a covariance is not [size, size].
 */
export function nativeNoise(noise: KnownNoise | undefined, size: number): Partial<NativeTrainerConfig> {
  if (!noise) return { noise: "none" };
  if (noise.kind !== "covariance") return { noise: noise.kind, noiseScale: noise.scale ?? 1 };
  if (noise.covariance.shape[0] !== size)
    throw new ArgumentError(
      `conditionNoise.covariance: expected [${size}, ${size}] for conditions of ${size} numbers, got [${noise.covariance.shape.join(", ")}]`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  return { noise: "covariance", noiseCovariance: noise.covariance.data };
}

/** Checks that a covariance fits conditions of `size` numbers. @throws ArgumentError */
export function checkNoiseSize(noise: ConditionNoise | undefined, size: number): void {
  if (noise && !("from" in noise)) nativeNoise(noise, size);
}

/** The noise for training on pairs with conditions c [n, m], which nobody outside has. */
export async function knownNoise(
  noise: ConditionNoise | undefined,
  c: Tensor,
  signal?: AbortSignal,
): Promise<KnownNoise | undefined> {
  if (!noise || !("from" in noise)) return noise;
  // The pairs are tr0n's own.
  const covariance = await estimated({ owned: c.data }, c.shape, (noise.scale ?? 1) ** 2, signal);
  return { kind: "covariance", covariance };
}

/**
 * The covariance [m, m] of rows [n, m] about their mean, over n − 1.
 *
 * @throws ArgumentError for fewer than two rows; AbortError
 */
export async function covarianceOf(rows: Tensor, options?: { signal?: AbortSignal }): Promise<Tensor> {
  const o = checkOptions("options", options, ["signal"]);
  checkSignal("options.signal", o.signal);
  checkTensor("rows", rows, { finite: true });
  const [n = 0, m = 0] = rows.shape;
  if (rows.shape.length !== 2 || n < 2 || m < 1)
    throw new ArgumentError(
      `rows: expected the shape [n, m] with n of at least 2, got ${shapeText(rows.shape)}`,
      {
        code: "ERR_SHAPE_MISMATCH",
      },
    );
  return estimated(rows.data, [n, m], 1, o.signal);
}

async function estimated(
  rows: Float32Array | Owned<Float32Array>,
  [n = 0, m = 0]: readonly number[],
  scale: number,
  signal: AbortSignal | undefined,
): Promise<Tensor> {
  const data = await runJob("covarianceOf", signal, () => native().covariance(rows, n, m, scale));
  return { data, shape: [m, m] };
}

/** Noise as JSON, and back. */
export function noiseToJson(noise: ConditionNoise | undefined): unknown {
  if (!noise) return null;
  if (noise.kind !== "covariance" || "from" in noise) return noise;
  return { kind: noise.kind, size: noise.covariance.shape[0], covariance: [...noise.covariance.data] };
}

export function noiseFromJson(json: unknown): ConditionNoise | undefined {
  if (json === null || json === undefined) return undefined;
  const { kind, size, covariance, from } = json as Record<string, unknown> & { covariance?: number[] };
  return checkNoise(
    "conditionNoise",
    kind === "covariance" && from === undefined
      ? { kind, covariance: { data: Float32Array.from(covariance ?? []), shape: [size, size] } }
      : json,
  );
}
