/** Files that declare shapes wrongly: what runs counts, and names of axes are labels. */
import assert from "node:assert/strict";
import type { Decision } from "../../lib/base/decisions.js";
import { tensor, Tr0n, type ModelOptions, type Tr0nOptions } from "../../lib/index.js";
import { Builder, DataType, emptyGraph, encodeModel, type Dim, type Graph } from "../../lib/onnx/index.js";
import { runJob } from "../../lib/native/job.js";
import { keeper } from "../support/keeper.js";
import { close, rejects } from "../support/tiny.js";
import { numbers } from "../support/numbers.js";

const { keep, load, closeAll } = keeper();

/** z [N, 5] → images [N, 3, 4, 6], through values whose names the tests know, and a second output. */
function generator(change: (graph: Graph) => void = () => undefined): Uint8Array {
  const b = new Builder(emptyGraph("g"));
  const z = b.input("z", DataType.FLOAT, ["batch", 5]);
  const weights = b.constant(numbers(1, 5 * 72), [5, 72], DataType.FLOAT);
  const flat = b.op("MatMul", [z, weights]);
  const image = b.op("Tanh", [b.reshape(flat, [-1, 3, 4, 6])]);
  b.output("image", image);
  b.output("flat", b.op("Relu", [flat]));
  b.graph.outputs[0]!.dims = ["batch", 3, 4, 6];
  b.graph.outputs[1]!.dims = ["batch", 72];
  change(b.graph);
  return encodeModel(b.graph);
}

/** images [N, 3, 4, 6] → logits [N, 4]: a convolution, a mean over places, a linear layer. */
function encoder(change: (graph: Graph) => void = () => undefined): Uint8Array {
  const b = new Builder(emptyGraph("f"));
  const x = b.input("x", DataType.FLOAT, ["batch", 3, "height", "width"]);
  const kernel = b.constant(numbers(2, 8 * 27), [8, 3, 3, 3], DataType.FLOAT);
  const seen = b.op("Tanh", [b.op("Conv", [x, kernel], { pads: [1, 1, 1, 1] })]);
  const mean = b.op("Flatten", [b.op("GlobalAveragePool", [seen])], { axis: 1 });
  b.output("logits", b.op("MatMul", [mean, b.constant(numbers(3, 32), [8, 4], DataType.FLOAT)]));
  b.graph.outputs[0]!.dims = ["batch", 4];
  change(b.graph);
  return encodeModel(b.graph);
}

async function create(
  g: Uint8Array,
  f: Uint8Array,
  options: Partial<Tr0nOptions> = {},
): Promise<{ tr0n: Tr0n; told: Decision[] }> {
  const told: Decision[] = [];
  const models = { generator: await load(g), encoder: await load(f) };
  const tr0n = await Tr0n.create({
    ...models,
    onDecision: (decision) => void told.push(decision),
    ...options,
  });
  return { tr0n: keep(tr0n), told };
}

const n = 5;
const condition = Float32Array.from({ length: n * 4 }, (_, i) => (i % 4 === 1 ? 1 : 0));

/** Energies and gradients of latents. */
async function evaluated(tr0n: Tr0n): Promise<{ energies: Float32Array; gradients: Float32Array }> {
  const objective = await tr0n.objective.native(true);
  return runJob("test", undefined, () => objective.evaluate(numbers(9, n * 5), condition, n));
}

/** Every value that the graph's nodes make, declared as `dims` tells. */
function declare(graph: Graph, dims: (rank: number) => Dim[]): void {
  for (const name of graph.nodes.flatMap(({ outputs }) => outputs))
    if (!graph.outputs.some((output) => output.name === name))
      graph.valueInfos.set(name, { name, elemType: DataType.FLOAT, dims: dims(name === "flat" ? 2 : 4) });
}

const inputDims = (graph: Graph, dims: Dim[]): void => void (graph.inputs[0]!.dims = dims);
const outputDims = (graph: Graph, dims: Dim[], index = 0): void => void (graph.outputs[index]!.dims = dims);

