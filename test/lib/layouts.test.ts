/** Rows that are images with their channels last, flat images, and what no shape tells. */
import assert from "node:assert/strict";
import { join } from "node:path";
import sharp from "sharp";
import {
  augmentation,
  imageGrid,
  loadModel,
  readImage,
  sampler,
  stage,
  Tr0n,
  writeImages,
  type Decision,
  type Stage,
  type Tr0nOptions,
} from "../../lib/index.js";
import { runJob } from "../../lib/native/job.js";
import { layoutOf, layoutSteps } from "../../lib/base/layout.js";
import { Builder, DataType, emptyGraph, encodeModel } from "../../lib/onnx/index.js";
import { numbers, random } from "../support/numbers.js";
import { bits, close, rejects, withFolder } from "../support/tiny.js";

type Order = "first" | "last" | "flat" | "flat last";
interface Size {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}
const small: Size = { channels: 3, height: 6, width: 5 };

/** z → the same image in whatever order: tanh(W z) as [C, H, W], then moved. */
function generator(order: Order, { channels, height, width }: Size = small): Uint8Array {
  const pixels = channels * height * width;
  const b = new Builder(emptyGraph("generator"));
  const z = b.input("z", DataType.FLOAT, ["batch", 4]);
  const weights = b.constant(numbers(1, 4 * pixels), [4, pixels], DataType.FLOAT);
  let x = b.reshape(b.op("Tanh", [b.op("MatMul", [z, weights])]), [-1, channels, height, width]);
  if (order.endsWith("last")) x = b.op("Transpose", [x], { perm: [0, 2, 3, 1] });
  if (order.startsWith("flat")) x = b.op("Flatten", [x], { axis: 1 });
  b.output("image", x);
  return encodeModel(b.graph);
}

/** The same image in whatever order → the same logits. */
function encoder(order: Order, { channels, height, width }: Size = small, open = false): Uint8Array {
  const pixels = channels * height * width;
  const b = new Builder(emptyGraph("encoder"));
  const [h, w] = open ? ["h", "w"] : [height, width];
  const dims = order.startsWith("flat") ? [pixels] : order === "last" ? [h, w, channels] : [channels, h, w];
  let x = b.input("x", DataType.FLOAT, ["batch", ...dims]);
  if (order === "flat last") x = b.reshape(x, [-1, height, width, channels]);
  if (order.endsWith("last")) x = b.op("Transpose", [x], { perm: [0, 3, 1, 2] });
  x = b.op("Flatten", [x], { axis: 1 });
  b.output("logits", b.op("MatMul", [x, b.constant(numbers(2, 3 * pixels), [pixels, 3], DataType.FLOAT)]));
  return encodeModel(b.graph);
}

const run = { count: 4, seed: 3, sampler: sampler.mala({ start: "prior", steps: 3 }) } as const;

async function create(g: Uint8Array, f: Uint8Array, more: Partial<Tr0nOptions> = {}) {
  const decisions: Decision[] = [];
  const tr0n = await Tr0n.create({
    ...{ generator: await loadModel(g), encoder: await loadModel(f), encoderKind: "logits", seed: 1 },
    ...more,
    onDecision: (decision) => void decisions.push(decision),
  });
  const put = decisions.filter(({ option }) => option === "preprocess").map(({ value }) => value);
  return { tr0n, put, decisions };
}

/** Energies and latents of a run: the same whatever the order of numbers on the way. */
async function sampled(tr0n: Tr0n) {
  const { energies, latents, images } = await tr0n.sample({ class: 1 }, run);
  return { energies, latents: latents.data, images };
}

