import assert from "node:assert/strict";
import {
  energy,
  latent,
  loadModel,
  sampler,
  stage,
  tensor,
  Tr0n,
  type Tr0nOptions,
} from "../../lib/index.js";
import { assertNoMore, countObjects } from "../support/counters.js";
import { Builder, DataType, emptyGraph, encodeModel, type Dim } from "../../lib/onnx/index.js";
import { keeper } from "../support/keeper.js";
import { bits, close, rejects, tinyEncoder, tinyGenerator } from "../support/tiny.js";
import { numbers } from "../support/numbers.js";

const wrong = (value: unknown) => value as never;
const { keep, load, closeAll } = keeper();

/** A Tr0n of tiny models. */
async function create(
  generator: Uint8Array = tinyGenerator(),
  encoder: Uint8Array = tinyEncoder(),
  options: Partial<Tr0nOptions> = {},
): Promise<Tr0n> {
  return keep(
    await Tr0n.create({ generator: await load(generator), encoder: await load(encoder), ...options }),
  );
}

/** A generator that takes two inputs. */
function twoInputs(): Uint8Array {
  const b = new Builder(emptyGraph("two"));
  b.output(
    "image",
    b.op("Add", [b.input("z", DataType.FLOAT, ["n", 6]), b.input("y", DataType.FLOAT, ["n", 6])]),
  );
  return encodeModel(b.graph);
}

/** A model of one input and one operator. */
function simple(dims: Dim[], op: string, type: number = DataType.FLOAT): Uint8Array {
  const b = new Builder(emptyGraph("simple"));
  b.output("out", b.op(op, [b.input("in", type, dims)]));
  return encodeModel(b.graph);
}

/** The declared batch is open, but a constant Reshape inside holds it to one row. */
function hiddenBatch(): Uint8Array {
  const b = new Builder(emptyGraph("hidden"));
  const z = b.input("z", DataType.FLOAT, ["batch", 6]);
  const weights = b.constant(numbers(1, 6 * 48), [6, 48], DataType.FLOAT);
  b.output("image", b.reshape(b.op("Tanh", [b.op("MatMul", [z, weights])]), [1, 3, 4, 4]));
  b.graph.outputs[0]!.dims = ["batch", 3, 4, 4];
  return encodeModel(b.graph);
}