describe("declared shapes", () => {
  afterEach(closeAll);

  const encoders: [string, (graph: Graph) => void][] = [
    ["height and width have the batch's name elsewhere", (g) => inputDims(g, ["N", 3, "batch", "batch"])],
    ["all axes have one name", (g) => inputDims(g, ["?", "?", "?", "?"])],
    ["the batch and the height have one name", (g) => inputDims(g, ["N", 3, "N", "width"])],
    ["the sides have one name", (g) => (inputDims(g, ["None", 3, "?", "?"]), outputDims(g, ["None", 4]))],
    ["axes have no names", (g) => inputDims(g, [null, null, null, null])],
    ["the output's batch is 1", (g) => outputDims(g, [1, 4])],
    ["the output's batch has the name of the height", (g) => outputDims(g, ["height", 4])],
    ["the output has other sizes", (g) => outputDims(g, ["batch", 1000])],
    ["the output has another rank", (g) => outputDims(g, ["batch", 4, 1, 1])],
    ["inner values have a batch of 1", (g) => declare(g, () => [1, 8, 4, 6])],
    ["inner values have other sizes", (g) => declare(g, () => ["batch", 8, 9, 9])],
    ["inner values have other ranks", (g) => declare(g, () => ["batch", 8])],
    ["inner values have one name for all", (g) => declare(g, (rank) => Array<Dim>(rank).fill("unk__0"))],
  ];
  for (const [what, change] of encoders)
    it(`an encoder where ${what} is what it computes`, async () => {
      const right = await evaluated((await create(generator(), encoder())).tr0n);
      const { tr0n } = await create(generator(), encoder(change));
      const got = await evaluated(tr0n);
      close(got.energies, right.energies, 1e-6);
      close(got.gradients, right.gradients, 1e-6);
    });

  const generators: [string, (graph: Graph) => void][] = [
    ["the output's batch is 1", (g) => (outputDims(g, [1, 3, 4, 6]), outputDims(g, [1, 72], 1))],
    ["the output's sides are swapped", (g) => outputDims(g, ["batch", 3, 6, 4])],
    ["the output's axes have one name", (g) => outputDims(g, ["?", "?", "?", "?"])],
    ["the second output has another rank", (g) => outputDims(g, ["batch", 3, 4, 6], 1)],
    ["the second output has another batch", (g) => outputDims(g, [7, 72], 1)],
    ["inner values have a batch of 1", (g) => declare(g, (rank) => (rank === 2 ? [1, 72] : [1, 3, 4, 6]))],
    ["inner values have other ranks", (g) => declare(g, () => [3])],
  ];
  for (const [what, change] of generators)
    it(`a generator where ${what} is what it computes`, async () => {
      const reference = await create(generator(), encoder());
      const right = await evaluated(reference.tr0n);
      const { tr0n } = await create(generator(change), encoder());
      const got = await evaluated(tr0n);
      close(got.energies, right.energies, 1e-6);
      close(got.gradients, right.gradients, 1e-6);
      // By itself, too, where shapes of cotangents are held against those declared.
      const [model, sound] = [await load(generator(change)), await load(generator())];
      const z = tensor(numbers(4, 15), [3, 5]);
      const seeds = { image: tensor(numbers(5, 216), [3, 3, 4, 6]), flat: tensor(numbers(6, 216), [3, 72]) };
      const [p, q] = [await model.vjp(z, seeds), await sound.vjp(z, seeds)];
      assert.deepEqual(p.gradients["z"], q.gradients["z"]);
      assert.deepEqual(p.outputs, q.outputs);
      for (const { shape } of model.outputs) assert.equal(shape[0], null);
    });

  it("that are wrong are told, with what is wrong; others are not", async () => {
    const { told } = await create(
      generator(),
      encoder((g) => outputDims(g, ["batch", 1000])),
    );
    const [decision] = told.filter(({ value }) => /left aside/.test(value));
    assert.equal(decision?.option, "encoder");
    assert.match(decision.reason, /it declares logits as \[batch, 1000\], where axis 1 is 4/);
    const sound = await create(generator(), encoder());
    assert.deepEqual(
      sound.told.filter(({ value }) => /left aside/.test(value)),
      [],
    );
  });
});

