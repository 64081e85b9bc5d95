import assert from "node:assert/strict";
import { tempered, type Target } from "../../examples/reproduce/tempering.js";
import { uniformAt } from "../../lib/evaluate/exact.js";

/** E = ½‖z − c‖²: the target at fidelity λ is N(λc / (1 + λ), 1 / (1 + λ)) in every dimension. */
function gaussian(fidelity: number, centres: readonly number[], width: number): Target {
  const energy = (z: Float32Array, row: number, c: number): number => {
    let sum = 0;
    for (let j = 0; j < width; j++) sum += (z[row * width + j]! - centres[c]!) ** 2 / 2;
    return sum;
  };
  return {
    width,
    fidelity,
    conditions: centres.length,
    normals: async (list, first, n) =>
      Float32Array.from({ length: n * width }, (_, i) => {
        const at = 2 * (first * width + i);
        const radius = Math.sqrt(-2 * Math.log(1 - uniformAt(100 + list, at)));
        return radius * Math.cos(2 * Math.PI * uniformAt(100 + list, at + 1));
      }),
    energies: async (z, condition) => Float32Array.from(condition, (c, i) => energy(z, i, c)),
    allEnergies: async (z, n) =>
      Float32Array.from({ length: n * centres.length }, (_, i) =>
        energy(z, Math.floor(i / centres.length), i % centres.length),
      ),
  };
}

describe("tempered reference samples", function () {
  this.timeout(60_000);

  it("have the moments of a posterior that the prior hardly ever draws", async () => {
    const [fidelity, centres, width, particles] = [60, [0.5, -1.5], 4, 600];
    const { latents, ladders, acceptance } = await tempered(gaussian(fidelity, centres, width), {
      particles,
      pool: 8000,
      seed: 3,
    });
    centres.forEach((centre, c) => {
      assert.ok(ladders[c]![0]! < fidelity && ladders[c]!.at(-1) === fidelity, `fidelities ${ladders[c]}`);
      assert.ok(acceptance[c]! > 0.15 && acceptance[c]! < 0.5, `accepted ${acceptance[c]}`);
      const wanted = { mean: (fidelity * centre) / (1 + fidelity), variance: 1 / (1 + fidelity) };
      for (let j = 0; j < width; j++) {
        const x = Float64Array.from({ length: particles }, (_, i) => latents[c]![i * width + j]!);
        const mean = x.reduce((a, b) => a + b, 0) / particles;
        const variance = x.reduce((a, b) => a + (b - mean) ** 2, 0) / (particles - 1);
        // Particles are correlated: three times the standard errors of independent ones.
        const error = Math.sqrt(wanted.variance / particles);
        assert.ok(Math.abs(mean - wanted.mean) < 9 * error, `mean ${mean}, wanted ${wanted.mean}`);
        assert.ok(
          Math.abs(variance / wanted.variance - 1) < 9 * Math.sqrt(2 / particles),
          `variance ${variance}`,
        );
      }
    });
  });
});