describe("channels last", () => {
  const gray: Size = { channels: 1, height: 6, width: 5 };
  const cases: [Order, Order, Size, string[]][] = [
    ["last", "first", small, ["stage.transpose([2, 0, 1]) before the encoder"]],
    ["first", "last", small, ["stage.transpose([1, 2, 0]) before the encoder"]],
    ["last", "last", small, []],
    ["flat", "first", gray, ["stage.reshape([1, 6, 5]) before the encoder"]],
    ["flat", "last", gray, ["stage.reshape([6, 5, 1]) before the encoder"]],
    ["first", "flat", gray, ["stage.reshape([30]) before the encoder"]],
    ["last", "flat", gray, ["stage.reshape([30]) before the encoder"]],
    ["last", "first", gray, ["stage.transpose([2, 0, 1]) before the encoder"]],
  ];
  for (const [from, to, size, told] of cases)
    it(`${size.channels} channels, ${from} → ${to}: found out, told, and the same samples`, async () => {
      const plain = await create(generator("first", size), encoder("first", size));
      const other = await create(generator(from, size), encoder(to, size));
      assert.deepEqual(plain.put, []);
      assert.deepEqual(other.put, told);
      const [expected, got] = [await sampled(plain.tr0n), await sampled(other.tr0n)];
      close(got.energies, expected.energies, 1e-5);
      close(got.latents, expected.latents, 1e-5);
      // Pictures know the layout.
      const { height, width } = imageGrid(expected.images);
      const drawn = imageGrid(got.images);
      assert.deepEqual([drawn.height, drawn.width], [height, width]);
      close(drawn.data, imageGrid(expected.images).data, 1);
      assert.deepEqual(other.tr0n.generatorRange, plain.tr0n.generatorRange);
    });

  it("is put right for a stage that wants channels first, and back for the encoder", async () => {
    const wide: Size = { ...small, height: 9, width: 9 };
    const preprocess = [stage.affine(0.5), stage.resize(9, 9), stage.normalize([0.1, 0.2, 0.3], 1)];
    const plain = await create(generator("first"), encoder("first", wide), { preprocess });
    const other = await create(generator("last"), encoder("last", wide, true), { preprocess });
    assert.deepEqual(other.put, [
      "stage.transpose([2, 0, 1]) before preprocess[1], a stage.resize",
      "stage.transpose([1, 2, 0]) before the encoder",
    ]);
    close((await sampled(other.tr0n)).energies, (await sampled(plain.tr0n)).energies, 1e-5);
  });

  it("goes by the stages that are given, where there are any", async () => {
    const plain = await create(generator("first"), encoder("first"));
    const expected = await sampled(plain.tr0n);
    const given: [Order, Order, Stage[]][] = [
      ["last", "first", [stage.transpose([2, 0, 1])]],
      ["flat", "first", [stage.reshape([3, 6, 5])]],
      ["flat last", "first", [stage.reshape([6, 5, 3]), stage.transpose([2, 0, 1])]],
      ["flat last", "first", [stage.reshape([6, 5, 3])]],
      ["flat", "last", [stage.reshape([3, 6, 5])]],
      ["first", "flat", [stage.reshape([-1])]],
      ["first", "flat last", [stage.transpose([1, 2, 0])]],
      ["last", "flat last", [stage.reshape([-1])]],
    ];
    for (const [from, to, preprocess] of given) {
      const { tr0n } = await create(generator(from), encoder(to), { preprocess });
      const got = await sampled(tr0n);
      close(got.energies, expected.energies, 1e-5, JSON.stringify([from, to, preprocess]));
      const told = from !== "flat" || preprocess.length > 0;
      if (told) close(imageGrid(got.images).data, imageGrid(expected.images).data, 1, from);
    }
  });

  it("asks where flat rows may be in two orders, with the code that says which", async () => {
    const cases: [Order, Order, RegExp][] = [
      [
        "flat",
        "first",
        /reshape\(\[3, 6, 5\]\).*reshape\(\[6, 5, 3\]\).*--reshape 3,6,5, or --reshape 6,5,3/,
      ],
      ["flat", "last", /reshape\(\[3, 6, 5\]\).*reshape\(\[6, 5, 3\]\)/],
      [
        "first",
        "flat",
        /stage.reshape\(\[-1\]\)\].*stage.transpose\(\[1, 2, 0\]\), stage.reshape\(\[-1\]\)\]/,
      ],
      [
        "last",
        "flat",
        /stage.transpose\(\[2, 0, 1\]\), stage.reshape\(\[-1\]\)\].*stage.reshape\(\[-1\]\)\]/,
      ],
    ];
    for (const [from, to, message] of cases)
      await rejects(create(generator(from), encoder(to)), "ERR_SHAPE_MISMATCH", message);
  });

  it("is augmented as images are that have them first", async () => {
    const augment = augmentation.policy({ copies: 2 });
    const plain = await create(generator("first"), encoder("first"), { augment });
    const expected = await sampled(plain.tr0n);
    for (const [from, to, preprocess, told] of [
      ["last", "first", [], ["stage.transpose([2, 0, 1]) before augment"]],
      [
        "last",
        "last",
        [],
        ["stage.transpose([2, 0, 1]) before augment", "stage.transpose([1, 2, 0]) before the encoder"],
      ],
      ["last", "first", [stage.transpose([2, 0, 1])], []],
      ["flat", "first", [stage.reshape([3, 6, 5])], []],
    ] as const) {
      const { tr0n, put } = await create(generator(from), encoder(to), { augment, preprocess });
      assert.deepEqual(put, told);
      const got = await sampled(tr0n);
      close(got.energies, expected.energies, 1e-5, from);
      close(got.latents, expected.latents, 1e-5, from);
    }
    const flat = create(generator("flat"), encoder("flat"), { augment });
    await rejects(flat, "ERR_SHAPE_MISMATCH", /augment: expected a generator of images.*stage.reshape/);
  });

  it("is kept by files, and conditions are made of pictures", async () => {
    await withFolder(async (folder) => {
      const [path, picture] = [join(folder, "t.safetensors"), join(folder, "p.png")];
      const given: [Order, Order, Stage[]][] = [
        ["first", "first", []],
        ["last", "first", []],
        ["flat last", "last", [stage.reshape([6, 5, 3])]],
      ];
      const results = [];
      for (const [from, to, preprocess] of given) {
        const { tr0n } = await create(generator(from), encoder(to), { preprocess, encoderKind: "embedding" });
        if (results.length === 0)
          await writeImages(picture, (await tr0n.sample({ embedding: condition }, run)).images, {
            gap: 0,
            columns: 1,
          });
        await tr0n.train({ pairs: 100, epochs: 1, seed: 1 });
        await tr0n.save(path);
        const told: string[] = [];
        using loaded = await Tr0n.load(path, {
          generator: await loadModel(generator(from)),
          encoder: await loadModel(encoder(to)),
          onDecision: ({ value }) => void told.push(value),
        });
        assert.deepEqual(told, []);
        const { energies, images } = await loaded.sample({ image: picture }, run);
        results.push({ energies, drawn: imageGrid(images).data });
      }
      for (const { energies, drawn } of results) {
        close(energies, results[0]!.energies, 1e-4);
        close(drawn, results[0]!.drawn, 1);
      }
    });
  });
  const condition = { data: Float32Array.of(1, 0, 0), shape: [3] };

  it("is not taken for what it need not be", () => {
    for (const shape of [
      [16, 4, 4],
      [3, 8, 8],
      [1, 8, 3],
      [8, 8, 2],
      [4, 64, 64],
      [8, 8],
      [192],
      [2, 8, 8, 3],
    ])
      assert.notDeepEqual(layoutOf(shape)?.order, [2, 0, 1], String(shape));
    assert.deepEqual(layoutOf([8, 9, 3]), { shape: [8, 9, 3], order: [2, 0, 1] });
  });

  it("is moved to the front and back without loss, whatever the sizes", () => {
    const next = random(4);
    const order = [2, 0, 1] as [number, number, number];
    for (let round = 0; round < 20; round++) {
      const shape = [1, 2, 3].map(() => 1 + Math.floor(next() * 7));
      const [height, width, channels] = shape as [number, number, number];
      const data = numbers(round, 3 * height * width * channels);
      const all = (steps: Generator<undefined, Float32Array>): Float32Array => {
        for (;;) {
          const { done, value } = steps.next();
          if (done) return value;
        }
      };
      const planes = all(layoutSteps(data, { shape, order }));
      const at = [2, channels - 1, height - 1, 0];
      const [n, c, y, x] = at as [number, number, number, number];
      assert.equal(
        planes[((n * channels + c) * height + y) * width + x],
        data[((n * height + y) * width + x) * channels + c],
      );
      assert.equal(bits(all(layoutSteps(planes, { shape, order }, true))), bits(data));
    }
  });
});

