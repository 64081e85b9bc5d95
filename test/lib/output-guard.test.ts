/** What models give in pipelines and gradients is what they give by themselves, or an error says which does not. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { augmentation, energy, latent, loadModel, stage, tensor, type Model } from "../../lib/index.js";
import { Decisions } from "../../lib/base/decisions.js";
import { Objective } from "../../lib/objective/objective.js";
import type { ObjectiveOptions } from "../../lib/objective/options.js";
import { FeatureSpace } from "../../lib/evaluate/feature-space.js";
import { loadedModel } from "../../lib/model/model.js";
import { Builder, DataType, emptyGraph, encodeModel } from "../../lib/onnx/index.js";
import { coarseTolerance, difference, tolerance } from "../../lib/model/output-guard.js";
import { rejects, tinyEncoder, tinyGenerator } from "../support/tiny.js";
import { numbers } from "../support/numbers.js";

/** Writes models whose files look as they did at first, whatever is in them. */
function files(folder: string) {
  const time = new Date(1_700_000_000_000);
  const write = async (name: string, bytes: Uint8Array): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, bytes);
    await utimes(path, time, time);
    return path;
  };
  /** Some weights become others. */
  const damage = async (path: string): Promise<void> => {
    const bytes = await readFile(path);
    const first = numbers(path.includes("encoder") ? 2 : 1, 4, ...range(path));
    const start = bytes.indexOf(Buffer.from(first.buffer));
    assert.ok(start > 0);
    for (let i = 0; i < 6; i++) bytes.writeFloatLE(2, start + 16 + 4 * i);
    await writeFile(path, bytes);
    await utimes(path, time, time);
  };
  return { write, damage };
}

const range = (path: string): [number, number] => (path.includes("encoder") ? [-0.5, 0.5] : [-1, 1]);

/** A dcgan's layer whose weights are near the end of float32's range, and hold a NaN. */
function extremeWeights(): Uint8Array {
  const b = new Builder(emptyGraph("extreme"));
  const z = b.input("z", DataType.FLOAT, ["batch", 4, 2, 2]);
  const weights = numbers(3, 4 * 4 * 16);
  weights[7] = 3e38;
  weights[90] = Number.NaN;
  const W = b.constant(weights, [4, 4, 4, 4], DataType.FLOAT);
  const grown = b.op("ConvTranspose", [z, W], { strides: [2, 2], pads: [1, 1, 1, 1] });
  const list = (value: number): string => b.constant(new Array<number>(4).fill(value), [4], DataType.FLOAT);
  const normal = b.op("BatchNormalization", [grown, list(1), list(0.1), list(0), list(0.02)]);
  b.output("y", b.op("Tanh", [b.op("Relu", [normal])]));
  b.graph.outputs[0]!.dims = ["batch", 4, 4, 4];
  return encodeModel(b.graph);
}

/** The same in the form that is woven of phases: many channels, a NaN in one. */
function wovenWeights(): Uint8Array {
  const b = new Builder(emptyGraph("woven"));
  const z = b.input("z", DataType.FLOAT, ["batch", 4, 4, 4]);
  const weights = numbers(3, 4 * 16 * 16);
  weights[16 * 16 + 5] = Infinity;
  const W = b.constant(weights, [4, 16, 4, 4], DataType.FLOAT);
  const grown = b.op("ConvTranspose", [z, W], { strides: [2, 2], pads: [1, 1, 1, 1] });
  b.output("y", b.op("Sigmoid", [grown]));
  b.graph.outputs[0]!.dims = ["batch", 16, 8, 8];
  return encodeModel(b.graph);
}

