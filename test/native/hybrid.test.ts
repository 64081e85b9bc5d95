/** The hybrid sampler against PyTorch's optimisers: scripts/fixtures/hybrid.py. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { checkDevice } from "../../lib/native/devices.js";
import { native, packageRoot } from "../../lib/native/binding.js";
import type { NativeSamplerConfig, NativeUpdateGroup } from "../../lib/native/types/sampling.js";
import { onDevices } from "../support/devices.js";
import { tanhRegression } from "../support/objectives.js";

interface Fixture {
  w1: number[];
  w2: number[];
  conditions: number[];
  translator: Record<string, number[]>;
  runs: Record<string, Trajectories>;
  auxiliary: Trajectories & { translator: Record<string, number[]> };
}

interface Trajectories {
  /** [condition][step][dimension] */
  latents: number[][][];
  /** [condition][step] */
  energies: number[][];
}

const [m, h, d, components, hidden, steps] = [4, 7, 5, 3, 6, 20];
const groups: Record<string, NativeUpdateGroup[] | undefined> = {
  "one group": undefined,
  "two groups": [
    { size: 3, rule: "sgld", learningRate: 0.1, momentum: 0.99, noise: 0, clip: 0.5, bound: 0.6 },
    { size: 2, rule: "adam", learningRate: 0.02, noise: 0, clip: 1, bound: 0 },
  ],
  "an auxiliary head's y between them": [
    { size: 1, rule: "sgld", learningRate: 0.1, momentum: 0.99, noise: 0, clip: 0.5, bound: 0.6 },
    { size: 2, rule: "adam", learningRate: 0.02, noise: 0, clip: 0.5, bound: 0 },
    { size: 2, rule: "sgld", learningRate: 0.1, momentum: 0.99, noise: 0, clip: 1, bound: 0 },
  ],
};

/** Every number within `limit` of the one expected. */
function within(actual: ArrayLike<number>, expected: readonly number[], limit: number): void {
  assert.equal(actual.length, expected.length);
  for (const [i, value] of expected.entries())
    assert.ok(Math.abs(actual[i]! - value) <= limit, `${i}: ${actual[i]} is not ${value}`);
}

onDevices("the hybrid sampler without noise", (name) => {
  const path = join(packageRoot, "test", "fixtures", "lib", "hybrid.json");
  const fixture = JSON.parse(readFileSync(path, "utf8")) as Fixture;

  const { auxiliary } = fixture;
  const runs: [string, Trajectories, Record<string, number[]>, number][] = [
    ...Object.entries(fixture.runs).map(
      ([run, expected]): (typeof runs)[number] => [run, expected, fixture.translator, 0],
    ),
    ["an auxiliary head's y between them", auxiliary, auxiliary.translator, 2],
  ];
  for (const [run, expected, parameters, size] of runs)
    it(`follows PyTorch for ${steps} steps, soft weights and Adam included: ${run}`, async () => {
      const device = checkDevice("device", name);
      const translator = native().createTranslator(
        { condition: m, hidden, latent: d - size, components, auxiliary: size },
        0n,
        device,
      );
      const values = new Float32Array(translator.values().length);
      for (const parameter of translator.parameters) {
        const given = parameters[parameter.name]!;
        assert.equal(given.length, parameter.size);
        values.set(given, parameter.offset);
      }
      translator.setValues(values);
      const [w1, w2] = [Float32Array.from(fixture.w1), Float32Array.from(fixture.w2)];
      const objective = await tanhRegression(d, h, m, w1, w2);
      const count = fixture.conditions.length / m;
      const config: NativeSamplerConfig = {
        start: "mode",
        kernel: "hybrid",
        steps,
        priorWeight: 0,
        learningRate: 0.1,
        momentum: 0.99,
        noise: 0,
        clip: 1,
        bound: 0,
        groups: groups[run],
        weightLearningRate: 5e-3,
        seed: 0n,
      };
      let seen = 0;
      const result = await native().sample(
        {
          objective,
          translator,
          prior: { kind: "normal", dim: d },
          config,
          ...(size > 0 ? { auxiliary: { begin: 1 } } : {}),
          conditions: Float32Array.from(fixture.conditions),
          conditionCount: count,
          streams: new Uint32Array(count),
          count: 1,
          every: 1,
          latents: true,
        },
        ({ step, latents, energies }) => {
          seen++;
          within(latents!, expected.latents.flatMap((chain) => chain[step]!), 1e-4);
          within(energies, expected.energies.map((chain) => chain[step]!), 2e-3);
        },
      ).promise;
      assert.equal(seen, steps + 1);
      const moved = expected.latents.map((chain) => Math.max(...chain[0]!.map((v, j) => Math.abs(v - chain[steps]![j]!))));
      assert.ok(Math.min(...moved) > 0.2, "the fixture must go somewhere");
      within(result.latents, expected.latents.flatMap((chain) => chain[steps]!), 1e-4);
      objective.dispose();
      translator.dispose();
    });
});
