/** Generator and encoder of any format in one pipeline: energies, gradients, conditions, images and features agree. */
import assert from "node:assert/strict";
import { energy, loadModel, stage, Tr0n, type Model, type Tr0nOptions } from "../../lib/index.js";
import { FeatureSpace } from "../../lib/evaluate/feature-space.js";
import { assertClose, relativeError, seeded } from "../support/numbers.js";
import { demoFile, needsTorch } from "../support/torch.js";

const formats = [
  ["onnx", "onnx"],
  ["onnx", "pt"],
  ["pt", "onnx"],
  ["pt", "pt"],
] as const;
const classes = 10;

/**
 * Row by row. Where the input of a rectifier or the largest of a window is decided by a rounding, two sound programs may
 * decide differently, and the row's gradient jumps a little: in one row of these few, that is no mistake.
 */
function checkGradients(actual: Float32Array, expected: Float32Array, n: number, what: string): void {
  const d = expected.length / n;
  const row = (values: Float32Array, i: number): Float32Array => values.subarray(i * d, (i + 1) * d);
  const errors = Array.from({ length: n }, (_, i) => relativeError(row(actual, i), row(expected, i)));
  assert.ok(errors.every(Number.isFinite), `${what}: relative errors ${errors.join(", ")}`);
  const [worst, second] = errors.sort((a, b) => b - a) as [number, number];
  assert.ok(second <= 3e-5, `${what}: relative error ${second} in more than one row`);
  assert.ok(worst <= 1e-3, `${what}: relative error ${worst} in a row`);
}

/** softmax of each row. */
function softmaxRows(logits: Float32Array, width: number): Float64Array {
  const out = Float64Array.from(logits, Math.exp);
  for (let i = 0; i < out.length; i += width) {
    const row = out.subarray(i, i + width);
    const sum = row.reduce((a, b) => a + b, 0);
    row.forEach((x, j) => (row[j] = x / sum));
  }
  return out;
}