describe("pictures of layouts", () => {
  it("are written by the end of the name, whose format they have", async () => {
    await withFolder(async (folder) => {
      const images = { data: numbers(1, 2 * 6 * 5 * 3), shape: [2, 6, 5, 3] };
      const formats = {
        png: "png",
        jpg: "jpeg",
        jpeg: "jpeg",
        webp: "webp",
        gif: "gif",
        tif: "tiff",
        TIFF: "tiff",
        avif: "heif",
      };
      const drawn = imageGrid(images, { gap: 0 });
      for (const [end, format] of Object.entries(formats)) {
        const path = join(folder, `x.${end}`);
        await writeImages(path, images, { gap: 0 });
        const { data, info } = await sharp(path).removeAlpha().raw().toBuffer({ resolveWithObject: true });
        assert.equal((await sharp(path).metadata()).format, format);
        assert.deepEqual([info.width, info.height], [drawn.width, drawn.height]);
        // Noise is the hardest there is for what is no copy.
        const lossless = ["png", "webp", "tif", "TIFF"].includes(end);
        const most = data.reduce((p, x, i) => Math.max(p, Math.abs(x - drawn.data[i]!)), 0);
        assert.ok(lossless ? most === 0 : most < 128, `${end}: ${most}`);
      }
      for (const name of ["x", "x.npy", "x.bmp", "x.png.bak"])
        await rejects(
          writeImages(join(folder, name), images),
          "ERR_INVALID_ARGUMENT",
          /ends in \.png, \.jpg, .*got/,
        );
      const long = { data: new Float32Array(17_000 * 3), shape: [1, 3, 17_000, 1] };
      await rejects(
        writeImages(join(folder, "x.webp"), long),
        "ERR_INVALID_ARGUMENT",
        /at most 16383 pixels a side/,
      );
      await writeImages(join(folder, "x.png"), long);
      // The reader gives channels first.
      assert.deepEqual((await readImage(join(folder, "x.webp"))).shape, [1, 3, drawn.height, drawn.width]);
    });
  });

  it("must be of their rows", async () => {
    const layout = { shape: [6, 5, 3], order: [2, 0, 1] as const };
    const images = { data: new Float32Array(2 * 60), shape: [2, 60], range: [-1, 1] as const, layout };
    await rejects(
      () => imageGrid(images),
      "ERR_SHAPE_MISMATCH",
      /images.layout: expected the shape of rows \[60\]/,
    );
    const signals = { data: new Float32Array(2 * 60), shape: [2, 60] };
    await rejects(() => imageGrid(signals), "ERR_SHAPE_MISMATCH", /got \[2, 60\]/);
  });
});

