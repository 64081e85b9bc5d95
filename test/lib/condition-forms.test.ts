/** Conditions of every form through a Tr0n: images, texts, several at once. */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  Tr0n,
  energy,
  loadModel,
  sampler,
  stage,
  tensor,
  writeImages,
  type Condition,
  type Energy,
  type Model,
  type Tensor,
  type TextFunction,
  type Tr0nOptions,
} from "../../lib/index.js";
import { readImage } from "../../lib/image/read.js";
import { Builder, DataType, emptyGraph, encodeModel } from "../../lib/onnx/index.js";
import { bits, close, rejects, tinyEncoder, tinyGenerator, withFolder } from "../support/tiny.js";
import { numbers } from "../support/numbers.js";

const wrong = (value: unknown) => value as never;
/** Latents of the prior as they are, so that energies of different conditions are those of the same latents. */
const priorDraws = { count: 5, seed: 7, sampler: sampler.direct({ start: "prior" }) };

/** Vectors for words, whatever the energy wants of them. */
const words: Record<string, number[]> = { red: [1, -2, 0.5], seven: [0.25, 0.5, 2], blue: [-1, 0.5, 0.5] };
const asked: string[][] = [];
const texts: TextFunction = async (list) => {
  asked.push([...list]);
  return tensor(
    list.flatMap((text) => words[text] ?? [Number.NaN, 0, 0]),
    [list.length, 3],
  );
};

