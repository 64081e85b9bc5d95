/** Energies as means over augmented copies: the draws, the mean and its gradient, samplers, files. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  augmentation,
  loadModel,
  sampler,
  stage,
  tensor,
  Tr0n,
  type Augmentation,
  type AugmentationOptions,
  type Sampler,
  type Tensor,
  type Tr0nOptions,
} from "../../lib/index.js";
import { augmentGraph, augmentationParameters, nativeAugmentation } from "../../lib/objective/augment.js";
import { conditionRows, conditionStreams } from "../../lib/condition/condition.js";
import { native } from "../../lib/native/binding.js";
import { encodeModel } from "../../lib/onnx/index.js";
import { decodeSafetensors, encodeSafetensors } from "../../lib/base/safetensors.js";
import { keeper } from "../support/keeper.js";
import { bits, close, rejects, tinyEncoder, tinyGenerator, withFolder } from "../support/tiny.js";
import { numbers } from "../support/numbers.js";

const wrong = (value: unknown) => value as never;
const { keep, load, closeAll } = keeper();
const width = augmentationParameters.length;
/** A tiny image leaves little to shift: an eighth of 4 pixels is one. */
const small = augmentation.policy({ copies: 3 });

async function create(options: Partial<Tr0nOptions> = {}): Promise<Tr0n> {
  const generator = options.generator ?? (await load(tinyGenerator()));
  const encoder = options.encoder ?? (await load(tinyEncoder({ scale: 2 })));
  return keep(await Tr0n.create({ augment: small, seed: 1, ...options, generator, encoder }));
}

const draw = (a: Augmentation, shape: number[], seed: number, stream: number, index: number, step: number) =>
  native().drawAugmentation(nativeAugmentation(a, shape), BigInt(seed), stream, index, step);

/** Mean cross-entropy over a chain's copies, put together from its parts; `staged` is what preprocess does. */
async function expected(
  tr0n: Tr0n,
  latent: Tensor,
  condition: ArrayLike<number>,
  parameters: Float32Array,
  staged = (x: number) => x,
): Promise<number> {
  const a = tr0n.augment!;
  using augment = await loadModel(encodeModel(augmentGraph(a, tr0n.imageShape)));
  const image = (await tr0n.generate(latent)).data;
  const shape = [a.copies, ...tr0n.imageShape];
  const images = Float32Array.from({ length: a.copies * image.length }, (_, i) => image[i % image.length]!);
  const { augmented } = await augment.run({
    image: tensor(images, shape),
    parameters: tensor(parameters, [a.copies, width]),
  });
  const encoded = await tr0n.objective.encoder.run(tensor(augmented!.data.map(staged), shape));
  const [scores] = Object.values(encoded) as [Tensor];
  const classes = scores.shape[1]!;
  let sum = 0;
  for (let row = 0; row < a.copies; row++) {
    const own = [...scores.data.slice(row * classes, (row + 1) * classes)];
    const most = Math.max(...own);
    const log = most + Math.log(own.reduce((p, x) => p + Math.exp(x - most), 0));
    own.forEach((x, k) => (sum += condition[k]! * (log - x)));
  }
  return sum / a.copies;
}