describe("encoders of bytes", () => {
  /** [N, H, W, 3] → logits: of bytes, or of the same numbers as float32. */
  function ofPixels(elemType: number): Uint8Array {
    const { channels, height, width } = small;
    const pixels = channels * height * width;
    const b = new Builder(emptyGraph("bytes"));
    const x = b.input("pixels", elemType, ["batch", height, width, channels]);
    const real = b.op("Cast", [x], { to: DataType.FLOAT });
    const unit = b.op("Mul", [b.op("Transpose", [real], { perm: [0, 3, 1, 2] }), b.scalar(1 / 255, real)]);
    const weights = b.constant(numbers(2, 3 * pixels), [pixels, 3], DataType.FLOAT);
    b.output("logits", b.op("MatMul", [b.op("Flatten", [b.op("Tanh", [unit])], { axis: 1 }), weights]));
    return encodeModel(b.graph);
  }
  const preprocess = [stage.scale([-1, 1], [0, 255])];
  const load = async (straightThrough: boolean) => loadModel(ofPixels(DataType.UINT8), { straightThrough });
  const generate = () => loadModel(generator("first"));

  it("have the gradient of the identity where the user says so, channels last or not", async () => {
    const told: Decision[] = [];
    const options = { generator: await generate(), preprocess, encoderKind: "logits" } as const;
    const bytes = await Tr0n.create({
      ...{ ...options, encoder: await load(true) },
      onDecision: (decision) => void told.push(decision),
    });
    const real = await Tr0n.create({ ...options, encoder: await loadModel(ofPixels(DataType.FLOAT)) });
    assert.deepEqual(
      told.map(({ option, certain }) => [option, certain]),
      [
        ["preprocess", true],
        ["generatorRange", true],
        ["encoder", true],
      ],
    );
    const gradients = async (tr0n: Tr0n) => {
      const { data } = await tr0n.drawPrior(7, { seed: 5 });
      const c = Float32Array.from({ length: 21 }, (_, i) => (i % 3 === 1 ? 1 : 0));
      const objective = await tr0n.objective.native(true);
      return (await runJob("test", undefined, () => objective.evaluate(data, c, 7))).gradients;
    };
    const [got, expected] = [await gradients(bytes), await gradients(real)];
    const largest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    // The encoder's slope is that at whole pixels.
    close(got, expected, 0.01 * largest);
    const { trace } = await bytes.sample({ class: 1 }, { ...run, count: 64 });
    assert.ok(trace.data.at(-1)! < trace.data[0]! - 0.1, String(trace.data));
  });

  it("have none else, and the refusal names the option", async () => {
    const tr0n = await Tr0n.create({
      ...{ generator: await generate(), encoder: await load(false), preprocess, encoderKind: "logits" },
      onDecision: () => undefined,
    });
    await rejects(
      tr0n.sample({ class: 1 }, run),
      "ERR_NO_GRADIENT",
      /Round.*straightThrough: true \(--straight-through\)/,
    );
  });
});
