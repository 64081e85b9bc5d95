/** A generator and a classifier whose posterior is known: the encoder's features are the latent itself. */
import { makeModel } from "./onnx.js";

/** p(1|z) = 1/(1 + exp(−slope·z₀ − offset)), z ~ N(0, I₃). */
export const slope = 2;
export const offset = -1;

/** z [n, 3] → image [n, 3, 1, 2] = z·A. */
const a = [1, 0.5, -0.25, 0.5, 0.75, 0, 0, 1, 0.5, -1, 0.25, 0.5, 0.5, 0, 1, 0.25, -0.5, 1];

/** A⁺ = Aᵀ(AAᵀ)⁻¹ [6, 3], so that A·A⁺ = I. */
function pseudoInverse(): number[] {
  const at = (i: number, j: number): number => a[6 * i + j]!;
  const m: number[][] = [0, 1, 2].map((i) =>
    [0, 1, 2].map((k) => Array.from({ length: 6 }, (_, j) => at(i, j) * at(k, j)).reduce((x, y) => x + y)),
  );
  const cofactor = (i: number, k: number): number => {
    const [r, s] = [0, 1, 2].filter((x) => x !== i) as [number, number];
    const [u, v] = [0, 1, 2].filter((x) => x !== k) as [number, number];
    return (-1) ** (i + k) * (m[r]![u]! * m[s]![v]! - m[r]![v]! * m[s]![u]!);
  };
  const determinant = [0, 1, 2].reduce((sum, k) => sum + m[0]![k]! * cofactor(0, k), 0);
  return Array.from({ length: 18 }, (_, index) => {
    const [j, k] = [Math.floor(index / 3), index % 3];
    return [0, 1, 2].reduce((sum, i) => sum + (at(i, j) * cofactor(k, i)) / determinant, 0);
  });
}

const float = (data: number[], ...shape: number[]) => ({ data: Float32Array.from(data), shape });

export function analyticGenerator(): Uint8Array {
  return makeModel({
    inputs: { z: ["batch", 3] },
    outputs: { image: ["batch", 3, 1, 2] },
    nodes: [
      { op: "MatMul", inputs: ["z", "weights"], outputs: ["features"] },
      { op: "Reshape", inputs: ["features", "shape"], outputs: ["image"] },
    ],
    weights: { weights: float(a, 3, 6), shape: { data: BigInt64Array.of(-1n, 3n, 1n, 2n), shape: [4] } },
  });
}

/**
 * Values are called "features", "weights" and "image" as the generator's are, so that joining must rename. `shift` moves
 * class 1's logit; `softmax` gives probabilities.
 */
export function analyticClassifier(shift = 0, softmax = false): Uint8Array {
  const output = softmax ? "probabilities" : "logits";
  return makeModel({
    inputs: { image: ["batch", 3, 1, 2] },
    outputs: { [output]: ["batch", 2] },
    nodes: [
      { op: "Flatten", inputs: ["image"], outputs: ["flat"], attributes: { axis: 1 } },
      { op: "MatMul", inputs: ["flat", "weights"], outputs: ["features"] },
      { op: "Gemm", inputs: ["features", "head", "bias"], outputs: ["scores"], attributes: { transB: 1 } },
      softmax
        ? { op: "Softmax", inputs: ["scores"], outputs: [output], attributes: { axis: 1 } }
        : { op: "Identity", inputs: ["scores"], outputs: [output] },
    ],
    weights: {
      weights: float(pseudoInverse(), 6, 3),
      head: float([0, 0, 0, slope, 0, 0], 2, 3),
      bias: float([0, offset + shift], 2),
    },
  });
}

/** Moments of z₀ given the class by summation over a fine grid, p(class), and the accuracy of exact samples. */
export function posterior(label: 0 | 1): { mass: number; mean: number; variance: number; accuracy: number } {
  let [mass, first, second, right] = [0, 0, 0, 0];
  const h = 1e-3;
  for (let z = -10; z < 10; z += h) {
    const p1 = 1 / (1 + Math.exp(-slope * z - offset));
    const p = label === 1 ? p1 : 1 - p1;
    const w = (Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI)) * p * h;
    mass += w;
    first += w * z;
    second += w * z * z;
    if (p > 0.5) right += w;
  }
  return { mass, mean: first / mass, variance: second / mass - (first / mass) ** 2, accuracy: right / mass };
}
