/** Between which numbers a generator's pixels lie: found out, told, overridden by `generatorRange`, and used. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  Tr0n,
  augmentation,
  energy,
  imageGrid,
  readImage,
  sampler,
  stage,
  tensor,
  writeImages,
  type Decision,
  type Range,
  type Tensor,
  type Tr0nOptions,
} from "../../lib/index.js";
import { decideRange, lookAtValues } from "../../lib/objective/generator-range.js";
import { Builder, DataType, emptyGraph, encodeModel } from "../../lib/onnx/index.js";
import { decodeSafetensors, encodeSafetensors } from "../../lib/base/safetensors.js";
import { outputFacts } from "../../lib/model/torch-summary.js";
import { keeper } from "../support/keeper.js";
import { close, rejects, tinyEncoder, withFolder } from "../support/tiny.js";
import { numbers } from "../support/numbers.js";

const { keep, load, closeAll } = keeper();

type End = (b: Builder, x: string) => string;
const affine =
  (end: End, scale: number, offset: number): End =>
  (b, x) =>
    b.op("Add", [b.op("Mul", [end(b, x), b.scalar(scale, x)]), b.scalar(offset, x)]);
const op =
  (name: string): End =>
  (b, x) =>
    b.op(name, [x]);
const clip =
  (low: number, high: number): End =>
  (b, x) =>
    b.op("Clip", [x, b.scalar(low, x), b.scalar(high, x)]);

/** z [N, 6] → image [N, 3, 8, 8]: a linear layer with numbers of deviation about 1.4, and an end. */
function generator(end: End, image = [3, 8, 8]): Uint8Array {
  const size = image.reduce((p, q) => p * q);
  const b = new Builder(emptyGraph("generator"));
  const weights = b.constant(numbers(1, 6 * size), [6, size], DataType.FLOAT);
  const x = b.op("MatMul", [b.input("z", DataType.FLOAT, ["batch", 6]), weights]);
  b.output("image", end(b, b.reshape(x, [-1, ...image])));
  b.graph.outputs[0]!.dims = ["batch", ...image];
  return encodeModel(b.graph);
}

/** image → (x − mean) / std → logits. */
function normalising(mean: number[], std: number[]): Uint8Array {
  const b = new Builder(emptyGraph("encoder"));
  const x = b.input("x", DataType.FLOAT, ["batch", 3, 8, 8]);
  const constant = (data: number[]): string => b.constant(data, [1, data.length, 1, 1], DataType.FLOAT);
  const normal = b.op("Div", [b.op("Sub", [x, constant(mean)]), constant(std)]);
  const weights = b.constant(numbers(2, 192 * 3), [192, 3], DataType.FLOAT);
  b.output("logits", b.op("MatMul", [b.op("Flatten", [normal], { axis: 1 }), weights]));
  b.graph.outputs[0]!.dims = ["batch", 3];
  return encodeModel(b.graph);
}

const tanh = op("Tanh");
const sigmoid = op("Sigmoid");

async function create(
  end: End,
  options: Partial<Omit<Tr0nOptions, "encoder">> & { encoder?: Uint8Array } = {},
): Promise<Tr0n> {
  const { encoder = tinyEncoder({ image: [3, 8, 8] }), ...rest } = options;
  return keep(
    await Tr0n.create({
      generator: await load(generator(end)),
      encoder: await load(encoder),
      onDecision: () => undefined,
      ...rest,
    }),
  );
}

const told = ({ decisions }: Tr0n, option = "generatorRange"): Decision | undefined =>
  decisions.find((decision) => decision.option === option);

const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

