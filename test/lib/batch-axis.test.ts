/** Which axis is the batch: models whose batch is not the first axis, and models that have none. */
import assert from "node:assert/strict";
import { matchRows } from "../../lib/model/batch-axis.js";
import { energy, latent, sampler, tensor, Tr0n, type Tr0nOptions } from "../../lib/index.js";
import type { Decision } from "../../lib/base/decisions.js";
import { moveAxis } from "../../lib/model/move-axis.js";
import { Builder, DataType, emptyGraph, encodeModel, type Dim } from "../../lib/onnx/index.js";
import { keeper } from "../support/keeper.js";
import { close, rejects, tinyEncoder, tinyGenerator } from "../support/tiny.js";
import { numbers } from "../support/numbers.js";

const { keep, load, closeAll } = keeper();

async function create(
  generator: Uint8Array,
  encoder: Uint8Array = tinyEncoder(),
  options: Partial<Tr0nOptions> = {},
): Promise<{ tr0n: Tr0n; told: Decision[] }> {
  const told: Decision[] = [];
  const models = { generator: await load(generator), encoder: await load(encoder) };
  const onDecision = (decision: Decision): void => {
    if (decision.option !== "encoderKind" && decision.option !== "generatorRange") told.push(decision);
  };
  return { tr0n: keep(await Tr0n.create({ ...models, onDecision, ...options })), told };
}

const weights = (b: Builder, seed: number, from: number, to: number): string =>
  b.constant(numbers(seed, from * to), [from, to], DataType.FLOAT);

/** rows [n, d] → images [n, 3, 4, 4] */
const images = (b: Builder, rows: string, d: number): string =>
  b.reshape(b.op("Tanh", [b.op("MatMul", [rows, weights(b, 5, d, 48)])]), [-1, 3, 4, 4]);

function model(dims: Dim[], out: Dim[], make: (b: Builder, x: string) => string): Uint8Array {
  const b = new Builder(emptyGraph("axes"));
  b.output("image", make(b, b.input("w", DataType.FLOAT, dims)));
  b.graph.outputs[0]!.dims = out;
  return encodeModel(b.graph);
}

/** w [layers, frames, 6] → images [frames, 3, 4, 4]: the batch is the second axis. */
const layered = (dims: Dim[], out: Dim[]): Uint8Array =>
  model(dims, out, (b, w) => {
    const layers = dims[0] as number;
    const rows = b.reshape(b.op("Transpose", [w], { perm: [1, 0, 2] }), [-1, layers * 6]);
    return images(b, rows, layers * 6);
  });