describe("conditions of every form", () => {
  let generator: Model;
  let encoder: Model;
  let classes: Tr0n;
  let directions: Tr0n;
  const create = (options: Partial<Tr0nOptions> = {}): Promise<Tr0n> =>
    Tr0n.create({ generator, encoder, seed: 1, ...options });
  before(async () => {
    generator = await loadModel(tinyGenerator());
    encoder = await loadModel(tinyEncoder({ scale: 2 }));
    classes = await create();
    directions = await create({ energy: energy.cosine(), textEncoder: texts });
    for (const tr0n of [classes, directions]) await tr0n.train({ pairs: 2000, epochs: 4, batchSize: 64 });
  });
  after(() => {
    for (const item of [classes, directions, generator, encoder]) item[Symbol.dispose]();
  });

  /** f(G(z)) of latents [n, 6], one row each. */
  async function outputs(latents: Tensor): Promise<number[][]> {
    const { logits } = await encoder.run((await generator.run(latents))["image"]!);
    return Array.from({ length: latents.shape[0]! }, (_, i) => [...logits!.data.subarray(3 * i, 3 * i + 3)]);
  }
  const dot = (a: number[], b: number[]): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
  const cosine = (a: number[], b: number[]): number => dot(a, b) / Math.hypot(...a) / Math.hypot(...b);
  const logP = (logits: number[], k: number): number =>
    logits[k]! - Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0));

  describe("several at once", () => {
    it("add up the energies of cosine(), negative weights included, nested too", async () => {
      const condition: Condition = {
        all: [
          { text: "red" },
          { condition: { embedding: tensor(words["seven"]!, [3]) }, weight: 2 },
          {
            condition: { all: [tensor(words["blue"]!, [3]), { condition: { text: "red" }, weight: 0.5 }] },
            weight: -1.5,
          },
        ],
      };
      const { energies, latents } = await directions.sample(condition, priorDraws);
      const f = await outputs(latents);
      const expected = f.map(
        (x) =>
          -cosine(x, words["red"]!) -
          2 * cosine(x, words["seven"]!) +
          1.5 * (cosine(x, words["blue"]!) + 0.5 * cosine(x, words["red"]!)),
      );
      close(energies, expected, 1e-5);
    });

    it("add up the energies of crossEntropy(), and those of weighted sums of energies", async () => {
      using sums = await create({ energy: energy.sum([energy.crossEntropy(), 2], energy.prior(0.5)) });
      const condition: Condition = { all: [{ class: [0, 1] }, { condition: { class: 2 }, weight: -0.5 }] };
      for (const [tr0n, weight] of [
        [classes, 1],
        [sums, 2],
      ] as const) {
        const { energies, latents } = await tr0n.sample(condition, priorDraws);
        const f = await outputs(latents);
        const expected = f.map((x, i) => -weight * (logP(x, i < 5 ? 0 : 1) - 0.5 * logP(x, 2)));
        close(energies, expected, 1e-5);
      }
    });

    it("show the translator what it knows: a distribution, or a direction", async () => {
      const options = { count: 3, seed: 2, sampler: sampler.direct() };
      const two = await classes.sample({ all: [{ class: 0 }, { class: 2 }] }, options);
      const mixture = await classes.sample(tensor([0.5, 0, 0.5], [3]), options);
      assert.equal(bits(two.latents.data), bits(mixture.latents.data));
      close(
        two.energies,
        [...mixture.energies].map((x) => 2 * x),
        1e-5,
      );
      const away = await classes.sample({ all: [{ condition: { class: 1 }, weight: -1 }] }, options);
      assert.equal(bits(away.latents.data), bits(mixture.latents.data));

      const sum = words["red"]!.map(
        (x, i) => x / Math.hypot(...words["red"]!) + words["seven"]![i]! / Math.hypot(...words["seven"]!),
      );
      const both = await directions.sample({ all: [{ text: "red" }, { text: "seven" }] }, options);
      const direction = await directions.sample(tensor(sum, [3]), options);
      close(both.latents.data, direction.latents.data, 1e-5);
      close(
        both.energies,
        [...direction.energies].map((x) => x * Math.hypot(...sum)),
        1e-5,
      );
    });

    it("obey every part, whichever sampler follows the gradient", async () => {
      const condition: Condition = { all: [{ class: 0 }, { condition: { class: 1 }, weight: -1 }] };
      for (const chosen of [
        sampler.resample({ fidelity: 2 }),
        sampler.mala({ fidelity: 2 }),
        sampler.langevin({ fidelity: 2 }),
        sampler.hybrid({ steps: 20, fidelity: 2 }),
      ]) {
        const options = { count: 40, seed: 3, sampler: chosen };
        const mean = ({ energies }: { energies: Float32Array }): number =>
          energies.reduce((sum, x) => sum + x, 0) / energies.length;
        const got = mean(await classes.sample(condition, options));
        const prior = mean(
          await classes.sample(condition, { ...options, sampler: sampler.direct({ start: "prior" }) }),
        );
        assert.ok(got < prior - 1, `${chosen.kind}: ${got}, prior ${prior}`);
      }
    });

    it("are refused where the energy is not linear in them, and for what is no list of conditions", async () => {
      const all: Condition = { all: [tensor([1, 0, 0], [3])] };
      const own = (): Energy => {
        const b = new Builder(emptyGraph("own"));
        const names = ["output", "condition"].map((name) => b.input(name, DataType.FLOAT, ["batch", 3]));
        b.output("energy", b.sum(b.op("Mul", names as [string, string]), [1], true));
        return energy.fromOnnx(encodeModel(b.graph));
      };
      for (const made of [energy.squaredError(), energy.sum(energy.cosine(), energy.squaredError()), own()]) {
        using tr0n = await create({ energy: made });
        await rejects(tr0n.sample(all, priorDraws), "ERR_INVALID_ARGUMENT", /^condition.all: .* linear/);
      }
      const sample = (parts: unknown) => directions.sample({ all: parts } as Condition, priorDraws);
      const bad: [unknown, RegExp][] = [
        [[], /^condition.all: expected an array of at least one condition/],
        [{}, /^condition.all: expected an array/],
        [[7], /^condition.all\[0\]: expected a Tensor or one of .*, got 7/],
        [[{ condition: { text: "red" }, weight: "much" }], /^condition.all\[0\].weight: .* got "much"/],
        [[{ condition: { text: "red" }, wieght: 1 }], /^condition.all\[0\]: unknown option "wieght"/],
        [[{ condition: { class: 1 } }], /^condition.all\[0\].condition.class: classes need/],
        [[{ text: "red" }, { condition: { text: "red" }, weight: -1 }], /cancel each other out/],
      ];
      for (const [parts, message] of bad) await rejects(sample(parts), "ERR_INVALID_ARGUMENT", message);
    });
  });

  it("are one form each, and no other", async () => {
    const bad: [unknown, RegExp][] = [
      [undefined, /^condition: expected a Tensor or one of \{ class \}, .*got undefined/],
      [[1, 0, 0], /an array of length 3/],
      [{}, /got none/],
      [{ class: 1, text: "red" }, /got class and text/],
      [{ txet: "red" }, /got the key "txet"/],
    ];
    for (const [condition, message] of bad)
      await rejects(classes.sample(wrong(condition)), "ERR_INVALID_ARGUMENT", message);
  });

  describe("images", () => {
    it("are what stages and encoder say about them, for a tensor, a batch of one, and files", () =>
      withFolder(async (folder) => {
        using staged = await create({
          energy: energy.cosine(),
          preprocess: [stage.affine(0.5, 0.1)],
          maxBatch: 2,
        });
        const draws = await staged.drawPrior(3, { seed: 4 });
        const images = await staged.generate(draws);
        const encoded = await staged.encode(draws);
        const run = (condition: Condition) => staged.sample(condition, priorDraws);
        const expected = await run(encoded);
        close((await run({ image: images })).energies, expected.energies, 1e-6);
        const first: Tensor = { data: images.data.slice(0, 48), shape: [3, 4, 4] };
        close((await run({ image: first })).energies, expected.energies.slice(0, 5), 1e-6);

        const paths = [join(folder, "a.png"), join(folder, "b.png")];
        for (const path of paths)
          await writeImages(path, tensor(numbers(path.length, 48), [1, 3, 4, 4]), { gap: 0 });
        await writeImages(paths[1]!, tensor(numbers(9, 48), [1, 3, 4, 4]), { gap: 0 });
        const files = await run({ image: paths });
        const one = await readImage(paths[1]!);
        close(files.energies.slice(5), (await run({ image: one })).energies, 1e-6);
        assert.notEqual(bits(files.energies.slice(0, 5)), bits(files.energies.slice(5)));
        close((await run({ image: paths[0]! })).energies, files.energies.slice(0, 5), 1e-6);
      }));

    it("are refused in other shapes, and as files that are none", async () => {
      const sample = (image: unknown) => classes.sample({ image } as Condition);
      await rejects(
        sample(tensor(new Float32Array(32), [1, 2, 4, 4])),
        "ERR_SHAPE_MISMATCH",
        /^condition.image: expected the shape \[B, 3, 4, 4\].* got \[1, 2, 4, 4\]/,
      );
      await rejects(sample(tensor([], [0, 3, 4, 4])), "ERR_INVALID_ARGUMENT", /at least one image/);
      await rejects(
        sample(tensor(new Float32Array(48).fill(Number.NaN), [3, 4, 4])),
        "ERR_INVALID_ARGUMENT",
        /finite/,
      );
      await rejects(sample([]), "ERR_INVALID_ARGUMENT", /at least one image/);
      await rejects(sample(["a.png", 3]), "ERR_INVALID_ARGUMENT", /condition.image\[1\]: expected a path/);
      await rejects(sample("missing.png"), "ERR_IO", /missing\.png/);
    });
  });

  describe("texts", () => {
    it("are what the text encoder says, a row each", async () => {
      asked.length = 0;
      const two = await directions.sample({ text: ["red", "seven"] }, priorDraws);
      assert.deepEqual(asked, [["red", "seven"]]);
      const rows = await directions.sample(
        tensor([...words["red"]!, ...words["seven"]!], [2, 3]),
        priorDraws,
      );
      assert.equal(bits(two.energies), bits(rows.energies));
      const one = await directions.sample({ text: "seven" }, priorDraws);
      close(one.energies, (await directions.sample(tensor(words["seven"]!, [3]), priorDraws)).energies, 1e-6);
      const steps = directions.sampleSteps({ text: "seven" }, { ...priorDraws });
      close((await steps.next()).value!.energies, one.energies, 1e-6);
    });

    it("may be class probabilities where the energy asks for those", async () => {
      const textEncoder: TextFunction = async (list) =>
        tensor(
          list.flatMap(() => [0, 0.25, 0.75]),
          [list.length, 3],
        );
      using tr0n = await create({ textEncoder });
      const got = await tr0n.sample({ text: "two or one" }, priorDraws);
      close(got.energies, (await tr0n.sample(tensor([0, 0.25, 0.75], [3]), priorDraws)).energies, 0);
    });

    it("need an encoder, which must give a row of the right size for each", async () => {
      await rejects(
        classes.sample({ text: "red" }),
        "ERR_INVALID_ARGUMENT",
        /^condition.text: .*textEncoder to Tr0n.create/,
      );
      await rejects(
        create({ textEncoder: wrong("clip") }),
        "ERR_INVALID_ARGUMENT",
        /^textEncoder: .* got "clip"/,
      );
      for (const [text, message] of [
        ["", /^condition.text: expected a text/],
        [[], /at least one text/],
        [["red", 7], /^condition.text\[1\]: .* got 7/],
        ["crimson", /textEncoder's result: expected finite numbers/],
      ] as const)
        await rejects(directions.sample({ text } as Condition, priorDraws), "ERR_INVALID_ARGUMENT", message);
      for (const given of [
        tensor([1, 2], [1, 2]),
        tensor(new Float32Array(6), [2, 3]),
        tensor([1, 2, 3], [1, 1, 3]),
      ]) {
        using tr0n = await create({ textEncoder: async () => given, energy: energy.cosine() });
        await rejects(
          tr0n.sample({ text: "red" }, priorDraws),
          "ERR_SHAPE_MISMATCH",
          /textEncoder's result: expected the shape \[1, 3\]/,
        );
      }
      using broken = await create({ textEncoder: async () => Promise.reject(new RangeError("no quota")) });
      await assert.rejects(broken.sample({ text: "red" }, priorDraws), {
        name: "RangeError",
        message: "no quota",
      });
    });

    it("wait for the encoder no longer than the signal or the Tr0n lives, and tell it", async () => {
      let told: AbortSignal | undefined;
      const textEncoder: TextFunction = (_, options) => {
        told = options!.signal!;
        return new Promise(() => undefined);
      };
      const tr0n = await create({ textEncoder, energy: energy.cosine() });
      const stop = new AbortController();
      const sampling = tr0n.sample({ text: "red" }, { ...priorDraws, signal: stop.signal });
      stop.abort("enough");
      await rejects(sampling, "ERR_ABORTED");
      assert.equal(told!.aborted, true);
      const again = tr0n.sample({ text: "red" }, priorDraws);
      tr0n.dispose();
      await rejects(again, "ERR_DISPOSED");
    });
  });

  describe("interpolation", () => {
    it("goes between texts, between images and between sums as between their embeddings", async () => {
      const options = { ...priorDraws, points: 3 };
      const [red, blue] = [tensor(words["red"]!, [3]), tensor(words["blue"]!, [3])];
      const expected = await directions.interpolate(red, blue, options);
      close(
        (await directions.interpolate({ text: "red" }, { text: "blue" }, options)).energies,
        expected.energies,
        1e-6,
      );
      const draws = await directions.drawPrior(2, { seed: 4 });
      const [images, encoded] = [await directions.generate(draws), await directions.encode(draws)];
      const row = ({ data, shape }: Tensor, i: number): Tensor => {
        const size = data.length / 2;
        return { data: data.slice(i * size, (i + 1) * size), shape: [1, ...shape.slice(1)] };
      };
      close(
        (await directions.interpolate({ image: row(images, 0) }, { image: row(images, 1) }, options))
          .energies,
        (await directions.interpolate(row(encoded, 0), row(encoded, 1), options)).energies,
        1e-5,
      );
      const both: Condition = { all: [{ text: "red" }, { text: "seven" }] };
      const middle = await directions.interpolate(both, both, { ...options, points: 1 });
      close(middle.energies, (await directions.sample(both, priorDraws)).energies, 1e-5);
      await rejects(
        directions.interpolate({ text: ["red", "blue"] }, { text: "red" }),
        "ERR_INVALID_ARGUMENT",
        /from: expected one condition, got 2/,
      );
    });
  });

  it("are there again after load(), with the text encoder given again", () =>
    withFolder(async (folder) => {
      const path = join(folder, "t.safetensors");
      await directions.save(path);
      using loaded = await Tr0n.load(path, { generator, encoder, textEncoder: texts });
      const options = { count: 2, seed: 3 };
      const condition: Condition = { all: [{ text: "red" }, { condition: { text: "blue" }, weight: -1 }] };
      assert.equal(
        bits((await loaded.sample(condition, options)).latents.data),
        bits((await directions.sample(condition, options)).latents.data),
      );
      using silent = await Tr0n.load(path, { generator, encoder });
      await rejects(silent.sample({ text: "red" }), "ERR_INVALID_ARGUMENT", /textEncoder/);
      await rejects(
        Tr0n.load(path, { generator, encoder, textEncoder: wrong({}) }),
        "ERR_INVALID_ARGUMENT",
        /^models.textEncoder/,
      );
    }));
});
