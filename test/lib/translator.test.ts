import assert from "node:assert/strict";
import { Translator, tensor } from "../../lib/index.js";
import { decodeSafetensors, encodeSafetensors } from "../../lib/base/safetensors.js";
import { parameterCount } from "../../lib/translator/shape.js";
import { emulator, onDevices } from "../support/devices.js";
import { bits, close, rejects } from "../support/tiny.js";
import { numbers } from "../support/numbers.js";

const c = tensor(numbers(1, 18), [6, 3]);
const z = tensor(numbers(2, 24), [6, 4]);
const wrong = (value: unknown) => value as never;

onDevices("Translator", (device) => {
  const shape = { condition: 3, latent: 4, components: 2, hidden: 5, device };
  let translator: Translator;
  beforeEach(() => {
    translator = new Translator({ ...shape, seed: 1 });
  });
  afterEach(() => translator.dispose());

  it("has the paper's parameters, drawn from its seed", () => {
    assert.deepEqual(Object.fromEntries(translator.parameters.map((p) => [p.name, p.shape])), {
      "shared1.weight": [5, 3],
      "shared1.bias": [5],
      "shared2.weight": [5, 5],
      "shared2.bias": [5],
      "z_layer.weight": [8, 5],
      "z_layer.bias": [8],
      "z_mixture_logits.weight": [2, 5],
      "z_mixture_logits.bias": [2],
      z_log_stds: [1, 1, 4],
    });
    assert.equal(parameterCount(translator), translator.native.values().length);
    using same = new Translator({ ...shape, seed: 1 });
    using other = new Translator({ ...shape, seed: 2 });
    assert.equal(bits(same.native.values()), bits(translator.native.values()));
    assert.notEqual(bits(other.native.values()), bits(translator.native.values()));
    using large = new Translator({ condition: 7, latent: 2, device });
    assert.equal(large.hidden, 28);
    assert.equal(large.components, 10);
  });

  it("agrees with itself: density, mixture and loss", async () => {
    const { logits, means, stds, y } = await translator.forward(c);
    assert.deepEqual([logits.shape, means.shape, stds.shape, y], [[6, 2], [6, 2, 4], [4], null]);
    const expected = Array.from({ length: 6 }, (_, i) => {
      const parts = [0, 1].map((k) => {
        let log = logits.data[2 * i + k]!;
        for (let j = 0; j < 4; j++) {
          const s = stds.data[j]!;
          const u = (z.data[4 * i + j]! - means.data[(2 * i + k) * 4 + j]!) / s;
          log += -0.5 * u * u - Math.log(s) - 0.5 * Math.log(2 * Math.PI);
        }
        return log;
      });
      const total = Math.log(Math.exp(logits.data[2 * i]!) + Math.exp(logits.data[2 * i + 1]!));
      return Math.log(Math.exp(parts[0]!) + Math.exp(parts[1]!)) - total;
    });
    const logs = await translator.logProb(z, c);
    close(logs, expected, 1e-5, "logProb");
    const { loss, gradients } = await translator.loss(z, c);
    close([loss], [-expected.reduce((p, q) => p + q) / 6], 1e-5, "loss");
    assert.deepEqual(
      Object.keys(gradients),
      translator.parameters.map((p) => p.name),
    );
    close([(await translator.loss(z, c, { alpha: 0.5 })).loss], [loss / 2], 1e-5, "alpha");
  });

  it("steps along its gradient with setValues", async () => {
    const before = (await translator.loss(z, c)).loss;
    for (let step = 0; step < 20; step++) {
      const { gradients } = await translator.loss(z, c);
      const values = translator.values();
      for (const [name, value] of Object.entries(values))
        value.data.forEach((x, i) => (value.data[i] = x - 0.02 * gradients[name]!.data[i]!));
      translator.setValues(values);
    }
    assert.ok((await translator.loss(z, c)).loss < before - 0.1);
  });

  it("draws by seed, and the same for a condition alone as among others in its row", async () => {
    const draws = await translator.sample(c, { count: 3, seed: 5 });
    assert.deepEqual(draws.shape, [6, 3, 4]);
    assert.equal(bits((await translator.sample(c, { count: 3, seed: 5 })).data), bits(draws.data));
    assert.notEqual(bits((await translator.sample(c, { count: 3, seed: 6 })).data), bits(draws.data));
    const first = await translator.sample(tensor(c.data.slice(0, 3), [1, 3]), { count: 2, seed: 5 });
    assert.equal(bits(first.data), bits(draws.data.slice(0, 8)));
  });

  it("draws where its parameters are: one more launch than its mixture takes, and what the CPU draws", async () => {
    using onCpu = new Translator({ ...shape, device: "cpu", seed: 1 });
    const draws = await translator.sample(c, { count: 5, seed: 5 });
    close(draws.data, (await onCpu.sample(c, { count: 5, seed: 5 })).data, 1e-5, "draws");
    const launched = async (run: () => Promise<unknown>): Promise<number> => {
      const before = emulator()!.calls("cuLaunchKernel");
      await run();
      return emulator()!.calls("cuLaunchKernel") - before;
    };
    if (device !== "cuda" || !emulator()) return;
    const forward = await launched(() => translator.forward(c));
    assert.ok(forward > 0);
    assert.equal(await launched(() => translator.sample(c, { count: 5, seed: 5 })), forward + 1);
  });

  it("draws component by inverse CDF and μ + σ·ε, in blocks of any size", async () => {
    // More draws than one launch has, of more conditions than one pass takes.
    const many = tensor(numbers(8, 3 * 300), [300, 3]);
    const draws = await translator.sample(many, { count: 40, seed: 2 });
    const row = 299;
    const alone = await translator.sample(many, { count: 41, seed: 2 });
    for (const i of [0, 17, 39])
      assert.equal(
        bits(draws.data.slice((row * 40 + i) * 4, (row * 40 + i + 1) * 4)),
        bits(alone.data.slice((row * 41 + i) * 4, (row * 41 + i + 1) * 4)),
      );
    const { logits, means, stds } = await translator.forward(many);
    let far = 0;
    for (let i = 0; i < 300 * 40; i++) {
      const at = Math.floor(i / 40);
      const nearest = [0, 1].map((k) =>
        Math.max(
          ...[0, 1, 2, 3].map(
            (j) => Math.abs(draws.data[4 * i + j]! - means.data[(2 * at + k) * 4 + j]!) / stds.data[j]!,
          ),
        ),
      );
      if (Math.min(...nearest) > 4.5) far++;
    }
    assert.ok(far < 5, `${far} of 12,000 draws are far from both components`);
    assert.equal(logits.data.length, 600);
  });

  it("trains with its Trainer, the same however the steps are split", async () => {
    const pairs = { z: tensor(numbers(3, 400), [100, 4]), c: tensor(numbers(4, 300), [100, 3]) };
    const train = async (chunks: number[]): Promise<string> => {
      using fresh = new Translator({ ...shape, seed: 1 });
      using trainer = fresh.trainer({ ...pairs, epochs: 3, batchSize: 32, seed: 9 });
      assert.equal(trainer.steps, 12);
      assert.equal(trainer.stepsPerEpoch, 4);
      for (const chunk of chunks) await trainer.run(chunk);
      assert.equal(trainer.step, 12);
      return bits(fresh.native.values());
    };
    const whole = await train([12]);
    assert.equal(await train([1, 4, 2, 5]), whole);
    using resumed = new Translator({ ...shape, seed: 1 });
    using first = resumed.trainer({ ...pairs, epochs: 3, batchSize: 32, seed: 9 });
    await first.run(5);
    using second = new Translator({ ...shape, seed: 2 });
    using rest = second.trainer({ ...pairs, epochs: 3, batchSize: 32, seed: 9 });
    await rest.setState(await first.state());
    await rest.run();
    assert.equal(bits(second.native.values()), whole);
  });

  it("goes on from what setValues() gave it between two runs, and readers keep what they began with", async () => {
    const pairs = { z: tensor(numbers(3, 400), [100, 4]), c: tensor(numbers(4, 300), [100, 3]) };
    using fresh = new Translator({ ...shape, seed: 1 });
    using trainer = fresh.trainer({ ...pairs, epochs: 3, batchSize: 32, learningRate: 1e-3, seed: 9 });
    await trainer.run(1);
    const flat = Object.entries(fresh.values()).map(
      ([name, value]) => [name, { ...value, data: value.data.fill(0.5) }] as const,
    );
    fresh.setValues(Object.fromEntries(flat));
    await trainer.run(1);
    const after = fresh.native.values();
    assert.ok(after.every((value) => Math.abs(value - 0.5) < 0.01));
    assert.ok(after.some((value) => value !== 0.5));
    // A call under way while steps replace the parameters, and their memory, one at a time.
    const alone = bits((await fresh.forward(pairs.c)).means.data);
    const under = fresh.forward(pairs.c);
    await trainer.run(1);
    await trainer.run(1);
    assert.equal(bits((await under).means.data), alone);
  });

  it("goes to a file and back, its bound with it", async () => {
    using bounded = new Translator({ ...shape, bound: 2, seed: 1 });
    const bytes = bounded.toSafetensors({ note: "mine" });
    assert.equal(decodeSafetensors(bytes, "file").metadata.get("note"), "mine");
    using back = Translator.fromSafetensors(bytes, { device });
    assert.deepEqual(
      [back.condition, back.latent, back.components, back.hidden, back.bound],
      [3, 4, 2, 5, 2],
    );
    assert.equal(bits(back.native.values()), bits(bounded.native.values()));
    assert.equal(bits((await back.forward(c)).means.data), bits((await bounded.forward(c)).means.data));
    using other = Translator.fromSafetensors(bytes, { bound: 0, device });
    assert.equal(other.bound, 0);
  });

  it("refuses files that are no translator's", async () => {
    const tensors = new Map(Object.entries(translator.values()));
    const read = (change: (t: typeof tensors) => void, metadata?: Map<string, string>) => () => {
      const changed = new Map(tensors);
      change(changed);
      return Translator.fromSafetensors(encodeSafetensors(changed, metadata));
    };
    await rejects(
      read((t) => t.delete("shared1.weight")),
      "ERR_FILE_INVALID",
      /a matrix "shared1.weight", got none/,
    );
    await rejects(
      read((t) => t.delete("z_log_stds")),
      "ERR_FILE_INVALID",
      /a tensor "z_log_stds", got none/,
    );
    await rejects(
      read((t) => t.set("more", tensor([1], [1]))),
      "ERR_FILE_INVALID",
      /unexpected tensor "more"/,
    );
    await rejects(
      read((t) => t.set("z_layer.weight", tensor(numbers(1, 35), [7, 5]))),
      "ERR_FILE_INVALID",
      /multiple of 2 rows, got 7/,
    );
    await rejects(
      read((t) => t.set("shared2.bias", tensor(numbers(1, 4), [4]))),
      "ERR_FILE_INVALID",
      /expected the shape \[5\], got \[4\]/,
    );
    const nan = tensor([1, 2, Number.NaN, 4], [1, 1, 4]);
    await rejects(
      read((t) => t.set("z_log_stds", nan)),
      "ERR_FILE_INVALID",
      /got NaN at index 2/,
    );
    await rejects(
      read(() => undefined, new Map([["tr0n.bound", "big"]])),
      "ERR_FILE_INVALID",
      /bound/,
    );
    await rejects(() => Translator.fromSafetensors(new Uint8Array(4)), "ERR_FILE_INVALID");
    await rejects(() => Translator.fromSafetensors(wrong("t.safetensors")), "ERR_INVALID_ARGUMENT");
  });

  it("checks its arguments", async () => {
    const make = (options: object) => () => new Translator({ ...shape, ...options });
    await rejects(make({ condition: 0 }), "ERR_INVALID_ARGUMENT", /condition/);
    await rejects(make({ latent: undefined }), "ERR_INVALID_ARGUMENT", /latent/);
    await rejects(make({ components: 1.5 }), "ERR_INVALID_ARGUMENT", /components/);
    await rejects(make({ bound: -1 }), "ERR_INVALID_ARGUMENT", /bound/);
    await rejects(make({ heads: 2 }), "ERR_INVALID_ARGUMENT", /"heads"/);
    await rejects(make({ device: "cuda:99" }), "ERR_DEVICE_UNAVAILABLE", /^device: "cuda:99"/);
    await rejects(make({ precision: "fp16" }), "ERR_INVALID_ARGUMENT", /precision: .*"fp32", "tf32"/);
    await rejects(make({ hidden: 2 ** 20 }), "ERR_OUT_OF_MEMORY", /smaller `hidden`/);
    await rejects(
      translator.forward(tensor([1, 2], [1, 2])),
      "ERR_SHAPE_MISMATCH",
      /expected the shape \[n, 3\]/,
    );
    await rejects(translator.forward(tensor([], [0, 3])), "ERR_INVALID_ARGUMENT", /at least one row/);
    await rejects(translator.forward(tensor([1, 2, Number.NaN], [1, 3])), "ERR_INVALID_ARGUMENT", /NaN/);
    await rejects(
      translator.logProb(z, tensor([1, 2, 3], [1, 3])),
      "ERR_SHAPE_MISMATCH",
      /as many rows as z has \(6\)/,
    );
    await rejects(translator.loss(z, c, { y: z }), "ERR_INVALID_ARGUMENT", /no auxiliary head/);
    await rejects(translator.sample(c, { count: 0 }), "ERR_INVALID_ARGUMENT", /count/);
    await rejects(translator.sample(c, { count: 1e9 }), "ERR_OUT_OF_MEMORY");
    await rejects(() => translator.setValues({}), "ERR_INVALID_ARGUMENT", /values.shared1.weight/);
    await rejects(
      () => translator.setValues({ ...translator.values(), x: z }),
      "ERR_INVALID_ARGUMENT",
      /unknown parameter "x"/,
    );
    await rejects(
      () => translator.trainer({ z, c: tensor([1, 2, 3], [1, 3]) }),
      "ERR_SHAPE_MISMATCH",
      /as many rows/,
    );
    await rejects(() => translator.trainer({ z, c, batchSize: 0 }), "ERR_INVALID_ARGUMENT", /batchSize/);
    const before = bits(translator.native.values());
    const values = translator.values();
    values["shared1.bias"]!.data[0] = Infinity;
    await rejects(() => translator.setValues(values), "ERR_INVALID_ARGUMENT", /shared1.bias.*Infinity/);
    assert.equal(bits(translator.native.values()), before, "nothing was changed");
  });

  it("has an auxiliary head where one is asked for", async () => {
    using two = new Translator({ ...shape, auxiliary: 2, seed: 1 });
    assert.deepEqual((await two.forward(c)).y!.shape, [6, 2]);
    const y = tensor(numbers(8, 12), [6, 2]);
    const { loss } = await two.loss(z, c, { y, alpha: 1 });
    assert.ok(Number.isFinite(loss));
    await rejects(two.loss(z, c), "ERR_INVALID_ARGUMENT", /y/);
    using back = Translator.fromSafetensors(two.toSafetensors(), { device });
    assert.equal(back.auxiliary, 2);
  });

  it("computes as the CPU does, in either precision", async () => {
    using cpu = new Translator({ ...shape, device: "cpu", seed: 1 });
    using tf32 = new Translator({ ...shape, precision: "tf32", seed: 1 });
    assert.deepEqual([cpu.device, translator.precision, tf32.precision], ["cpu", "fp32", "tf32"]);
    assert.equal(translator.device.startsWith(device), true);
    assert.equal(bits(cpu.native.values()), bits(translator.native.values()));
    const expected = (await cpu.forward(c)).means.data;
    close((await translator.forward(c)).means.data, expected, 1e-5, "fp32");
    close((await tf32.forward(c)).means.data, expected, 4e-3, "tf32");
  });

  it("cannot be used after dispose()", async () => {
    translator.dispose();
    await rejects(translator.forward(c), "ERR_DISPOSED");
    await rejects(() => translator.values(), "ERR_DISPOSED");
  });
});