describe("inputShapes of an ONNX model", () => {
  afterEach(closeAll);

  /** latent [N, C, H, W] of which nothing is known → image [N, 3, 2H, 2W] */
  function decoder(dims: Dim[] = ["batch", "channels", "height", "width"]): Uint8Array {
    const b = new Builder(emptyGraph("vae"));
    const z = b.input("sample", DataType.FLOAT, dims);
    const kernel = b.constant(numbers(1, 4 * 3 * 4), [4, 3, 2, 2], DataType.FLOAT);
    b.output("image", b.op("Tanh", [b.op("ConvTranspose", [z, kernel], { strides: [2, 2] })]));
    b.graph.outputs[0]!.dims = ["batch", "channels", "height_out", "width_out"];
    return encodeModel(b.graph);
  }

  it("are sizes by the name of an axis, or by input", async () => {
    const open = await load(decoder());
    const ways: NonNullable<ModelOptions["inputShapes"]>[] = [
      { channels: 4, height: 2, width: 3 },
      { sample: [null, 4, 2, 3] },
      { channels: 4, sample: [null, null, 2, 3] },
    ];
    for (const inputShapes of ways) {
      const model = await load(decoder(), { inputShapes });
      assert.deepEqual(model.inputs[0]!.shape, [null, 4, 2, 3]);
      assert.deepEqual(model.outputs[0]!.shape, [null, 3, 4, 6]);
      const z = tensor(numbers(3, 48), [2, 4, 2, 3]);
      const seed = tensor(numbers(4, 144), [2, 3, 4, 6]);
      const [got, right] = [await model.vjp(z, seed), await open.vjp(z, seed)];
      close(got.outputs["image"]!.data, right.outputs["image"]!.data, 1e-6);
      close(got.gradients["sample"]!.data, right.gradients["sample"]!.data, 1e-6);
      assert.equal(await model.fingerprint(), await open.fingerprint());
      await rejects(model.run(tensor(numbers(3, 32), [2, 4, 2, 2])), "ERR_SHAPE_MISMATCH", /\[\?, 4, 2, 3\]/);
    }
  });

  it("make a generator of a decoder with open sides", async () => {
    const told: Decision[] = [];
    const f = await load(encoder());
    const g = await load(decoder(), { inputShapes: { channels: 4, height: 2, width: 3 } });
    const tr0n = keep(
      await Tr0n.create({ generator: g, encoder: f, onDecision: (decision) => void told.push(decision) }),
    );
    assert.equal(tr0n.latentSize, 24);
    assert.deepEqual(tr0n.imageShape, [3, 4, 6]);
    await tr0n.train({ pairs: 64, epochs: 1, seed: 1 });
    const { energies } = await tr0n.sample({ class: 1 }, { count: 2, steps: 2, seed: 1 });
    assert.ok(energies.every(Number.isFinite));
  });

  it("that are missing are told as code, without those that weights tell", async () => {
    const create_ = async (dims: Dim[]): Promise<Tr0n> =>
      (
        await create(
          decoder(dims),
          encoder((g) => inputDims(g, [null, null, null, null])),
        )
      ).tr0n;
    const told: [Dim[], RegExp][] = [
      [
        ["batch", "channels", "height", "width"],
        /loadModel\(bytes, \{ inputShapes: \{ height: 64, width: 64 \} \}\)/,
      ],
      [["batch", 4, "batch", "width"], /\{ inputShapes: \{ sample: \[null, 4, 64, 64\] \} \}/],
      [[null, null, null, null], /\{ inputShapes: \{ sample: \[null, 4, 64, 64\] \} \}/],
      [
        ["N", 4, "a b", 2],
        /\{ inputShapes: \{ sample: \[null, 4, 64, 2\] \} \}\) with sizes of yours, or pass latent\.normal/,
      ],
    ];
    for (const [dims, message] of told) await rejects(create_(dims), "ERR_SHAPE_MISMATCH", message);
    const f = await load(encoder((g) => inputDims(g, [null, null, null, null])));
    assert.deepEqual(f.inputs[0]!.shape, [null, 3, null, null]);
  });

  it("are refused where they fit no axis and no input", async () => {
    const with_ = (inputShapes: Record<string, number | (number | null)[]>): Promise<unknown> =>
      load(decoder(["batch", 4, "height", "width"]), { inputShapes });
    await rejects(
      with_({ depth: 4 }),
      "ERR_INVALID_ARGUMENT",
      /no axis "depth"; its inputs are sample \[batch, 4, height, width\]/,
    );
    await rejects(with_({ z: [1, 4, 2, 2] }), "ERR_INVALID_ARGUMENT", /no input "z"/);
    await rejects(
      with_({ sample: [null, 3, 2, 2] }),
      "ERR_SHAPE_MISMATCH",
      /inputShapes\.sample: .*got \[null, 3, 2, 2\]/,
    );
    await rejects(
      with_({ sample: [null, 4, 2] }),
      "ERR_SHAPE_MISMATCH",
      /sample \[batch, 4, height, width\]/,
    );
    await rejects(with_({ height: 0 }), "ERR_INVALID_ARGUMENT", /inputShapes\.height/);
  });
});