describe("the generator's range", () => {
  afterEach(closeAll);

  const ends: [string, End, Range, boolean, RegExp][] = [
    ["tanh", tanh, [-1, 1], true, /ends in Tanh/],
    ["tanh / 2 + 1/2", affine(tanh, 0.5, 0.5), [0, 1], true, /ends in Tanh and a scale/],
    ["127.5 tanh + 127.5", affine(tanh, 127.5, 127.5), [0, 255], true, /ends in Tanh and a scale/],
    ["sigmoid", sigmoid, [0, 1], true, /ends in Sigmoid/],
    ["255 sigmoid", affine(sigmoid, 255, 0), [0, 255], true, /Sigmoid and a scale/],
    ["2 sigmoid − 1", affine(sigmoid, 2, -1), [-1, 1], true, /Sigmoid and a scale/],
    ["clip to [0, 1]", clip(0, 1), [0, 1], true, /Clip/],
    ["clip to [-1, 1]", clip(-1, 1), [-1, 1], true, /Clip/],
    ["clip to [0, 255]", affine(clip(-1, 1), 127.5, 127.5), [0, 255], true, /Clip/],
    ["3 tanh", affine(tanh, 3, 0), [-3, 3], false, /Tanh/],
    ["no bound, in about [-1, 1]", affine((_b, x) => x, 0.3, 0), [-1, 1], true, /^32 images lie in/],
    [
      "no bound, in about [0, 1]",
      (b, x) => b.op("Mul", [sigmoid(b, x), tanh(b, b.op("Abs", [x]))]),
      [0, 1],
      true,
      /^32 images lie in/,
    ],
    ["no bound, in about [0, 255]", affine((_b, x) => x, 30, 128), [0, 255], true, /^32 images lie in/],
    ["a few numbers under 0", affine((_b, x) => x, 0.12, 0.45), [0, 1], false, /fits none/],
    ["wild numbers", affine((_b, x) => x, 2, 0), [-1, 1], false, /fits none/],
    ["wilder numbers", affine((_b, x) => x, 9, 0), [-1, 1], false, /fits none/],
  ];
  for (const [name, end, range, certain, reason] of ends)
    it(`is found out: ${name}`, async () => {
      const tr0n = await create(end);
      const decision = told(tr0n)!;
      tr0n.generatorRange.forEach((x, i) => assert.ok(Math.abs(x - range[i]!) < 1e-3, decision.value));
      assert.equal(decision.certain, certain, decision.reason);
      assert.match(decision.reason, reason);
      assert.match(decision.reason, /the encoder receives values in \[/);
    });

  it("is what the option says, and nothing is told then", async () => {
    const tr0n = await create(tanh, { generatorRange: [0, 2] });
    assert.deepEqual([tr0n.generatorRange, told(tr0n)], [[0, 2], undefined]);
    for (const wrong of [[1, 0], [0], [0, Number.NaN], "0,1", [0, 1, 2], [1, 1]])
      await rejects(
        create(tanh, { generatorRange: wrong as never }),
        "ERR_INVALID_ARGUMENT",
        /generatorRange/,
      );
  });

  it("is not asked of generators that make no pictures", async () => {
    const g = await load(generator((_b, x) => x, [5]));
    const tr0n = keep(
      await Tr0n.create({
        generator: g,
        encoder: await load(tinyEncoder({ image: [5] })),
        onDecision: () => undefined,
      }),
    );
    assert.equal(told(tr0n), undefined);
  });

  it("says what the encoder receives, behind the stages", async () => {
    const tr0n = await create(sigmoid, { preprocess: [stage.scale([0, 1], [0, 255]), stage.clamp(10, 300)] });
    assert.match(told(tr0n)!.reason, /the encoder receives values in \[10, 255\]/);
  });

  it("goes with images into PNGs, black and white being its ends", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "x.png");
      const latents = tensor(numbers(4, 12, -2, 2), [2, 6]);
      let first: Tensor | undefined;
      for (const end of [tanh, affine(tanh, 0.5, 0.5), affine(tanh, 127.5, 127.5)]) {
        const tr0n = await create(end);
        const images = await tr0n.generate(latents);
        assert.deepEqual(images.range, tr0n.generatorRange);
        await writeImages(path, images, { gap: 0, columns: 1 });
        const picture = await readImage(path);
        first ??= picture;
        // From 0 to 255, and the same picture whatever the range.
        assert.ok(Math.min(...picture.data) < -0.9 && Math.max(...picture.data) > 0.9);
        close(picture.data, first.data, 1.01 * (2 / 255));
      }
    });
    const one = { data: Float32Array.of(0, 0.5, 1), shape: [1, 1, 1, 3], range: [0, 1] as const };
    assert.deepEqual(
      [...imageGrid(one, { gap: 0 }).data].filter((_, i) => i % 3 === 0),
      [0, 128, 255],
    );
    assert.deepEqual(
      [...imageGrid(one, { gap: 0, range: [0, 2] }).data].filter((_, i) => i % 3 === 0),
      [0, 64, 128],
    );
    await rejects(() => imageGrid(one, { range: [1, 0] }), "ERR_INVALID_ARGUMENT", /range/);
  });

  it("goes with samples, those of steps and of interpolations", async () => {
    const tr0n = await create(sigmoid);
    const options = { count: 2, sampler: sampler.direct({ start: "prior" }), seed: 1 } as const;
    assert.deepEqual((await tr0n.sample({ class: 0 }, options)).images.range, [0, 1]);
    assert.deepEqual((await tr0n.interpolate({ class: 0 }, { class: 1 }, options)).images.range, [0, 1]);
    for await (const step of tr0n.sampleSteps({ class: 0 }, options))
      assert.deepEqual(step.images?.range, [0, 1]);
  });

  it("is what pictures are read into, and what tensors of another range are brought to", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "x.png");
      await writeImages(path, tensor(numbers(5, 192), [1, 3, 8, 8]), { gap: 0 });
      const image = await readImage(path);
      assert.deepEqual(image.range, [-1, 1]);
      const bytes = await readImage(path, undefined, { range: [0, 255] });
      close(
        bytes.data,
        image.data.map((x) => (x + 1) * 127.5),
        1e-4,
      );
      const sampling = { sampler: sampler.direct({ start: "prior" }), seed: 1, count: 3 } as const;
      const energies = async (end: End, from: Range): Promise<Float32Array[]> => {
        const tr0n = await create(end, {
          preprocess: [stage.scale(from, [-1, 1])],
          encoder: tinyEncoder({ image: [3, 8, 8], output: "embedding" }),
        });
        const both = [{ image: path }, { image }] as const;
        return Promise.all(both.map(async (c) => (await tr0n.sample(c, sampling)).energies));
      };
      const [expected] = await energies(tanh, [-1, 1]);
      for (const [end, range] of [
        [affine(tanh, 0.5, 0.5), [0, 1]],
        [affine(tanh, 127.5, 127.5), [0, 255]],
      ] as const)
        for (const got of await energies(end, range)) close(got, expected!, 1e-4);
    });
  });

  it("is what stage.clip() and augment take into account: a rescaled generator has the same energies", async () => {
    const latents = numbers(6, 30, -2, 2);
    const condition = Float32Array.from({ length: 15 }, (_, i) => (i % 3 === 0 ? 1 : 0));
    const of = async (end: End, options: Parameters<typeof create>[1]): Promise<Float32Array> => {
      const tr0n = await create(end, options);
      return (await tr0n.objective.native(false)).energy(latents, condition, 5).promise;
    };
    const clipped = { preprocess: [stage.clip({ size: 6 })], encoder: tinyEncoder({ image: [3, 6, 6] }) };
    const expected = await of(tanh, clipped);
    close(await of(affine(tanh, 0.5, 0.5), clipped), expected, 1e-4);
    close(await of(affine(tanh, 127.5, 127.5), clipped), expected, 1e-4);
    // What a stage before made of it counts.
    const twice = { ...clipped, preprocess: [stage.scale([0, 1], [-1, 1]), stage.clip({ size: 6 })] };
    close(await of(affine(tanh, 0.5, 0.5), twice), expected, 1e-4);

    const augment = augmentation.policy({ copies: 3 });
    const sampled = async (end: End, range: Range): Promise<Float32Array> => {
      const tr0n = await create(end, { augment, preprocess: [stage.scale(range, [-1, 1])] });
      const how = { count: 6, seed: 2, sampler: sampler.mala({ start: "prior", steps: 2 }) } as const;
      return (await tr0n.sample({ class: 1 }, how)).energies;
    };
    const varied = await sampled(tanh, [-1, 1]);
    close(await sampled(affine(tanh, 0.5, 0.5), [0, 1]), varied, 1e-3);
    close(await sampled(affine(tanh, 127.5, 127.5), [0, 255]), varied, 1e-3);
  });

  it("is held against what the encoder or a stage is made for, where that is known", async () => {
    const bytes = { mean: imagenet.mean.map((x) => 255 * x), std: imagenet.std.map((x) => 255 * x) };
    const signed = { mean: imagenet.mean.map((x) => 2 * x - 1), std: imagenet.std.map((x) => 2 * x) };
    const cases: [End, number[], number[], RegExp | null][] = [
      [tanh, imagenet.mean, imagenet.std, /stage\.scale\(\[-1, 1\], \[0, 1\]\) before it/],
      [sigmoid, imagenet.mean, imagenet.std, null],
      [
        sigmoid,
        bytes.mean,
        bytes.std,
        /ImageNet.* for values in \[0, 255\]; stage\.scale\(\[0, 1\], \[0, 255\]\)/,
      ],
      [affine(sigmoid, 255, 0), bytes.mean, bytes.std, null],
      [tanh, signed.mean, signed.std, null],
      [sigmoid, signed.mean, signed.std, /stage\.scale\(\[0, 1\], \[-1, 1\]\)/],
      [tanh, [0], [255], /stage\.scale\(\[-1, 1\], \[0, 255\]\)/],
      [tanh, [0.5], [0.5], /stage\.scale\(\[-1, 1\], \[0, 1\]\)/],
      [tanh, [127.5], [127.5], /stage\.scale\(\[-1, 1\], \[0, 255\]\)/],
      [tanh, [-1], [2], null],
      [tanh, [0.1], [0.7], null],
    ];
    for (const [end, mean, std, message] of cases) {
      const tr0n = await create(end, { encoder: normalising(mean, std) });
      const problem = told(tr0n, "preprocess");
      if (message === null) assert.equal(problem, undefined, `${mean}, ${std}`);
      else {
        assert.ok(problem, `${mean}, ${std}`);
        assert.equal(problem.certain, false);
        assert.match(`${problem.value}, because ${problem.reason}`, message);
      }
    }
    // Bytes for an encoder that makes nothing of them first are seldom meant.
    const bytesOf = affine(sigmoid, 255, 0);
    const wide = told(await create(bytesOf), "preprocess")!;
    assert.match(
      `${wide.value}, because ${wide.reason}`,
      /gets values in \[0, 255\].*stage\.scale\(\[0, 255\], \[-1, 1\]\)/,
    );
    assert.equal(
      told(await create(bytesOf, { preprocess: [stage.scale([0, 255])] }), "preprocess"),
      undefined,
    );
    const mended = await create(tanh, {
      encoder: normalising(imagenet.mean, imagenet.std),
      preprocess: [stage.scale([-1, 1], [0, 1])],
    });
    assert.equal(told(mended, "preprocess"), undefined);
    const staged = await create(tanh, { preprocess: [stage.normalize(imagenet.mean, imagenet.std)] });
    assert.match(
      told(staged, "preprocess")!.value,
      /preprocess\[0\], a stage\.normalize, gets values in \[-1, 1\]/,
    );
    const sound = [stage.scale(), stage.normalize(imagenet.mean, imagenet.std)];
    assert.equal(told(await create(tanh, { preprocess: sound }), "preprocess"), undefined);
  });

  it("is in saved files, which load without a word, with the kind", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "t.safetensors");
      const softmax = tinyEncoder({ image: [3, 8, 8], last: "Softmax", output: "p" });
      for (const options of [
        {},
        { generatorRange: [0, 2] as const, encoderKind: "probabilities" as const },
      ]) {
        const saved = await create(affine(tanh, 0.5, 0.5), { encoder: softmax, ...options });
        await saved.train({ pairs: 100, epochs: 1 });
        await saved.save(path);
        const decisions: Decision[] = [];
        const { generator, encoder } = saved.objective;
        const loaded = keep(
          await Tr0n.load(path, { generator, encoder, onDecision: (d) => decisions.push(d) }),
        );
        assert.deepEqual(decisions, []);
        assert.deepEqual(loaded.generatorRange, saved.generatorRange);
        assert.equal(loaded.encoderKind, "probabilities");
        assert.deepEqual(loaded.report!.decisions, saved.decisions);
      }
    });
  });

  it("was [-1, 1] in files of former versions, whose outputs were read by their last operator alone", async () => {
    await withFolder(async (folder) => {
      const [path, old] = [join(folder, "t.safetensors"), join(folder, "old.safetensors")];
      /** The file as the version before wrote it. */
      const former = async (): Promise<void> => {
        const file = decodeSafetensors(new Uint8Array(await readFile(path)), path);
        const config = JSON.parse(file.metadata.get("config")!) as { models: object; training: object };
        for (const name of ["generatorRange", "encoderKind"]) Reflect.deleteProperty(config.models, name);
        Reflect.deleteProperty(config.training, "decisions");
        const metadata = new Map([...file.metadata, ["config", JSON.stringify(config)]]);
        await writeFile(old, encodeSafetensors(file.tensors, metadata));
      };
      const reload = async ({ objective }: Tr0n): Promise<Tr0n> => {
        await former();
        const { generator, encoder } = objective;
        return keep(await Tr0n.load(old, { generator, encoder, onDecision: () => undefined }));
      };
      const twoClasses = new Builder(emptyGraph("two"));
      const x = twoClasses.op("Flatten", [twoClasses.input("x", DataType.FLOAT, ["batch", 3, 8, 8])], {
        axis: 1,
      });
      const w = twoClasses.constant(numbers(2, 192, -0.5, 0.5), [192, 1], DataType.FLOAT);
      const p = twoClasses.op("Sigmoid", [twoClasses.op("MatMul", [x, w])]);
      const q = twoClasses.op("Sub", [twoClasses.scalar(1, p), p]);
      twoClasses.output("probabilities", twoClasses.op("Concat", [q, p], { axis: 1 }));
      twoClasses.graph.outputs[0]!.dims = ["batch", 2];

      const now = await create(sigmoid, { encoder: encodeModel(twoClasses.graph), encoderKind: "logits" });
      await now.train({ pairs: 100, epochs: 1 });
      await now.save(path);
      const then = await reload(now);
      // The pictures' range is found out, and the second softmax that the translator was trained on stays, with a word.
      assert.deepEqual([then.generatorRange, then.encoderKind], [[0, 1], "logits"]);
      assert.match(told(then, "encoderKind")!.reason, /of a version that took them so.*Train it again/);
      assert.deepEqual(then.report!.decisions, []);

      const stages = {
        preprocess: [stage.clip({ size: 6 })],
        encoder: tinyEncoder({ image: [3, 6, 6], last: "Softmax" }),
      };
      const clipped = await create(sigmoid, { ...stages, generatorRange: [-1, 1] });
      await clipped.train({ pairs: 100, epochs: 1 });
      await clipped.save(path);
      const loaded = await reload(clipped);
      assert.deepEqual([loaded.generatorRange, loaded.encoderKind], [[-1, 1], "probabilities"]);
      assert.equal(told(loaded)!.certain, false);
      assert.match(told(loaded)!.reason, /took all generators so/);
      const latents = await clipped.drawPrior(3, { seed: 1 });
      assert.deepEqual((await loaded.encode(latents)).data, (await clipped.encode(latents)).data);
    });
  });

  it("may be said again to load(), but not against the stages that a file was trained with", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "t.safetensors");
      const plain = await create(sigmoid);
      const clipped = await create(sigmoid, {
        preprocess: [stage.clip({ size: 6 })],
        encoder: tinyEncoder({ image: [3, 6, 6] }),
      });
      const reload = async (tr0n: Tr0n, generatorRange: Range): Promise<Tr0n> => {
        await tr0n.train({ pairs: 100, epochs: 1 });
        await tr0n.save(path);
        const { generator, encoder } = tr0n.objective;
        return keep(await Tr0n.load(path, { generator, encoder, generatorRange }));
      };
      assert.deepEqual((await reload(plain, [0, 2])).generatorRange, [0, 2]);
      assert.deepEqual((await reload(clipped, [0, 1])).generatorRange, [0, 1]);
      await rejects(
        reload(clipped, [-1, 1]),
        "ERR_FILE_MISMATCH",
        /stage\.clip\(\) was trained with the generator's range \[0, 1\], but \[-1, 1\] was given/,
      );
      await rejects(reload(plain, [1, 0]), "ERR_INVALID_ARGUMENT", /models\.generatorRange/);
    });
  });

  it("goes with the images that a pairEncoder function gets", async () => {
    let range: Range | undefined;
    const tr0n = await create(sigmoid, {
      energy: energy.squaredError(),
      pairEncoder: async (images) => {
        range = images.range;
        return tensor(new Float32Array(images.shape[0]! * 3), [images.shape[0]!, 3]);
      },
    });
    await tr0n.train({ pairs: 20, epochs: 1 });
    assert.deepEqual(range, [0, 1]);
  });

  it("is known of TorchScript generators by a last tanh or sigmoid", () => {
    const facts = (made: string) =>
      outputFacts(
        { class: "G", widened: 0, parameters: 1, operators: {}, random: null, outputs: { image: made } },
        "image",
      );
    assert.deepEqual(facts("tanh_").bounds, { low: -1, high: 1, tight: true, by: "tanh_" });
    assert.deepEqual(facts("sigmoid").bounds, { low: 0, high: 1, tight: true, by: "sigmoid" });
    assert.equal(facts("mul").bounds, null);
    assert.deepEqual(
      [facts("linear").linear, facts("relu").linear, facts("linear").scaling],
      [true, false, undefined],
    );
  });

  it("looks at numbers from all over an image", () => {
    const data = new Float32Array(2 * 3 * 512 * 512);
    for (let i = 0; i < data.length; i++) data[i] = i % 512 === 500 ? 5 : 0.1;
    const seen = lookAtValues(data, data.length / 2);
    assert.deepEqual([seen.images, Math.fround(seen.min), seen.max], [2, Math.fround(0.1), 5]);
    const { range, certain } = decideRange(null, { images: 8, min: 0, max: 1.02, low: 0, high: 1 });
    assert.deepEqual([range, certain], [[0, 1], true]);
  });
});
