/** Quantised generators and encoders in the library: what the gradient of each needs, and that outputs stay those of `run`. */
import assert from "node:assert/strict";
import {
  differentiate,
  differentiateModel,
  energy,
  loadModel,
  sampler,
  tensor,
  Tr0n,
} from "../../lib/index.js";
import { Builder, DataType, emptyGraph, encodeModel } from "../../lib/onnx/index.js";
import { keeper } from "../support/keeper.js";
import { numbers } from "../support/numbers.js";
import { quantisedModel, type QuantisedOptions } from "../support/quantised.js";
import { bits, close, rejects, tinyEncoder, tinyGenerator } from "../support/tiny.js";

const { keep, load, closeAll } = keeper();
const encoder = (what: QuantisedOptions["what"], range = 1): Uint8Array =>
  quantisedModel({ what, inputs: ["batch", 3, 4, 4], size: 48, outputs: [3], range });
const generator = (what: QuantisedOptions["what"]): Uint8Array =>
  quantisedModel({ what, inputs: ["batch", 6], size: 6, outputs: [3, 4, 4], names: ["z", "image"], seed: 9 });
const option = /straightThrough: true \(--straight-through\)/;

describe("quantised models", () => {
  afterEach(closeAll);

  const x = tensor(numbers(5, 2 * 48, -1.3, 1.3), [2, 3, 4, 4]);
  const cotangent = tensor(numbers(6, 6), [2, 3]);

  it("with quantised weights have a gradient like any other", async () => {
    const model = await load(encoder("weights"));
    const { outputs, gradients } = await model.vjp(x, cotangent);
    assert.equal(bits(outputs["logits"]!.data), bits((await model.run(x))["logits"]!.data));
    // Central differences, of a smooth function in float32.
    const at = async (by: number, i: number): Promise<number> => {
      const moved = tensor(
        x.data.map((v, k) => (k === i ? v + by : v)),
        x.shape,
      );
      const { data } = (await model.run(moved))["logits"]!;
      return data.reduce((sum, v, k) => sum + v * cotangent.data[k]!, 0);
    };
    for (const i of [0, 17, 50, 95]) {
      const slope = ((await at(1e-2, i)) - (await at(-1e-2, i))) / 2e-2;
      assert.ok(
        Math.abs(slope - gradients["x"]!.data[i]!) < 1e-4,
        `x[${i}]: ${gradients["x"]!.data[i]}, not ${slope}`,
      );
    }
  });

  for (const what of ["pairs", "dynamic"] as const)
    for (const simplify of [true, false])
      it(`with quantised activations (${what}) have one straight through${simplify ? "" : ", not simplified"}`, async () => {
        const plain = await load(encoder(what), { simplify });
        const error = await rejects(plain.vjp(x, cotangent), "ERR_NO_GRADIENT", option);
        assert.match(error.message, what === "pairs" ? /QuantizeLinear/ : /MatMulInteger/);
        const model = await load(encoder(what), { simplify, straightThrough: true });
        const { outputs, gradients } = await model.vjp(x, cotangent);
        // Rounded as run() rounds, but for what lies within the last bits of a step's middle.
        close(outputs["logits"]!.data, (await model.run(x))["logits"]!.data, 1.01 / 127);
        // Of the same layer on real numbers; the range of "pairs" cuts off what is beyond 1.
        const real = await load(encoder("weights"));
        const { gradients: smooth } = await real.vjp(x, cotangent);
        const inside = x.data.map((v) => (what === "dynamic" || Math.abs(v) < 1 ? 1 : 0));
        const apart = gradients["x"]!.data.map((v, i) => v - inside[i]! * smooth["x"]!.data[i]!);
        const norm = (data: Float32Array): number => Math.hypot(...data);
        assert.ok(
          norm(apart) < 0.05 * norm(smooth["x"]!.data),
          `${norm(apart)} of ${norm(smooth["x"]!.data)}`,
        );
        if (what === "pairs")
          assert.ok(x.data.every((v, i) => Math.abs(v) < 1.01 || gradients["x"]!.data[i] === 0));
      });

  it("serve in a Tr0n, each with the gradient that it was loaded for", async () => {
    const make = async (what: QuantisedOptions["what"], how: { g?: boolean; f?: boolean }): Promise<Tr0n> =>
      keep(
        await Tr0n.create({
          generator: await load(generator(what), { straightThrough: how.g ?? false }),
          encoder: await load(encoder(what, 2), { straightThrough: how.f ?? false }),
          encoderKind: "embedding",
          energy: energy.squaredError(),
          seed: 1,
        }),
      );
    const condition = { embedding: tensor([0.4, -0.2, 0.3], [1, 3]) };
    const sample = async (tr0n: Tr0n) =>
      tr0n.sample(condition, { sampler: sampler.mala({ steps: 3 }), count: 2, seed: 2 });
    for (const [what, how] of [
      ["weights", {}],
      ["weights", { f: true }],
      ["pairs", { g: true, f: true }],
    ] as const) {
      const tr0n = await make(what, how);
      await tr0n.train({ pairs: 64, epochs: 1 });
      const { latents, images } = await sample(tr0n);
      assert.ok(
        latents.data.every(Number.isFinite) && images.shape[0] === 2,
        `${what} ${JSON.stringify(how)}`,
      );
    }
    // One of the two is not enough where both are quantised, and what is said at the start names the model and the option.
    for (const how of [{ g: true }, { f: true }]) {
      const tr0n = await make("pairs", how);
      await tr0n.train({ pairs: 64, epochs: 1 });
      await rejects(sample(tr0n), "ERR_NO_GRADIENT", option);
      await tr0n.sample(condition, { sampler: sampler.resample({ steps: 0 }), count: 1, seed: 2 });
    }
  });

  it("take the option wherever gradients are made, and TorchScript does not", async () => {
    const bytes = encoder("pairs");
    assert.throws(() => differentiate(bytes), { code: "ERR_NO_GRADIENT", message: option });
    assert.ok(differentiate(bytes, { straightThrough: true }).length > bytes.length);
    await rejects(differentiateModel(bytes), "ERR_NO_GRADIENT", option);
    assert.ok((await differentiateModel(bytes, { straightThrough: true })).length > 0);
    await rejects(
      loadModel(bytes, { straightThrough: 1 as never }),
      "ERR_INVALID_ARGUMENT",
      /straightThrough/,
    );
    await rejects(
      loadModel("test/fixtures/torch/dictionary.pt", { straightThrough: true }),
      "ERR_INVALID_ARGUMENT",
      /options\.straightThrough: only for ONNX/,
    );
  });

  it("with scales in half precision are those with the same scales in float32", async () => {
    const model = (elemType: number): Uint8Array => {
      const b = new Builder(emptyGraph("mixed", 21));
      const x = b.op("Cast", [b.input("x", DataType.FLOAT, ["batch", 48])], { to: elemType });
      const steps = Array.from({ length: 3 }, (_, i) => (i + 1) / 512);
      const weights = b.constant(Int8Array.from(numbers(4, 144, -127, 127)), [48, 3], DataType.INT8);
      const scale = b.constant(steps, [3], elemType);
      const product = b.op("MatMul", [x, b.op("DequantizeLinear", [weights, scale], { axis: 1 })]);
      b.output("y", b.op("Cast", [b.op("Tanh", [product])], { to: DataType.FLOAT }));
      return encodeModel(b.graph);
    };
    const flat = tensor(x.data, [2, 48]);
    const [half, single] = [await load(model(DataType.FLOAT16)), await load(model(DataType.FLOAT))];
    const [p, q] = [await half.vjp(flat, cotangent), await single.vjp(flat, cotangent)];
    close(p.outputs["y"]!.data, q.outputs["y"]!.data, 5e-3);
    close(p.gradients["x"]!.data, q.gradients["x"]!.data, 5e-3);
  });

  it("do not touch models without rounding", async () => {
    const [plain, through] = [
      await load(tinyEncoder()),
      await load(tinyEncoder(), { straightThrough: true }),
    ];
    const [p, q] = [await plain.vjp(x, cotangent), await through.vjp(x, cotangent)];
    assert.equal(bits(p.gradients["x"]!.data), bits(q.gradients["x"]!.data));
    const tr0n = keep(
      await Tr0n.create({
        generator: await load(tinyGenerator()),
        encoder: through,
        encoderKind: "embedding",
      }),
    );
    await tr0n.train({ pairs: 64, epochs: 1 });
    const { latents } = await tr0n.sample({ embedding: tensor([1, 0, 0], [1, 3]) }, { count: 1, seed: 1 });
    assert.ok(latents.data.every(Number.isFinite));
  });
});