describe("torchscript: pipelines of mixed formats", function () {
  this.timeout(240_000);
  const loaded = new Map<string, Model>();
  before(async function () {
    needsTorch(this);
    for (const name of ["gan-generator", "vae-decoder", "classifier"])
      for (const format of ["onnx", "pt"]) {
        const file = `${name}.${format}`;
        loaded.set(file, await loadModel(demoFile(file)));
      }
  });
  after(() => {
    for (const model of loaded.values()) model.dispose();
  });

  const create = (
    generator: string,
    [g, f]: (typeof formats)[number],
    options: Partial<Tr0nOptions> = {},
  ): Promise<Tr0n> =>
    Tr0n.create({
      generator: loaded.get(`${generator}.${g}`)!,
      encoder: loaded.get(`classifier.${f}`)!,
      seed: 1,
      ...options,
    });

  /** One-hot conditions, one class after the other. */
  const oneHot = (n: number): Float32Array =>
    Float32Array.from({ length: n * classes }, (_, i) =>
      i % classes === Math.floor(i / classes) % classes ? 1 : 0,
    );

  const preprocess = [stage.affine(0.95, 0.02), stage.resize(40, 40), stage.resize(32, 32)];
  const cases: [string, Partial<Tr0nOptions>][] = [
    ["cross-entropy", { energy: energy.crossEntropy() }],
    [
      "a sum of energies behind stages",
      { energy: energy.sum([energy.cosine(), 2], energy.squaredError()), preprocess },
    ],
  ];
  for (const generator of ["gan-generator", "vae-decoder"])
    for (const [what, options] of cases)
      it(`${generator}, ${what}: the four combinations have the same energies and gradients`, async () => {
        const n = 23;
        const c = oneHot(n);
        let expected: { energies: Float32Array; gradients: Float32Array } | undefined;
        for (const pair of formats) {
          using tr0n = await create(generator, pair, options);
          const z = seeded(11).normals(n * tr0n.latentSize);
          const objective = await tr0n.objective.native(true);
          const got = await objective.evaluate(z, c, n).promise;
          expected ??= got;
          assertClose(got.energies, expected.energies, 1e-5, `energies of ${pair.join(", ")}`);
          checkGradients(got.gradients, expected.gradients, n, `gradients of ${pair.join(", ")}`);
          const alone = await objective.energy(z, c, n).promise;
          assertClose(alone, expected.energies, 1e-5, `energies alone of ${pair.join(", ")}`);
        }
      });

  it("a row has the same bits whatever the split", async () => {
    for (const pair of formats) {
      using tr0n = await create("gan-generator", pair, { energy: energy.crossEntropy() });
      const n = 37;
      const d = tr0n.latentSize;
      const z = seeded(3).normals(n * d);
      const c = oneHot(n);
      const objective = await tr0n.objective.native(true);
      const whole = await objective.evaluate(z, c, n).promise;
      for (const [first, count] of [
        [0, 1],
        [1, 2],
        [3, 5],
        [8, 16],
        [24, 13],
      ] as const) {
        const part = await objective.evaluate(
          z.slice(first * d, (first + count) * d),
          c.slice(first * classes, (first + count) * classes),
          count,
        ).promise;
        assert.deepEqual(
          part.energies,
          whole.energies.slice(first, first + count),
          `energies, ${pair.join()}`,
        );
        assert.deepEqual(
          part.gradients,
          whole.gradients.slice(first * d, (first + count) * d),
          `gradients, ${pair.join()}`,
        );
      }
    }
  });

  it("images, conditions and features agree", async () => {
    const n = 19;
    let expected: Float32Array[] | undefined;
    for (const pair of formats) {
      using tr0n = await create("gan-generator", pair, { energy: energy.crossEntropy(), preprocess });
      const latents = { data: seeded(5).normals(n * tr0n.latentSize), shape: [n, tr0n.latentSize] };
      const images = await tr0n.generate(latents);
      assert.deepEqual(images.shape, [n, 3, 32, 32]);
      const conditions = await tr0n.encode(latents);
      const space = await FeatureSpace.open(tr0n.objective);
      try {
        const { features, scores, kind } = await space.map(latents.data, n);
        const probabilities = softmaxRows(kind === "logits" ? scores : scores.map(Math.log), classes);
        assert.deepEqual([space.width, space.classes], [64, classes]);
        assertClose(probabilities, conditions.data, 1e-5, "probabilities");
        const got = [images.data, conditions.data, features];
        expected ??= got;
        for (const [i, name] of ["images", "conditions", "features"].entries())
          assertClose(got[i]!, expected[i]!, 1e-5, `${name} of ${pair.join(", ")}`);
      } finally {
        space.dispose();
      }
    }
  });

  it("trains and samples: the same seed gives the same samples", async () => {
    let expected: { images: Float32Array; energies: Float32Array } | undefined;
    for (const pair of formats) {
      using tr0n = await create("gan-generator", pair, { energy: energy.crossEntropy() });
      await tr0n.train({ pairs: 400, epochs: 1, seed: 7 });
      const { images, energies } = await tr0n.sample({ class: [3, 8] }, { count: 4, seed: 5 });
      expected ??= { images: images.data, energies };
      assertClose(images.data, expected.images, 1e-3, `images of ${pair.join(", ")}`);
      assertClose(energies, expected.energies, 1e-3, `energies of ${pair.join(", ")}`);
    }
  });

  it("takes a TorchScript pairEncoder, and classifiers for what they are", async () => {
    using plain = await create("gan-generator", ["onnx", "pt"]);
    assert.equal(plain.conditionKind, "probabilities");
    using tr0n = await create("gan-generator", ["onnx", "onnx"], {
      pairEncoder: loaded.get("classifier.pt")!,
    });
    const latents = { data: seeded(5).normals(3 * 64), shape: [3, 64] };
    assertClose((await tr0n.encode(latents)).data, (await plain.encode(latents)).data, 1e-5, "conditions");
  });
});