describe("outputs in pipelines and gradients", () => {
  let folder: string;
  before(async () => (folder = await mkdtemp(join(tmpdir(), "tr0n-guard-"))));
  after(() => rm(folder, { recursive: true }));

  for (const [name, bytes, shape] of [
    ["weights at the end of float32's range", extremeWeights(), [2, 4, 2, 2]],
    ["an infinite weight", wovenWeights(), [2, 4, 4, 4]],
  ] as const)
    it(`vjp's outputs are run's, NaN by NaN: ${name}`, async () => {
      using model = await loadModel(bytes);
      const z = tensor(
        numbers(
          5,
          shape.reduce<number>((p, q) => p * q, 1),
        ),
        shape,
      );
      const expected = (await model.run(z))["y"]!;
      const [saturated, all] = [expected.data.filter((v) => !(Math.abs(v) < 1)).length, expected.data.length];
      assert.ok(saturated > 0 && saturated < all, `${saturated} of ${all}`);
      const { outputs } = await model.vjp(z, tensor(new Float32Array(expected.data.length), expected.shape));
      assert.equal(await difference(outputs["y"]!.data, expected.data, 1e-5), null);
    });

  it("vjp() compares at its first call, and says what to do", async () => {
    const { write, damage } = files(folder);
    const path = await write("vjp-generator.onnx", tinyGenerator());
    using model = await loadModel(path);
    const [z, ones] = [tensor(numbers(1, 12), [2, 6]), tensor(new Float32Array(96).fill(1), [2, 3, 4, 4])];
    await damage(path);
    const error = await rejects(
      model.vjp(z, ones),
      "ERR_OUTPUTS_DIFFER",
      /vjp-generator\.onnx: its output "image" in its gradient, vjp\(\), is not what run\(\) gives.*expected -?\d.*at index \d+, got .*the largest difference.*simplify: false/s,
    );
    assert.ok(error.message.length < 700, error.message);
    // Not only once.
    await rejects(model.vjp(z, ones), "ERR_OUTPUTS_DIFFER");
  });

  describe("a file that changes behind a model's back stands for whatever may go wrong:", () => {
    const open = async (
      name: string,
      options: Partial<ObjectiveOptions> = {},
    ): Promise<{ objective: Objective; damage: (which: "generator" | "encoder") => Promise<void> }> => {
      const { write, damage } = files(folder);
      const generator = await write(`${name}-generator.onnx`, tinyGenerator());
      const encoder = await write(`${name}-encoder.onnx`, tinyEncoder());
      const objective = await Objective.create({
        generator: loadedModel("generator", await loadModel(generator)),
        encoder: loadedModel("encoder", await loadModel(encoder)),
        stages: [stage.affine(0.5, 0.5)],
        maxBatch: 8,
        decisions: new Decisions(),
        ...options,
      });
      return { objective, damage: (which) => damage(which === "generator" ? generator : encoder) };
    };
    const pipelines: [
      string,
      "generator" | "encoder",
      Partial<ObjectiveOptions>,
      (o: Objective) => Promise<unknown>,
    ][] = [
      ["images", "generator", {}, (o) => o.images()],
      ["conditions", "generator", {}, (o) => o.conditions()],
      ["conditions", "encoder", {}, (o) => o.conditions()],
      ["image conditions", "encoder", {}, (o) => o.imageConditions()],
      ["energy", "generator", {}, (o) => o.native(false)],
      ["energy", "encoder", {}, (o) => o.native(false)],
      ["gradient", "generator", {}, (o) => o.native(true)],
      ["gradient", "encoder", {}, (o) => o.native(true)],
      ["cosine", "encoder", { energy: energy.cosine() }, (o) => o.cosine()],
      ["augmented", "generator", { augment: augmentation.policy({ copies: 2 }) }, (o) => o.native(true)],
      ["augmented", "encoder", { augment: augmentation.policy({ copies: 2 }) }, (o) => o.native(true)],
      ["product", "generator", { latent: latent.product({ z: latent.normal(6) }) }, (o) => o.native(true)],
      ["features", "encoder", { energy: energy.crossEntropy() }, (o) => FeatureSpace.open(o)],
    ];
    for (const [name, which, options, use] of pipelines)
      it(`${name}, ${which}`, async () => {
        const sound = await open(`sound-${name}`, options);
        await use(sound.objective);
        sound.objective.dispose();
        const { objective, damage } = await open(name, options);
        await damage(which);
        const stageName = new RegExp(
          `${name}-${which}\\.onnx: its output "${which === "encoder" ? "logits" : "image"}"`,
        );
        await rejects(() => use(objective), "ERR_OUTPUTS_DIFFER", stageName);
        objective.dispose();
      });

    it("mapping", async () => {
      const { write, damage } = files(folder);
      const flat = await write("plain-generator.onnx", tinyGenerator({ latent: [6] }));
      const b = new Builder(emptyGraph("mapping"));
      const z = b.input("z", DataType.FLOAT, ["batch", 6]);
      b.output("w", b.op("MatMul", [z, b.constant(numbers(1, 36), [6, 6], DataType.FLOAT)]));
      const path = await write("mapping-generator.onnx", encodeModel(b.graph));
      const mapping = await loadModel(path);
      const models: Model[] = [mapping, await loadModel(flat), await loadModel(tinyEncoder())];
      const prior = latent.mapped(mapping, latent.normal(6));
      const create = (): Promise<Objective> =>
        Objective.create({
          generator: loadedModel("generator", models[1]),
          encoder: loadedModel("encoder", models[2]),
          latent: prior,
          stages: [],
          maxBatch: 8,
          decisions: new Decisions(),
        });
      (await create()).dispose();
      await damage(path);
      await rejects(create, "ERR_OUTPUTS_DIFFER", /mapping-generator\.onnx: its output "w"/);
      for (const model of models) model.dispose();
    });
  });

  it("steps and steep functions that a rounding decides are no mistake", async () => {
    // A convolution merged with its normalisation rounds otherwise, and the fractional part jumps where that matters.
    const b = new Builder(emptyGraph("steps"));
    const z = b.input("z", DataType.FLOAT, ["batch", 6]);
    const random = (seed: number, dims: number[], low: number, high: number): string =>
      b.constant(
        numbers(
          seed,
          dims.reduce((p, q) => p * q),
        ).map((x) => low + ((high - low) * (Math.sin(9 * x) + 1)) / 2),
        dims,
        DataType.FLOAT,
      );
    const maps = b.op("ConvTranspose", [b.reshape(z, [-1, 6, 1, 1]), random(1, [6, 64, 4, 4], -0.4, 0.4)]);
    const normal = b.op("BatchNormalization", [
      maps,
      random(2, [64], 0.5, 1.5),
      random(3, [64], -1, 1),
      random(4, [64], -1, 1),
      random(5, [64], 0.1, 2),
    ]);
    const steep = b.op("Mul", [normal, b.scalar(3000, normal)]);
    b.output("y", b.op("Sub", [steep, b.op("Floor", [steep])]));
    const cotangent = { data: new Float32Array(64 * 1024).fill(1), shape: [64, 64, 4, 4] };
    let jumps = 0;
    for (let seed = 1; seed <= 4; seed++) {
      using model = await loadModel(encodeModel(b.graph));
      const latents = { data: numbers(seed, 64 * 6), shape: [64, 6] };
      const { outputs } = await model.vjp(latents, cotangent);
      const { y } = await model.run(latents);
      if (await difference(outputs["y"]!.data, y!.data, tolerance)) jumps++;
    }
    assert.ok(jumps > 0, "no rounding decided anything here: the test shows nothing");
  });

  it("differences are shares of the largest number; NaN and infinities must be the same", async () => {
    const at = async (got: number[], expected: number[], allowed = tolerance) =>
      difference(Float32Array.from(got), Float32Array.from(expected), allowed);
    assert.equal(
      await at([1, 1000, NaN, Infinity, -Infinity, -0], [1.9, 1000, NaN, Infinity, -Infinity, 0]),
      null,
    );
    assert.deepEqual(await at([1, 1002], [1, 1000]), {
      count: 1,
      index: 1,
      got: 1002,
      expected: 1000,
      share: 0.002,
    });
    assert.equal(await at([1, 1002], [1, 1000], coarseTolerance), null);
    assert.equal((await at([1, 0], [1, NaN]))!.share, Infinity);
    assert.equal((await at([NaN, 1], [0, 1]))!.index, 0);
    assert.equal((await at([1, -Infinity], [1, Infinity]))!.index, 1);
    assert.equal((await at([1, Infinity], [1, 3]))!.share, Infinity);
    assert.equal(await at([1e-10], [0]), null);
    const long = new Float32Array(3 << 20).fill(1);
    const other = Float32Array.from(long);
    other[(2 << 20) + 1] = 2;
    assert.equal((await difference(other, long, tolerance))!.index, (2 << 20) + 1);
  });
});
