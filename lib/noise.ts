/** Noise on the translator's conditions while it trains: what bridges text and image embeddings. */
import { checkNumber } from "./check.js";
import { ArgumentError, invalid } from "./errors.js";
import type { NativeTrainerConfig } from "./native.js";
import { checkTensor, type Tensor } from "./tensor.js";

/**
 * c + s·ε ("isotropic"); c + s·‖c‖·ε/‖ε‖ ("adaptive"), s being `scale` in both; c + N(0, Σ) ("covariance", Σ a tensor
 * [m, m]). The paper uses isotropic 0.5 for OpenCLIP with BigGAN and 0.2 otherwise.
 */
export type ConditionNoise =
  | { readonly kind: "isotropic"; readonly scale: number }
  | { readonly kind: "adaptive"; readonly scale?: number }
  | { readonly kind: "covariance"; readonly covariance: Tensor };

/** @throws ArgumentError */
export function checkNoise(name: string, value: unknown): ConditionNoise | undefined {
  if (value === undefined) return undefined;
  const given = value as ConditionNoise | null;
  switch (given !== null && typeof given === "object" ? given.kind : undefined) {
    case "isotropic":
      return {
        kind: "isotropic",
        scale: checkNumber(`${name}.scale`, (given as { scale?: number }).scale ?? Number.NaN, 0, { min: 0 }),
      };
    case "adaptive":
      return {
        kind: "adaptive",
        scale: checkNumber(`${name}.scale`, (given as { scale?: number }).scale, 1, { min: 0 }),
      };
    case "covariance": {
      const { covariance } = given as { covariance: Tensor };
      checkTensor(`${name}.covariance`, covariance, { finite: true });
      const [rows, columns] = covariance.shape;
      if (covariance.shape.length !== 2 || rows !== columns)
        throw new ArgumentError(
          `${name}.covariance: expected a square matrix [m, m], got [${covariance.shape.join(", ")}]`,
          { code: "ERR_SHAPE_MISMATCH" },
        );
      return {
        kind: "covariance",
        covariance: { data: Float32Array.from(covariance.data), shape: [rows!, columns!] },
      };
    }
    default:
      throw invalid(name, 'condition noise such as { kind: "isotropic", scale: 0.2 }', value);
  }
}

/**
 * The addon's settings for conditions of `size` numbers.
 *
 * @throws ArgumentError when a covariance is not [size, size].
 */
export function nativeNoise(noise: ConditionNoise | undefined, size: number): Partial<NativeTrainerConfig> {
  if (!noise) return { noise: "none" };
  if (noise.kind !== "covariance") return { noise: noise.kind, noiseScale: noise.scale ?? 1 };
  if (noise.covariance.shape[0] !== size)
    throw new ArgumentError(
      `conditionNoise.covariance: expected [${size}, ${size}] for conditions of ${size} numbers, got [${noise.covariance.shape.join(", ")}]`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  return { noise: "covariance", noiseCovariance: noise.covariance.data };
}

/** Noise as JSON, and back. */
export function noiseToJson(noise: ConditionNoise | undefined): unknown {
  if (!noise) return null;
  if (noise.kind !== "covariance") return noise;
  return { kind: noise.kind, size: noise.covariance.shape[0], covariance: [...noise.covariance.data] };
}

export function noiseFromJson(json: unknown): ConditionNoise | undefined {
  if (json === null || json === undefined) return undefined;
  const { kind, size, covariance } = json as { kind: string; size?: number; covariance?: number[] };
  return checkNoise(
    "conditionNoise",
    kind === "covariance"
      ? { kind, covariance: { data: Float32Array.from(covariance ?? []), shape: [size, size] } }
      : json,
  );
}