describe("augment", () => {
  afterEach(closeAll);

  describe("options", () => {
    it("has the paper's ranges by default", () => {
      assert.deepEqual(augmentation.policy(), {
        kind: "policy",
        copies: 8,
        color: true,
        translation: 0.125,
        resize: [0.8, 1.2],
        cutout: 0.5,
      });
    });

    const bad: [unknown, RegExp][] = [
      [{ copies: 0 }, /copies: expected an integer ≥ 1 and ≤ 4096, got 0/],
      [{ color: 1 }, /color: expected true or false, got 1/],
      [{ translation: 2 }, /translation: expected a finite number ≥ 0 and ≤ 1, got 2/],
      [{ resize: [1.2, 0.8] }, /resize: expected two factors \[low, high\] with low ≤ high/],
      [{ resize: [0, 1] }, /resize\[0\]: expected a finite number ≥ 0.1/],
      [{ resize: true }, /resize: expected false or two factors/],
      [{ cutout: -1 }, /cutout: expected a finite number ≥ 0 and ≤ 1, got -1/],
      [{ rotation: 1 }, /unknown option "rotation"; known are copies, color/],
      [{ color: false, translation: 0, resize: false, cutout: 0 }, /everything is switched off/],
    ];
    for (const [options, message] of bad)
      it(`refuses ${JSON.stringify(options)}`, () =>
        rejects(() => augmentation.policy(wrong(options)), "ERR_INVALID_ARGUMENT", message));

    it("refuses what is no augmentation, and images that have no height and width", async () => {
      await rejects(
        create({ augment: wrong({}) }),
        "ERR_INVALID_ARGUMENT",
        /augment: expected an augmentation/,
      );
      const flat = { generator: await load(tinyGenerator({ image: wrong([48]) })) };
      const encoder = await load(tinyEncoder({ image: [48] }));
      await rejects(
        create({ ...flat, encoder }),
        "ERR_SHAPE_MISMATCH",
        /augment: expected a generator of images/,
      );
    });
  });

  describe("draws", () => {
    const shape = [3, 17, 24];
    const a = augmentation.policy({ copies: 5 });

    it("are functions of seed, stream, chain, step and copy alone", () => {
      const first = draw(a, shape, 7, 3, 9, 4);
      assert.equal(bits(draw(a, shape, 7, 3, 9, 4)), bits(first));
      assert.equal(
        bits(draw(augmentation.policy({ copies: 2 }), shape, 7, 3, 9, 4)),
        bits(first.slice(0, 2 * width)),
      );
      for (const other of [
        [8, 3, 9, 4],
        [7, 2, 9, 4],
        [7, 3, 8, 4],
        [7, 3, 9, 5],
      ] as [number, number, number, number][])
        assert.notEqual(bits(draw(a, shape, ...other)), bits(first));
    });

    it("have the policy's distributions", () => {
      const rows: Record<string, number>[] = [];
      const factors: number[] = [];
      for (let chain = 0; chain < 2000; chain++) {
        const values = draw(a, shape, 1, 0, chain, 0);
        for (let copy = 0; copy < a.copies; copy++)
          rows.push(Object.fromEntries(augmentationParameters.map((p, i) => [p, values[copy * width + i]!])));
        const { scaleY, offsetY, scaleX, offsetX } = rows.at(-1)!;
        for (const row of rows.slice(-a.copies)) assert.equal(row["scaleY"], scaleY, "one factor a draw");
        for (const [side, scale, offset] of [
          [17, scaleY!, offsetY!],
          [24, scaleX!, offsetX!],
        ] as const) {
          const resized = Math.round(side / scale);
          close([scale], [side / resized], 1e-6, "scale");
          close(
            [offset],
            [(0.5 - Math.trunc((side - resized) / 2)) * (side / resized) - 0.5],
            1e-5,
            "offset",
          );
        }
        factors.push(Math.round(24 / scaleX!));
      }
      /** Mean and extremes, and how often each value comes where there are few. */
      const check = (name: string, low: number, high: number, mean: number) => {
        const values = rows.map((row) => row[name]!);
        assert.ok(Math.min(...values) >= low && Math.max(...values) <= high, `${name} in [${low}, ${high}]`);
        const spread = (high - low) / 100;
        assert.ok(
          Math.min(...values) <= low + spread && Math.max(...values) >= high - spread,
          `${name} fills it`,
        );
        close([values.reduce((p, x) => p + x, 0) / values.length], [mean], 1.5 * spread, name);
      };
      check("brightness", -0.5, 0.5, 0);
      check("saturation", 0, 2, 1);
      check("contrast", 0.5, 1.5, 1);
      check("shiftY", -2, 2, 0);
      check("shiftX", -3, 3, 0);
      // An odd cut of 9 of 17 begins at −4 … 12; an even one of 12 of 24 at −6 … 18.
      check("cutoutY", 0, 16, 8);
      check("cutoutX", -0.5, 23.5, 11.5);
      for (const [name, values] of [
        ["shiftX", 7],
        ["cutoutX", 25],
      ] as const) {
        const counts = new Map<number, number>();
        for (const row of rows) counts.set(row[name]!, (counts.get(row[name]!) ?? 0) + 1);
        assert.equal(counts.size, values);
        for (const count of counts.values())
          close([(count * values) / rows.length], [1], 6 * Math.sqrt(values / rows.length), name);
      }
      // ⌊24 r⌋ with r ~ U(0.8, 1.2): 19 comes for r < 20/24 only, 20 … 27 for 1/24 each.
      assert.deepEqual([Math.min(...factors), Math.max(...factors)], [19, 28]);
      const share = (n: number) => factors.filter((f) => f === n).length / factors.length;
      close([share(23)], [1 / 24 / 0.4], 0.025, "share of 23");
      close([share(19)], [(20 / 24 - 0.8) / 0.4], 0.025, "share of 19");
    });
  });

  describe("the energy", () => {
    it("is the mean over the copies of a chain's draw", async () => {
      const tr0n = await create({ preprocess: [stage.affine(0.5, 0.1)] });
      const objective = await tr0n.objective.native(true);
      const z = numbers(5, 4 * 6);
      const c = Float32Array.of(0, 1, 0, 0.25, 0.25, 0.5, 1, 0, 0, 0, 0, 1);
      const energies = await objective.energy(z, c, 4).promise;
      close((await objective.evaluate(z, c, 4).promise).energies, energies, 1e-6);
      const plain = await create({ augment: undefined, preprocess: [stage.affine(0.5, 0.1)] });
      const unvaried = await (await plain.objective.native(false)).energy(z, c, 4).promise;
      for (let row = 0; row < 4; row++) {
        const latent = tensor(z.slice(row * 6, row * 6 + 6), [1, 6]);
        const parameters = draw(small, [3, 4, 4], 0, 0, row, 0);
        const target = c.slice(row * 3, row * 3 + 3);
        const reference = await expected(tr0n, latent, target, parameters, (x) => 0.5 * x + 0.1);
        close([energies[row]!], [reference], 1e-5, `row ${row}`);
        assert.ok(Math.abs(energies[row]! - unvaried[row]!) > 1e-3, "augmentation does something");
      }
    });

    it("has the gradient that finite differences find", async () => {
      const tr0n = await create({ augment: augmentation.policy({ copies: 5 }) });
      const objective = await tr0n.objective.native(true);
      const z = numbers(6, 12);
      const c = Float32Array.of(0, 1, 0, 0.25, 0.25, 0.5);
      const { gradients } = await objective.evaluate(z, c, 2).promise;
      const h = 1e-2;
      for (let i = 0; i < 12; i++) {
        const moved = (by: number) =>
          objective.energy(
            z.map((x, j) => (i === j ? x + by : x)),
            c,
            2,
          ).promise;
        const [up, down] = [await moved(h), await moved(-h)];
        const row = Math.floor(i / 6);
        close([gradients[i]!], [(up[row]! - down[row]!) / (2 * h)], 3e-3, `∂E/∂z[${i}]`);
      }
    });

    it("does not depend on how rows and copies are cut, nor on batches that models were exported for", async () => {
      const z = numbers(7, 7 * 6);
      const c = Float32Array.from({ length: 21 }, (_, i) => (i % 4 === 0 ? 1 : 0));
      const evaluated = async (options: Partial<Tr0nOptions>) => {
        const tr0n = await create({ augment: augmentation.policy({ copies: 5 }), ...options });
        return (await tr0n.objective.native(true)).evaluate(z, c, 7).promise;
      };
      const reference = await evaluated({});
      for (const maxBatch of [1, 3]) {
        const { energies, gradients } = await evaluated({ maxBatch });
        assert.equal(bits(energies), bits(reference.energies));
        assert.equal(bits(gradients), bits(reference.gradients));
      }
      for (const batch of [1, 4]) {
        const encoder = await load(tinyEncoder({ scale: 2, batch }));
        const { energies, gradients } = await evaluated({ encoder });
        close(energies, reference.energies, 1e-6, `batch ${batch}`);
        close(gradients, reference.gradients, 1e-6, `batch ${batch}`);
        const generator = await load(tinyGenerator({ batch }));
        close(
          (await evaluated({ generator, encoder })).gradients,
          reference.gradients,
          1e-6,
          `both ${batch}`,
        );
      }
    });
  });

  describe("samplers", () => {
    const condition = { class: [2, 0, 1] };
    const trained = async (options: Partial<Tr0nOptions> = {}) => {
      const tr0n = await create(options);
      await tr0n.train({ pairs: 400, epochs: 2, seed: 3 });
      return tr0n;
    };
    const samplers: Record<string, Sampler> = {
      resample: sampler.resample({ candidates: 4, maxCandidates: 8, steps: 2 }),
      mala: sampler.mala({ steps: 3 }),
      langevin: sampler.langevin({ steps: 3 }),
      hybrid: sampler.hybrid({ steps: 3 }),
      direct: sampler.direct(),
    };

    for (const [name, chosen] of Object.entries(samplers))
      it(`${name} gives a chain the same bits alone and among others, and the energy of its kept draw`, async () => {
        const tr0n = await trained();
        const o = { sampler: chosen, seed: 11 };
        const whole = await tr0n.sample(condition, { ...o, count: 3 });
        const again = await (await trained({ maxBatch: 2 })).sample(condition, { ...o, count: 3 });
        assert.equal(bits(again.latents.data), bits(whole.latents.data));
        assert.equal(bits(again.energies), bits(whole.energies));
        const alone = await tr0n.sample({ class: 0 }, { ...o, count: 2 });
        assert.equal(bits(alone.latents.data), bits(whole.latents.data.slice(3 * 6, 5 * 6)));
        assert.equal(bits(alone.energies), bits(whole.energies.slice(3, 5)));
        const rows = await conditionRows("condition", { class: 0 }, 3, "probabilities");
        const [stream] = await conditionStreams(rows);
        const latent = tensor(alone.latents.data.slice(6), [1, 6]);
        const parameters = draw(small, [3, 4, 4], 11, stream!, 1, 0);
        close([alone.energies[1]!], [await expected(tr0n, latent, [1, 0, 0], parameters)], 1e-5, "energy");
      });

    it("langevin draws anew in each step, MALA does not", async () => {
      const tr0n = await trained();
      const still = { learningRate: 1e-30, noise: 0, steps: 3 }; // the latent stays where it is
      const energies = async (chosen: Sampler) => {
        const seen: number[] = [];
        const onProgress = (p: { energies: Float32Array }): void => void seen.push(p.energies[0]!);
        const steps = tr0n.sampleSteps({ class: 1 }, { sampler: chosen, seed: 4, onProgress });
        for await (const _ of steps) void _;
        return seen;
      };
      const moving = await energies(sampler.langevin(still));
      assert.equal(moving.length, 4);
      assert.equal(new Set(moving).size, 4);
      const fixed = await energies(sampler.mala({ steps: 3, stepSize: 1e-30, adapt: false }));
      assert.equal(new Set(fixed).size, 1);
    });

    it("is saved with the translator and restored, or replaced", async () => {
      const own = augmentation.policy({
        copies: 2,
        color: false,
        translation: 0.25,
        resize: [0.9, 1],
        cutout: 0,
      });
      const tr0n = await trained({ augment: own });
      await withFolder(async (folder) => {
        const path = join(folder, "t.safetensors");
        await tr0n.save(path);
        const { generator, encoder } = tr0n.objective;
        const o = { sampler: samplers["langevin"]!, seed: 2 };
        const before = await tr0n.sample({ class: 2 }, o);
        const restored = keep(await Tr0n.load(path, { generator, encoder }));
        assert.deepEqual(restored.augment, own);
        assert.equal(bits((await restored.sample({ class: 2 }, o)).latents.data), bits(before.latents.data));
        const without = keep(await Tr0n.load(path, { generator, encoder, augment: null }));
        assert.equal(without.augment, undefined);
        assert.notEqual(
          bits((await without.sample({ class: 2 }, o)).latents.data),
          bits(before.latents.data),
        );
        const other = keep(await Tr0n.load(path, { generator, encoder, augment: small }));
        assert.deepEqual(other.augment, small);
        await rejects(
          Tr0n.load(path, { generator, encoder, augment: wrong(3) }),
          "ERR_INVALID_ARGUMENT",
          /models\.augment: expected an augmentation/,
        );
        const file = decodeSafetensors(new Uint8Array(await readFile(path)), path);
        const config = JSON.parse(file.metadata.get("config")!) as {
          models: { augment: AugmentationOptions };
        };
        config.models.augment.copies = -1;
        const metadata = new Map(file.metadata).set("config", JSON.stringify(config));
        await writeFile(path, encodeSafetensors(file.tensors, metadata));
        await rejects(
          Tr0n.load(path, { generator, encoder }),
          "ERR_FILE_INVALID",
          /copies: expected an integer ≥ 1/,
        );
      });
    });
  });
});