describe("the batch's axis", () => {
  afterEach(closeAll);

  const seconds: [string, Dim[], Dim[]][] = [
    ["has the output's name", [8, "frames", 6], ["frames", 3, 4, 4]],
    ["has no name", [8, null, 6], [null, 3, 4, 4]],
    ["is fixed", [8, 4, 6], [4, 3, 4, 4]],
    ["is as long as the first", [4, 4, 6], [4, 3, 4, 4]],
    ["is one row", [8, 1, 6], [1, 3, 4, 4]],
    ["is declared as another", ["T", "N", 6].map((dim) => (dim === "T" ? 8 : dim)), ["batch", 3, 4, 4]],
  ];
  for (const [what, dims, out] of seconds)
    it(`is found where it is the input's second and ${what}`, async () => {
      const { tr0n, told } = await create(layered(dims, out));
      const d = (dims[0] as number) * 6;
      assert.deepEqual([tr0n.latentSize, tr0n.imageShape], [d, [3, 4, 4]]);
      const moved = told.filter(({ value }) => /moved/.test(value));
      assert.equal(moved.length, 1);
      assert.match(moved[0]!.value, /axis 1 of w .* axis 0 of image, and is moved to the front/);
      // Row by row what the model itself makes of latents that lie as it wants them.
      const latents = await tr0n.drawPrior(4, { seed: 3 });
      const made = await tr0n.generate(latents);
      const whole = moveAxis({ data: latents.data, shape: [4, d / 6, 6] }, 0, 1);
      const direct = await load(layered([d / 6, 4, 6], [4, 3, 4, 4]));
      close(made.data, (await direct.run(whole))["image"]!.data, 1e-6);
      await checkGradient(tr0n);
    });

  /** ∂E/∂z of two rows against central differences. */
  async function checkGradient(tr0n: Tr0n): Promise<void> {
    const d = tr0n.latentSize;
    const objective = await tr0n.objective.native(true);
    const z = numbers(9, 2 * d);
    const c = Float32Array.of(0, 1, 0, 0.25, 0.25, 0.5);
    const { gradients } = await objective.evaluate(z, c, 2).promise;
    for (const i of [0, 5, d - 1, d, 2 * d - 1]) {
      const [up, down] = [Float32Array.from(z), Float32Array.from(z)];
      up[i]! += 1e-2;
      down[i]! -= 1e-2;
      const row = Math.floor(i / d);
      const high = (await objective.energy(up, c, 2).promise)[row]!;
      const low = (await objective.energy(down, c, 2).promise)[row]!;
      close([gradients[i]!], [(high - low) / 2e-2], 2e-3, `∂E/∂z[${i}]`);
    }
  }

  it("is found by its name among open axes, with the latent telling the others", async () => {
    const generator = model(["T", "N", 6], ["N", 3, 4, 4], (b, w) =>
      images(b, b.op("ReduceSum", [b.op("Tanh", [w]), b.ints([0])], { keepdims: 0 }), 6),
    );
    const { tr0n } = await create(generator, tinyEncoder(), { latent: latent.normal(30) });
    assert.deepEqual([tr0n.latentSize, tr0n.objective.latentShape], [30, [5, 6]]);
    await checkGradient(tr0n);
    await rejects(create(generator), "ERR_SHAPE_MISMATCH", /pass latent\.normal\(dim\)/);
  });

  it("is found where it is the output's last, and the input's", async () => {
    const last = await create(
      model(["N", 6], [3, 4, 4, "N"], (b, z) => b.op("Transpose", [images(b, z, 6)], { perm: [1, 2, 3, 0] })),
    );
    assert.deepEqual(last.tr0n.imageShape, [3, 4, 4]);
    await checkGradient(last.tr0n);
    const columns = await create(
      model([6, "N"], ["N", 3, 4, 4], (b, z) => images(b, b.op("Transpose", [z], { perm: [1, 0] }), 6)),
    );
    assert.equal(columns.tr0n.latentSize, 6);
    await checkGradient(columns.tr0n);
  });

  it("is found in an encoder, which is fed with images", async () => {
    const encoder = model([3, "N", 4, 4], ["N", 3], (b, x) =>
      b.op("MatMul", [
        b.op("Flatten", [b.op("Transpose", [x], { perm: [1, 0, 2, 3] })], { axis: 1 }),
        weights(b, 2, 48, 3),
      ]),
    );
    const { tr0n, told } = await create(tinyGenerator(), encoder, { energy: energy.crossEntropy() });
    assert.match(told.find(({ option }) => option === "encoder")!.value, /axis 1 of w \[3, \?, 4, 4\]/);
    await checkGradient(tr0n);
    await tr0n.train({ pairs: 200, epochs: 1, seed: 1 });
    const { energies } = await tr0n.sample({ class: 1 }, { count: 3, seed: 1 });
    assert.ok(energies.every(Number.isFinite));
  });

  it("is found with several inputs that name it", async () => {
    const b = new Builder(emptyGraph("two"));
    const w = b.input("w", DataType.FLOAT, [2, "N", 3]);
    const z = b.input("z", DataType.FLOAT, ["N", 6]);
    const rows = b.reshape(b.op("Transpose", [w], { perm: [1, 0, 2] }), [-1, 6]);
    b.output("image", images(b, b.op("Mul", [rows, z]), 6));
    b.graph.outputs[0]!.dims = ["N", 3, 4, 4];
    const { tr0n } = await create(encodeModel(b.graph), tinyEncoder(), {
      latent: latent.product({ w: latent.normal(6), z: latent.normal(6) }),
    });
    await checkGradient(tr0n);
  });

  it("gives every layer of a mapped latent the same w", async () => {
    const mapping = await load(model(["N", 4], ["N", 6], (b, z) => b.op("MatMul", [z, weights(b, 8, 4, 6)])));
    const { tr0n } = await create(layered([8, "frames", 6], ["frames", 3, 4, 4]), tinyEncoder(), {
      latent: latent.mapped(mapping, latent.normal(4)),
    });
    assert.equal(tr0n.latentSize, 6);
    await checkGradient(tr0n);
  });

  it("names the sizes of one row, and no others", async () => {
    const error = await rejects(
      create(layered([8, "frames", 6], ["frames", 3, 4, 4]), tinyEncoder(), { latent: latent.normal(60) }),
      "ERR_SHAPE_MISMATCH",
      /expected 48 dimensions for the generator's input \[\?, 8, 6\], got 60/,
    );
    assert.doesNotMatch(error.message, /multiple/);
  });

  it("stays the first where names say otherwise and the model does not", async () => {
    const names = model(["a", 6], ["b", 3, 4, 4], (b, z) => images(b, z, 6));
    const { told } = await create(names);
    assert.deepEqual(told, []);
    const lying = model(["T", "N", 6], ["N", 3, 4, 4], (b, w) =>
      images(b, b.reshape(b.op("Tanh", [w]), [0, -1]), 12),
    );
    const { tr0n } = await create(lying, tinyEncoder(), { latent: latent.normal(12) });
    assert.deepEqual(tr0n.objective.latentShape, [2, 6]);
  });

  it("is refused where rows influence each other", async () => {
    const centred = (dims: Dim[], out: Dim[]): Uint8Array =>
      model(dims, out, (b, z) => {
        const mean = b.op("ReduceMean", [z, b.ints([0])]);
        return images(b, b.op("Sub", [z, b.op("Mul", [mean, b.scalar(0.1, mean)])]), 6);
      });
    const message = /generator: rows of .* influence each other.*evaluation mode.*batch of one/;
    await rejects(create(centred(["N", 6], ["N", 3, 4, 4])), "ERR_MODEL_UNSUPPORTED", message);
    await rejects(create(centred([4, 6], [4, 3, 4, 4])), "ERR_MODEL_UNSUPPORTED", message);
    // The standard deviation over the batch, as discriminators have it, beside the features.
    const spread = model(["N", 3, 4, 4], ["N", 3], (b, x) => {
      const flat = b.op("Flatten", [x], { axis: 1 });
      const mean = b.op("ReduceMean", [flat, b.ints([0])]);
      const away = b.op("Sub", [flat, mean]);
      const std = b.op("Sqrt", [b.op("ReduceMean", [b.op("Mul", [away, away])])]);
      return b.op("Add", [
        b.op("MatMul", [flat, weights(b, 2, 48, 3)]),
        b.op("Mul", [std, b.scalar(0.01, std)]),
      ]);
    });
    await rejects(
      create(tinyGenerator(), spread, { energy: energy.squaredError() }),
      "ERR_MODEL_UNSUPPORTED",
      /encoder: rows of .* influence each other/,
    );
    await rejects(
      create(tinyGenerator(), tinyEncoder(), {
        pairEncoder: await load(spread),
        energy: energy.squaredError(),
      }),
      "ERR_MODEL_UNSUPPORTED",
      /pairEncoder: rows of .* influence each other/,
    );
    const training = model(["N", 6], ["N", 3, 4, 4], (b, z) => {
      const scale = b.constant([1, 1, 1, 1, 1, 1], [6], DataType.FLOAT);
      const zero = b.constant([0, 0, 0, 0, 0, 0], [6], DataType.FLOAT);
      return images(
        b,
        b.ops("BatchNormalization", [z, scale, zero, zero, scale], 3, { training_mode: 1 })[0]!,
        6,
      );
    });
    await rejects(create(training), "ERR_MODEL_UNSUPPORTED", message);
  });

  it("is refused where a row makes several images, or is nowhere", async () => {
    const frames = (pick: (b: Builder, z: string) => string): Uint8Array =>
      model(["N", 12], ["M", 3, 4, 4], (b, z) => images(b, pick(b, z), 6));
    const several =
      /gives 2 rows of its output \[4, 3, 4, 4\] for each of 2 rows of w \[\?, 12\]\. Export it with a reshape/;
    await rejects(create(frames((b, z) => b.reshape(z, [-1, 6]))), "ERR_SHAPE_MISMATCH", several);
    const strided = frames((b, z) =>
      b.op("Concat", b.ops("Split", [z], 2, { axis: 1, num_outputs: 2 }), { axis: 0 }),
    );
    await rejects(create(strided), "ERR_SHAPE_MISMATCH", several);
    const nowhere = model([5, 6], [3, 3, 4, 4], (b, z) =>
      images(b, b.op("MatMul", [weights(b, 3, 3, 5), z]), 6),
    );
    const error = await rejects(create(nowhere), "ERR_SHAPE_MISMATCH", /no other axis was found/);
    assert.doesNotMatch(error.message, /latent/);
  });

  it("takes rows that nothing moves as they are declared, and runs what scales by the batch row by row", async () => {
    const constant = model(["N", 3, 4, 4], ["N", 3], (b, x) => {
      const flat = b.op("Flatten", [x], { axis: 1 });
      const dead = b.op("Relu", [
        b.op("Sub", [b.op("MatMul", [flat, weights(b, 2, 48, 3)]), b.scalar(1e6, flat)]),
      ]);
      return b.op("Add", [dead, b.scalar(1, dead)]);
    });
    await create(tinyGenerator(), constant, { energy: energy.squaredError() });
    const quantised = model(["N", 3, 4, 4], ["N", 3], (b, x) => {
      const [q, scale, zero] = b.ops("DynamicQuantizeLinear", [x], 3) as [string, string, string];
      const real = b.op("Flatten", [b.op("DequantizeLinear", [q, scale, zero])], { axis: 1 });
      return b.op("MatMul", [real, weights(b, 2, 48, 3)]);
    });
    const { tr0n, told } = await create(tinyGenerator(), quantised, { energy: energy.squaredError() });
    assert.match(told.find(({ option }) => option === "encoder")!.value, /rows run one by one/);
    assert.equal(tr0n.objective.encoderBatch, 1);
    await tr0n.train({ pairs: 100, epochs: 1, seed: 1 });
    await tr0n.sample(
      { embedding: tensor([0.1, 0.2, 0.3], [1, 3]) },
      { sampler: sampler.resample({ steps: 0 }) },
    );
  });

  it("is told apart from rounding, and from axes of the same length", () => {
    const rows = (values: number[]): { data: Float32Array; shape: number[] } => ({
      data: Float32Array.from(values),
      shape: [2, 2],
    });
    const before = rows([1, 2, 3, 4]);
    assert.deepEqual(matchRows(before, rows([1, 2, 5, 7]), 2, 1), { kind: "matched", axis: 0 });
    assert.deepEqual(matchRows(before, rows([1, 5, 3, 7]), 2, 1), { kind: "matched", axis: 1 });
    assert.deepEqual(matchRows(before, rows([1 + 1e-6, 2, 5, 7]), 2, 1), { kind: "matched", axis: 0 });
    assert.deepEqual(matchRows(before, rows([1, 2 + 1e-6, 3, 4]), 2, 1), { kind: "unmoved" });
    assert.deepEqual(matchRows(before, rows([1.01, 2, 5, 7]), 2, 1), { kind: "mixed" });
    assert.deepEqual(matchRows(before, rows([2, 3, 3, 4]), 2, 1), { kind: "mixed" });
  });

  it("a model that holds something for every place of a batch is refused, in G and in f", async () => {
    const constant = (b: Builder, x: string, shape: number[]): string =>
      b.op("Add", [
        x,
        b.constant(
          numbers(
            9,
            shape.reduce((p, q) => p * q),
          ),
          shape,
          DataType.FLOAT,
        ),
      ]);
    const traced = model([4, 6], [4, 3, 4, 4], (b, w) => images(b, constant(b, w, [4, 6]), 6));
    await rejects(
      create(traced),
      "ERR_MODEL_UNSUPPORTED",
      /generator: .*depends on the row's place in the batch/,
    );
    const b = new Builder(emptyGraph("f"));
    const x = b.input("image", DataType.FLOAT, [4, 3, 4, 4]);
    const scores = b.op("MatMul", [b.reshape(x, [4, 48]), weights(b, 6, 48, 3)]);
    b.output("logits", constant(b, scores, [4, 3]));
    await rejects(
      create(tinyGenerator(), encodeModel(b.graph)),
      "ERR_MODEL_UNSUPPORTED",
      /encoder: .*depends on the row's place in the batch/,
    );
    // What all rows share is none of that.
    const shared = model([4, 6], [4, 3, 4, 4], (c, w) => images(c, constant(c, w, [1, 6]), 6));
    await create(shared);
  });

  it("a latent without an effect is told", async () => {
    const still = model(["batch", 6], ["batch", 3, 4, 4], (b, w) =>
      images(b, b.op("Mul", [w, b.scalar(0, w)]), 6),
    );
    const { told } = await create(still);
    assert.ok(
      told.some(({ option, certain }) => option === "latent" && !certain),
      JSON.stringify(told),
    );
  });
});