describe("Tr0n.create", () => {
  afterEach(closeAll);

  it("tells what it found out", async () => {
    const tr0n = await create();
    assert.deepEqual(
      [
        tr0n.latentSize,
        tr0n.conditionSize,
        tr0n.imageShape,
        tr0n.conditionKind,
        tr0n.energy.kind,
        tr0n.translator,
        tr0n.report,
      ],
      [6, 3, [3, 4, 4], "probabilities", "crossEntropy", null, null],
    );
  });

  it("takes encoders for classifiers by their last operator or their output's name", async () => {
    const kind = async (options: Parameters<typeof tinyEncoder>[0]) =>
      (await create(tinyGenerator(), tinyEncoder(options))).energy.kind;
    assert.equal(await kind({ output: "features" }), "cosine");
    assert.equal(await kind({ output: "features", last: "Softmax" }), "crossEntropy");
    assert.equal(await kind({ output: "features", last: "LogSoftmax" }), "crossEntropy");
    assert.equal(await kind({ output: "class_scores" }), "crossEntropy");
  });

  it("gives the same conditions for logits, log-probabilities and probabilities", async () => {
    const conditions = async (last?: "Softmax" | "LogSoftmax") => {
      const tr0n = await create(tinyGenerator(), tinyEncoder({ last }));
      return (await tr0n.encode(await tr0n.drawPrior(5, { seed: 1 }))).data;
    };
    const logits = await conditions();
    close(await conditions("Softmax"), logits, 1e-6);
    close(await conditions("LogSoftmax"), logits, 1e-6);
    close([logits.slice(0, 3).reduce((p, q) => p + q)], [1], 1e-6);
  });

  it("joins generator, stages and encoder as running them one after the other does", async () => {
    const tr0n = await create(tinyGenerator(), tinyEncoder({ image: [1, 6, 6], output: "features" }), {
      preprocess: [stage.resize(6, 6), stage.grayscale(), stage.scale()],
      energy: energy.squaredError(),
    });
    const latents = await tr0n.drawPrior(70, { seed: 2 });
    const images = await tr0n.generate(latents);
    assert.deepEqual(images.shape, [70, 3, 4, 4]);
    const { objective } = tr0n;
    const { image } = await objective.generator.run(latents);
    close(images.data, image!.data, 1e-6);
    const encoded = await tr0n.encode(latents);
    assert.deepEqual(encoded.shape, [70, 3]);
    // Alone and in a crowd: the same bits.
    const alone = await tr0n.encode(tensor(latents.data.slice(69 * 6), [1, 6]));
    assert.equal(bits(alone.data), bits(encoded.data.slice(69 * 3)));
  });

  it("has energies and gradients that agree with finite differences through both models", async () => {
    const tr0n = await create();
    const objective = await tr0n.objective.native(true);
    const z = numbers(5, 12);
    const c = Float32Array.of(0, 1, 0, 0.25, 0.25, 0.5);
    const { energies, gradients } = await objective.evaluate(z, c, 2).promise;
    const plain = await objective.energy(z, c, 2).promise;
    close(plain, energies, 1e-6);
    const p = await tr0n.encode(tensor(z, [2, 6]));
    close([energies[0]!], [-Math.log(p.data[1]!)], 1e-5);
    const h = 1e-2;
    for (let i = 0; i < 12; i++) {
      const [up, down] = [Float32Array.from(z), Float32Array.from(z)];
      up[i]! += h;
      down[i]! -= h;
      const row = Math.floor(i / 6);
      const [high, low] = [
        await objective.energy(up, c, 2).promise,
        await objective.energy(down, c, 2).promise,
      ];
      close([gradients[i]!], [(high[row]! - low[row]!) / (2 * h)], 2e-3, `∂E/∂z[${i}]`);
    }
  });

  it("works with latents that have more than one axis", async () => {
    const flat = await create();
    const spatial = await create(tinyGenerator({ latent: [6, 1, 1] }));
    assert.deepEqual(spatial.objective.latentShape, [6, 1, 1]);
    const latents = await flat.drawPrior(3, { seed: 1 });
    assert.equal(bits((await spatial.generate(latents)).data), bits((await flat.generate(latents)).data));
  });

  for (const [name, g, f, rows] of [
    ["generator", 4, "batch", 4],
    ["encoder", "batch", 4, 4],
    ["generator of one", 1, "batch", 1],
    ["pair of both", 4, 4, 4],
  ] as const)
    it(`works with a batch fixed in the ${name}, giving the same as with an open one`, async () => {
      const open = await create();
      const fixed = await create(tinyGenerator({ batch: g }), tinyEncoder({ batch: f }));
      const latents = await open.drawPrior(rows * 2 + 3, { seed: 1 });
      close((await fixed.encode(latents)).data, (await open.encode(latents)).data, 1e-6);
      close((await fixed.generate(latents)).data, (await open.generate(latents)).data, 1e-6);
      const options = { count: 5, seed: 1, sampler: sampler.mala({ start: "prior", steps: 3 }) } as const;
      const [a, b] = [
        await fixed.sample({ class: [0, 2] }, options),
        await open.sample({ class: [0, 2] }, options),
      ];
      close(a.latents.data, b.latents.data, 1e-4);
    });

  it("finds a batch that an export fixed without declaring it", async () => {
    const hidden = await create(hiddenBatch());
    const open = await create();
    const latents = await open.drawPrior(5, { seed: 1 });
    close((await hidden.generate(latents)).data, (await open.generate(latents)).data, 1e-6);
    close((await hidden.encode(latents)).data, (await open.encode(latents)).data, 1e-6);
    const options = { count: 3, seed: 1, sampler: sampler.mala({ start: "prior", steps: 2 }) } as const;
    close(
      (await hidden.sample({ class: 1 }, options)).energies,
      (await open.sample({ class: 1 }, options)).energies,
      1e-4,
    );
  });

  it("refuses models that do not fit, naming both sides", async () => {
    await rejects(
      create(tinyGenerator(), tinyEncoder({ image: [3, 8, 8] })),
      "ERR_SHAPE_MISMATCH",
      /takes \[\?, 3, 8, 8\], but the generator makes images \[batch, 3, 4, 4\].*stage.resize\(8, 8\)/s,
    );
    await rejects(
      create(tinyGenerator(), tinyEncoder({ image: [1, 4, 4] })),
      "ERR_SHAPE_MISMATCH",
      /grayscale/,
    );
    await rejects(
      create(tinyGenerator(), tinyEncoder({ image: [48] })),
      "ERR_SHAPE_MISMATCH",
      /takes \[\?, 48\], and rows \[batch, 3, 4, 4\] are as many numbers/,
    );
    await rejects(
      create(tinyGenerator(), tinyEncoder(), { preprocess: [stage.resize(5, 5)] }),
      "ERR_SHAPE_MISMATCH",
      /\[batch, 3, 5, 5\] after preprocess/,
    );
    // Its input is declared open, but its weights want 4 × 4: only running it shows that.
    const open = tinyEncoder({ image: [3, "height", "width"] });
    await create(tinyGenerator(), open);
    await rejects(create(tinyGenerator({ image: [3, 6, 6] }), open), "ERR_SHAPE_MISMATCH", /does not accept/);
    await rejects(
      create(tinyGenerator({ image: [1, 4, 4] }), tinyEncoder(), { preprocess: [stage.clip()] }),
      "ERR_SHAPE_MISMATCH",
      /preprocess\[0\]: stage.clip expected images \[batch, 3, height, width\]/,
    );
  });

  it("says which stages would make images fit, or that none can", async () => {
    const fit = (generator: Uint8Array, image: Dim[]) => create(generator, tinyEncoder({ image }));
    const gray = tinyGenerator({ image: [1, 4, 4] });
    for (const [generator, image, message] of [
      [gray, [3, 4, 4], /preprocess: \[stage\.grayscale\(3\)\] makes them fit/],
      [gray, [3, 8, 8], /preprocess: \[stage\.grayscale\(3\), stage\.resize\(8, 8\)\] makes them fit/],
      [
        tinyGenerator(),
        [1, 8, 8],
        /preprocess: \[stage\.grayscale\(\), stage\.resize\(8, 8\)\] makes them fit/,
      ],
      [tinyGenerator(), [3, 8, 4], /preprocess: \[stage\.resize\(8, 4\)\] makes them fit/],
      [tinyGenerator(), [48], /an order that no shape tells.*stage\.reshape\(\[-1\]\).*--transpose 1,2,0/],
      [tinyGenerator(), [47], /takes rows \[47\] and gets rows \[3, 4, 4\]: stage\.reshape/],
      [simple(["n", 6], "Tanh"), [3, 4, 4], /takes rows \[3, 4, 4\] and gets rows \[6\]: stage\.reshape/],
    ] as const)
      await rejects(fit(generator, [...image]), "ERR_SHAPE_MISMATCH", message);
    await create(gray, tinyEncoder({ image: [3, 8, 8] }), {
      preprocess: [stage.grayscale(3), stage.resize(8, 8)],
    });
  });

  it("refuses models that draw random numbers on the way to the output they are used for, and only those", async () => {
    const noisy = (toImage: boolean) => {
      const b = new Builder(emptyGraph("noisy"));
      const z = b.input("z", DataType.FLOAT, ["batch", 48]);
      const image = b.reshape(b.op("Tanh", [z]), [-1, 3, 4, 4]);
      const noise = b.op("RandomNormalLike", [image]);
      b.output("image", toImage ? b.op("Add", [image, noise]) : image);
      b.graph.outputs[0]!.dims = ["batch", 3, 4, 4];
      b.output("noise", noise);
      b.graph.outputs[1]!.dims = ["batch", 3, 4, 4];
      return encodeModel(b.graph);
    };
    const options = { generatorOutput: "image" };
    await rejects(
      create(noisy(true), tinyEncoder(), options),
      "ERR_MODEL_UNSUPPORTED",
      /generator: .*RandomNormalLike.*fixed noise/,
    );
    await create(noisy(false), tinyEncoder(), options);
  });

  it("refuses the cosine and the cross-entropy of an encoder that gives one number", async () => {
    const make = (kind: Tr0nOptions["energy"]) =>
      create(tinyGenerator(), tinyEncoder({ classes: 1 }), { energy: kind });
    await rejects(make(energy.cosine()), "ERR_SHAPE_MISMATCH", /gives 1 number.*squaredError/);
    await rejects(make(energy.crossEntropy()), "ERR_SHAPE_MISMATCH", /two classes or more.*squaredError/);
    await make(energy.squaredError());
  });

  it("refuses latents that do not fit the generator", async () => {
    const bad = (l: Tr0nOptions["latent"]) => create(tinyGenerator(), tinyEncoder(), { latent: l });
    await rejects(bad(latent.normal(7)), "ERR_SHAPE_MISMATCH", /expected 6 dimensions.* got 7/);
    await rejects(bad(wrong({ kind: "normal" })), "ERR_INVALID_ARGUMENT", /dim/);
    await rejects(bad(wrong("normal")), "ERR_INVALID_ARGUMENT", /latent/);
    const open = simple(["n", "d"], "Tanh");
    const encoder = tinyEncoder({ image: ["pixels"], classes: 3 });
    await rejects(create(open, encoder), "ERR_SHAPE_MISMATCH", /does not tell the latent's size/);
    const fine = await create(open, encoder, { latent: latent.uniform(4) });
    assert.deepEqual([fine.latentSize, fine.imageShape], [4, [4]]);
  });

  it("refuses models with more inputs, other types or no batch", async () => {
    await rejects(
      create(twoInputs()),
      "ERR_INVALID_ARGUMENT",
      /generator: expected a model with one input, got 2.*z float32 \[\?, 6\], y float32 \[\?, 6\]/,
    );
    await rejects(
      create(tinyGenerator(), twoInputs()),
      "ERR_INVALID_ARGUMENT",
      /encoder: expected a model with one input/,
    );
    await rejects(
      create(simple([6], "Tanh")),
      "ERR_SHAPE_MISMATCH",
      /expected an input \[batch, …\], got \[6\]/,
    );
    await rejects(
      create(simple(["n", 6], "Neg", DataType.INT32)),
      "ERR_MODEL_UNSUPPORTED",
      /float32 input, got int32/,
    );
    await rejects(create(simple(["n", 6], "Log")), "ERR_RUN_FAILED", /not finite/);
  });

  it("refuses options that make no sense", async () => {
    const make = (options: object) => create(tinyGenerator(), tinyEncoder(), options);
    await rejects(Tr0n.create(wrong(undefined)), "ERR_INVALID_ARGUMENT");
    await rejects(
      make({ generator: "g.onnx" }),
      "ERR_INVALID_ARGUMENT",
      /generator: expected a Model from loadModel\(\), got "g.onnx"/,
    );
    await rejects(make({ encoder: {} }), "ERR_INVALID_ARGUMENT", /encoder/);
    await rejects(
      make({ encoderOutput: "more" }),
      "ERR_INVALID_ARGUMENT",
      /encoderOutput: expected one of "logits", got "more"/,
    );
    await rejects(make({ generatorOutput: 1 }), "ERR_INVALID_ARGUMENT", /generatorOutput/);
    await rejects(make({ enery: energy.cosine() }), "ERR_INVALID_ARGUMENT", /unknown option "enery"/);
    await rejects(make({ energy: energy.prior() }), "ERR_INVALID_ARGUMENT", /only prior terms/);
    await rejects(make({ energy: "cosine" }), "ERR_INVALID_ARGUMENT", /energy: expected an energy/);
    await rejects(make({ preprocess: stage.clamp() }), "ERR_INVALID_ARGUMENT", /preprocess/);
    await rejects(make({ augment: {} }), "ERR_INVALID_ARGUMENT", /augment: expected an augmentation/);
    await rejects(make({ device: "cuda:99" }), "ERR_DEVICE_UNAVAILABLE");
    await rejects(make({ seed: -1 }), "ERR_INVALID_ARGUMENT", /seed/);
    await rejects(make({ maxBatch: 0 }), "ERR_INVALID_ARGUMENT", /maxBatch/);
    await rejects(make({ translator: { components: 0 } }), "ERR_INVALID_ARGUMENT", /translator.components/);
    await rejects(make({ translator: { layers: 3 } }), "ERR_INVALID_ARGUMENT", /"layers"/);
    const covariance = tensor(new Float32Array(4), [2, 2]);
    await rejects(
      make({ translator: { conditionNoise: { kind: "covariance", covariance } } }),
      "ERR_SHAPE_MISMATCH",
      /\[3, 3\]/,
    );
    await rejects(
      create(tinyGenerator(), tinyEncoder({ last: "Sigmoid" })),
      "ERR_INVALID_ARGUMENT",
      /ends in Sigmoid/,
    );
    await rejects(
      make({ pairEncoder: await load(tinyEncoder({ classes: 4 })) }),
      "ERR_SHAPE_MISMATCH",
      /3 numbers as the encoder gives, got 4/,
    );
    await rejects(make({ pairEncoder: {} }), "ERR_INVALID_ARGUMENT", /pairEncoder/);
    await rejects(make({ signal: AbortSignal.abort() }), "ERR_ABORTED");
    const gone = await loadModel(tinyGenerator());
    gone[Symbol.dispose]();
    await rejects(make({ generator: gone }), "ERR_DISPOSED");
  });

  it("works without gradients where the sampler needs none, and names the operator where it does", async () => {
    const b = new Builder(emptyGraph("blocked"));
    const z = b.input("z", DataType.FLOAT, ["batch", 4]);
    // Rows lie along the channels, of which one region is taken.
    const region = b.constant([0, 0, 2, 2], [1, 4], DataType.FLOAT);
    const pooled = b.op("RoiAlign", [b.reshape(z, [1, -1, 2, 2]), region, b.ints([0])], {
      output_height: 1,
      output_width: 1,
    });
    const scale = b.reshape(pooled, [-1, 1]);
    b.output("image", b.op("Mul", [z, b.op("Tanh", [scale])]));
    b.graph.outputs[0] = { name: "image", elemType: DataType.FLOAT, dims: ["batch", 4] };
    const tr0n = await create(encodeModel(b.graph), tinyEncoder({ image: [4] }));
    const { pilot } = await tr0n.train({ pairs: 200, epochs: 1, seed: 1 });
    assert.deepEqual(pilot.stepSizes, []);
    assert.match(pilot.skipped!, /RoiAlign/);
    const { images } = await tr0n.sample({ class: 1 }, { count: 3, steps: 0 });
    assert.deepEqual(images.shape, [3, 4]);
    await rejects(tr0n.sample({ class: 1 }), "ERR_NO_GRADIENT", /RoiAlign/);
    await tr0n.sample({ class: 1 }, { sampler: sampler.direct() });
  });

  it("leaves nothing behind after dispose(), nor after a failure", async () => {
    const before = countObjects();
    const tr0n = await create();
    await tr0n.train({ pairs: 200, epochs: 1 });
    await tr0n.sample({ class: 1 });
    await rejects(create(tinyGenerator(), tinyEncoder({ image: [3, 8, 8] })), "ERR_SHAPE_MISMATCH");
    closeAll();
    tr0n.dispose();
    await assertNoMore(before);
    await rejects(tr0n.sample({ class: 1 }), "ERR_DISPOSED");
    await rejects(tr0n.train(), "ERR_DISPOSED");
    await rejects(tr0n.save("t.safetensors"), "ERR_DISPOSED");
    await rejects(tr0n.sampleSteps({ class: 1 }).next(), "ERR_DISPOSED");
  });
});
