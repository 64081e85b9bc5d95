import assert from "node:assert/strict";
import { Translator, loadModel, tensor, type TranslatorOptions } from "../../lib/index.js";
import { decodeSafetensors, encodeSafetensors } from "../../lib/base/safetensors.js";
import { parameterCount } from "../../lib/translator/shape.js";
import { onDevices } from "../support/devices.js";
import { bits, close, rejects } from "../support/tiny.js";
import { numbers } from "../support/numbers.js";

const c = tensor(numbers(1, 21), [7, 3]);
const z = tensor(numbers(2, 35), [7, 5]);
const y = tensor(numbers(3, 14), [7, 2]);
const shape = { condition: 3, latent: 5, hidden: 9, seed: 1 };
const variants: Record<string, Omit<TranslatorOptions, "condition" | "latent">> = {
  deep: { components: 3, depth: 3, bound: 1.5, auxiliary: 2 },
  deterministic: { deterministic: true, bound: 2, auxiliary: 2 },
  "of a rank": { components: 3, rank: 2, bound: 1.5, auxiliary: 2 },
  "deterministic, of a rank": { deterministic: true, rank: 1 },
  "with stds of each component": { components: 3, stds: "component", bound: 1.5, auxiliary: 2 },
};

onDevices("Variants of the translator", (device) => {
  for (const [name, options] of Object.entries(variants))
    describe(name, () => {
      let translator: Translator;
      beforeEach(() => {
        translator = new Translator({ ...shape, ...options, device });
      });
      afterEach(() => translator.dispose());
      const auxiliary = options.auxiliary ? { y } : {};

      it("has a gradient that finite differences agree with, on the CPU to rounding", async () => {
        // A basis of zeros would hide the gradients of the codes.
        const noisy = Object.entries(translator.values()).map(([name, { data, shape: dims }], index) => {
          const noise = numbers(20 + index, data.length);
          return [
            name,
            tensor(
              data.map((x, i) => x + 0.3 * noise[i]!),
              dims,
            ),
          ] as const;
        });
        translator.setValues(Object.fromEntries(noisy));
        const { loss, gradients } = await translator.loss(z, c, { alpha: 0.5, ...auxiliary });
        using cpu = new Translator({ ...shape, ...options, device: "cpu" });
        cpu.setValues(Object.fromEntries(noisy));
        const expected = await cpu.loss(z, c, { alpha: 0.5, ...auxiliary });
        close([loss], [expected.loss], 1e-6, "loss");
        const values = cpu.values();
        for (const [name, gradient] of Object.entries(gradients)) {
          close(gradient.data, expected.gradients[name]!.data, 1e-5, name);
          // Along the gradient itself, where the difference stands out of float32's rounding.
          const norm = Math.hypot(...gradient.data);
          if (norm < 1e-3) continue;
          const shifted = async (step: number): Promise<number> => {
            const { data, shape: dims } = values[name]!;
            cpu.setValues({
              ...values,
              [name]: tensor(
                data.map((x, i) => x + (step * gradient.data[i]!) / norm),
                dims,
              ),
            });
            return (await cpu.loss(z, c, { alpha: 0.5, ...auxiliary })).loss;
          };
          const slope = ((await shifted(4e-3)) - (await shifted(-4e-3))) / 8e-3;
          assert.ok(Math.abs(slope - norm) < 0.02 * norm + 1e-3, `${name}: ${slope}, ${norm}`);
        }
      });

      it("goes to a file and back, under its names", async () => {
        const bytes = translator.toSafetensors();
        const names = [...decodeSafetensors(bytes, "file").tensors.keys()];
        assert.deepEqual(names.sort(), translator.parameters.map((p) => p.name).sort());
        using back = Translator.fromSafetensors(bytes, { device });
        for (const key of [
          "components",
          "depth",
          "rank",
          "bound",
          "auxiliary",
          "stds",
          "deterministic",
        ] as const)
          assert.equal(back[key], translator[key], key);
        assert.equal(bits(back.native.values()), bits(translator.native.values()));
        assert.deepEqual(back.toSafetensors(), bytes);
        assert.equal(parameterCount(back), back.native.values().length);
      });

      it("trains, and resumes bit for bit", async () => {
        const pairs = { z: tensor(numbers(5, 500), [100, 5]), c: tensor(numbers(6, 300), [100, 3]) };
        const more = options.auxiliary ? { y: tensor(numbers(7, 200), [100, 2]) } : {};
        const settings = { ...pairs, ...more, epochs: 3, batchSize: 32, seed: 9 };
        using trainer = translator.trainer(settings);
        const before = await trainer.heldOutLoss(pairs.z, pairs.c);
        await trainer.run();
        assert.ok((await trainer.heldOutLoss(pairs.z, pairs.c)) < before);
        using other = new Translator({ ...shape, ...options, device });
        using first = other.trainer(settings);
        await first.run(7);
        using third = new Translator({ ...shape, ...options, seed: 2, device });
        using second = third.trainer(settings);
        await second.setState(await first.state());
        await second.run();
        assert.equal(bits(third.native.values()), bits(translator.native.values()));
      });

      it("is the same network as an ONNX model", async () => {
        using model = await loadModel(translator.toOnnx());
        const expected = await translator.forward(c);
        const got = await model.run(c);
        close(got["means"]!.data, expected.means.data, 1e-5, "means");
        assert.deepEqual(got["means"]!.shape, expected.means.shape);
        if (expected.y) close(got["y"]!.data, expected.y.data, 1e-5, "y");
        assert.deepEqual(
          Object.keys(got).sort(),
          [
            "means",
            ...(expected.y ? ["y"] : []),
            ...(translator.deterministic ? [] : ["logits", "stds"]),
          ].sort(),
        );
        if (translator.deterministic) return;
        close(got["logits"]!.data, expected.logits.data, 1e-5, "logits");
        close(got["stds"]!.data, expected.stds.data, 1e-6, "stds");
        assert.deepEqual(got["stds"]!.shape, expected.stds.shape);
      });
    });

  it("deterministic: a point, and no density", async () => {
    using point = new Translator({ ...shape, deterministic: true, device });
    assert.ok(!point.parameters.some(({ name }) => /logits|stds/.test(name)));
    const { means, logits, stds } = await point.forward(c);
    assert.deepEqual(
      [means.shape, [...logits.data], [...stds.data]],
      [[7, 1, 5], Array(7).fill(0), Array(5).fill(0)],
    );
    const draws = await point.sample(c, { count: 2, seed: 4 });
    for (let i = 0; i < 7; i++)
      for (const at of [2 * i, 2 * i + 1])
        assert.deepEqual(draws.data.slice(5 * at, 5 * at + 5), means.data.slice(5 * i, 5 * i + 5));
    const { loss } = await point.loss(z, c);
    close(
      [loss],
      [means.data.reduce((sum, mean, i) => sum + (mean - z.data[i]!) ** 2, 0) / 35],
      1e-6,
      "loss",
    );
    await rejects(
      point.logProb(z, c),
      "ERR_INVALID_ARGUMENT",
      /logProb: a deterministic translator has no density/,
    );
    await rejects(
      () => new Translator({ ...shape, deterministic: true, components: 2, device }),
      "ERR_INVALID_ARGUMENT",
      /components: a deterministic translator has one head.*got 2/,
    );
  });

  it("takes the paper's names of w-space, whoever wrote the file", () => {
    const d = 5;
    const zeros = (...dims: number[]) => tensor(new Float32Array(dims.reduce((p, q) => p * q)), dims);
    const tensors = new Map([
      ["shared1.weight", zeros(9, 3)],
      ["shared1.bias", zeros(9)],
      ["shared2.weight", zeros(9, 9)],
      ["shared2.bias", zeros(9)],
      ["w_layer.weight", zeros(2 * d, 9)],
      ["w_layer.bias", tensor(numbers(1, 2 * d), [2 * d])],
      ["w_mixture_logits.weight", zeros(2, 9)],
      ["w_mixture_logits.bias", zeros(2)],
      ["w_log_stds", zeros(1, 1, d)],
    ]);
    using translator = Translator.fromSafetensors(encodeSafetensors(tensors), { device });
    assert.deepEqual([translator.latent, translator.components], [5, 2]);
    const saved = decodeSafetensors(translator.toSafetensors(), "file").tensors;
    assert.deepEqual(
      [...saved.keys()].sort(),
      [...tensors.keys()].map((name) => name.replace(/^w_/, "z_")).sort(),
    );
    assert.equal(bits(saved.get("z_layer.bias")!.data), bits(tensors.get("w_layer.bias")!.data));
    tensors.set("w_layer.weight", zeros(2 * d + 1, 9));
    assert.throws(
      () => Translator.fromSafetensors(encodeSafetensors(tensors), { device }),
      /"w_layer\.weight" to have a multiple of 2 rows, got 11/,
    );
  });

  it("refuses depths and stds that are none, and options that are unknown", async () => {
    const make = (options: object) => () => new Translator({ ...shape, ...options, device });
    await rejects(make({ depth: 0 }), "ERR_INVALID_ARGUMENT", /depth/);
    await rejects(make({ stds: "own" }), "ERR_INVALID_ARGUMENT", /stds/);
    await rejects(make({ space: "x" }), "ERR_INVALID_ARGUMENT", /space/);
    await rejects(make({ deterministic: 1 }), "ERR_INVALID_ARGUMENT", /deterministic/);
  });

  it("has stds of its own for each component, in file, draws and ONNX", async () => {
    using translator = new Translator({
      ...shape,
      components: 3,
      stds: "component",
      initialLogStd: -0.5,
      device,
    });
    const values = translator.values();
    assert.deepEqual(values["z_log_stds"]!.shape, [1, 3, 5]);
    translator.setValues({ ...values, z_log_stds: tensor(numbers(8, 15), [1, 3, 5]) });
    using back = Translator.fromSafetensors(translator.toSafetensors(), { device });
    assert.equal(back.stds, "component");
    const { logits, means, stds } = await back.forward(c);
    assert.deepEqual(stds.shape, [3, 5]);
    close(
      stds.data,
      numbers(8, 15).map((s) => Math.exp(s) + 1e-6),
      1e-6,
      "stds",
    );
    const logs = await back.logProb(z, c);
    for (let i = 0; i < 7; i++) {
      const weights = [0, 1, 2].map((k) => Math.exp(logits.data[3 * i + k]!));
      const total = weights.reduce((p, q) => p + q);
      const density = weights.reduce((sum, weight, k) => {
        let p = weight / total;
        for (let j = 0; j < 5; j++) {
          const std = stds.data[5 * k + j]!;
          const u = (z.data[5 * i + j]! - means.data[(3 * i + k) * 5 + j]!) / std;
          p *= Math.exp(-0.5 * u * u) / (std * Math.sqrt(2 * Math.PI));
        }
        return sum + p;
      }, 0);
      close([logs[i]!], [Math.log(density)], 1e-5, `pair ${i}`);
    }
    using model = await loadModel(back.toOnnx());
    const got = (await model.run(c))["stds"]!;
    assert.deepEqual(got.shape, [3, 5]);
    close(got.data, stds.data, 1e-6, "ONNX");
  });
});
