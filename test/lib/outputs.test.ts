/** Samples that are no pictures: signals, tables and films, through library and command line. */
import assert from "node:assert/strict";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import {
  augmentation,
  evaluate,
  loadModel,
  sampler,
  stage,
  Tr0n,
  writeFilms,
  writeNpy,
  writeSafetensors,
  writeWav,
} from "../../lib/index.js";
import { decodeNpy } from "../../lib/base/npy.js";
import { decodeSafetensors } from "../../lib/base/safetensors.js";
import { Builder, DataType, emptyGraph, encodeModel } from "../../lib/onnx/index.js";
import { tr0n as program } from "../support/cli.js";
import { numbers } from "../support/numbers.js";
import { bits, rejects, withFolder } from "../support/tiny.js";

const size = (shape: readonly number[]): number => shape.reduce((p, q) => p * q, 1);

/** z → rows of any shape. */
function generator(row: readonly number[]): Uint8Array {
  const b = new Builder(emptyGraph("generator"));
  const weights = b.constant(numbers(1, 4 * size(row)), [4, size(row)], DataType.FLOAT);
  const z = b.input("z", DataType.FLOAT, ["batch", 4]);
  b.output("y", b.reshape(b.op("Tanh", [b.op("MatMul", [z, weights])]), [-1, ...row]));
  return encodeModel(b.graph);
}

/** Rows → class scores. */
function encoder(row: readonly number[]): Uint8Array {
  const b = new Builder(emptyGraph("encoder"));
  const x = b.op("Flatten", [b.input("x", DataType.FLOAT, ["batch", ...row])], { axis: 1 });
  const weights = b.constant(numbers(2, 3 * size(row)), [size(row), 3], DataType.FLOAT);
  b.output("logits", b.op("MatMul", [x, weights]));
  return encodeModel(b.graph);
}

const rows: Readonly<Record<string, readonly number[]>> = {
  table: [5],
  signal: [1, 40],
  "signal without channels": [40],
  stereo: [2, 30],
  film: [3, 4, 6, 5],
  "gray film": [1, 3, 8, 8],
  features: [16, 4, 4],
};

const models = async (row: readonly number[]) => ({
  generator: await loadModel(generator(row)),
  encoder: await loadModel(encoder(row)),
  encoderKind: "logits" as const,
  onDecision: () => undefined,
  seed: 1,
});

describe("samples that are no pictures", () => {
  for (const [what, row] of Object.entries(rows))
    it(`${what}: trained, sampled step by step, kept and evaluated`, async () => {
      await withFolder(async (folder) => {
        using tr0n = await Tr0n.create(await models(row));
        await tr0n.train({ pairs: 400, epochs: 2 });
        const options = { count: 3, seed: 2, sampler: sampler.mala({ steps: 2 }) } as const;
        const { images, latents } = await tr0n.sample({ class: 1 }, options);
        assert.deepEqual(images.shape, [3, ...row]);
        assert.equal("layout" in images, false);
        let steps = 0;
        for await (const step of tr0n.sampleSteps({ class: 1 }, { ...options, every: 1 })) {
          assert.deepEqual(step.images!.shape, [3, ...row]);
          steps++;
        }
        assert.equal(steps, 3);
        assert.equal(bits((await tr0n.generate(latents)).data), bits(images.data));
        const path = join(folder, "t.safetensors");
        await tr0n.save(path);
        using loaded = await Tr0n.load(
          path,
          await models(row).then(({ generator, encoder }) => ({ generator, encoder })),
        );
        assert.equal(bits((await loaded.sample({ class: 1 }, options)).images.data), bits(images.data));
        const report = await evaluate(tr0n, {
          recipes: [{ name: "direct", sampler: sampler.direct() }],
          ...{ samples: 20, reference: 40, seed: 1 },
        });
        assert.ok(report.rows.length > 0);
      });
    });

  it("are refused by what needs pictures, which says so", async () => {
    const given = await models([1, 40]);
    const make = (more: object) => Tr0n.create({ ...given, ...more });
    await rejects(
      make({ preprocess: [stage.resize(4, 4)] }),
      "ERR_SHAPE_MISMATCH",
      /stage.resize expected images .* got \[batch, 1, 40\]/,
    );
    await rejects(
      make({ preprocess: [stage.clip()] }),
      "ERR_SHAPE_MISMATCH",
      /stage.clip expected images \[batch, 3/,
    );
    await rejects(
      make({ augment: augmentation.policy() }),
      "ERR_SHAPE_MISMATCH",
      /augment: expected a generator of images/,
    );
    using tr0n = await make({ preprocess: [stage.normalize(0.5, 2)] });
    await rejects(
      tr0n.sample({ image: "x.png" }, { sampler: sampler.mala({ start: "prior", steps: 0 }) }),
      "ERR_INVALID_ARGUMENT",
      /expected a generator of images .* got \[1, 40\]; give a Tensor/,
    );
  });
});

describe("files of samples", () => {
  it(".npy: is as NumPy writes it", async () => {
    await withFolder(async (folder) => {
      for (const shape of [[7], [2, 3], [1, 3, 4, 5, 2], []]) {
        const [path, data] = [join(folder, "x.npy"), numbers(1, size(shape))];
        await writeNpy(path, { data, shape });
        const file = await readFile(path);
        const end = 10 + file.readUInt16LE(8);
        assert.equal(file.toString("latin1", 0, 8), "\x93NUMPY\x01\x00");
        // As NumPy writes it, blanks and the last line's end included.
        const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(", ")})`;
        const header = `{'descr': '<f4', 'fortran_order': False, 'shape': ${tuple}, }`;
        assert.equal(file.toString("latin1", 10, end).trimEnd(), header);
        assert.deepEqual([file[end - 1], end % 64, file.length], [0x0a, 0, end + 4 * size(shape)]);
        assert.deepEqual(decodeNpy(file, path), { data, shape });
      }
      await rejects(writeNpy("", { data: new Float32Array(1), shape: [1] }), "ERR_INVALID_ARGUMENT", /path/);
      await rejects(
        writeNpy("x.npy", { data: new Float32Array(2), shape: [1] }),
        "ERR_SHAPE_MISMATCH",
        /tensor/,
      );
    });
  });

  it(".safetensors: has all tensors by their names", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "x.safetensors");
      const [a, b] = [numbers(1, 6), numbers(2, 2)];
      await writeSafetensors(path, { a: { data: a, shape: [2, 3] }, b: { data: b, shape: [2] } });
      const { tensors } = decodeSafetensors(await readFile(path), path);
      assert.deepEqual([...tensors.keys()], ["a", "b"]);
      assert.equal(bits(tensors.get("a")!.data), bits(a));
      await rejects(writeSafetensors(path, { a: 3 as never }), "ERR_INVALID_ARGUMENT", /tensors\.a/);
    });
  });

  /** The fields of a WAV file, read by their places in the format's description. */
  async function wav(path: string) {
    const file = await readFile(path);
    assert.equal(file.toString("latin1", 0, 4) + file.toString("latin1", 8, 16), "RIFFWAVEfmt ");
    assert.equal(file.readUInt32LE(4), file.length - 8);
    assert.equal(file.toString("latin1", 36, 40), "data");
    const [kind, channels, rate] = [file.readUInt16LE(20), file.readUInt16LE(22), file.readUInt32LE(24)];
    const width = file.readUInt16LE(34) / 8;
    assert.equal(file.readUInt32LE(28), rate * channels * width);
    assert.equal(file.readUInt16LE(32), channels * width);
    assert.equal(file.readUInt32LE(40), file.length - 44);
    const count = (file.length - 44) / width;
    const at = (i: number): number =>
      kind === 3 ? file.readFloatLE(44 + 4 * i) : file.readInt16LE(44 + 2 * i);
    return { kind, channels, rate, width, data: Array.from({ length: count }, (_, i) => at(i)) };
  }

  it(".wav: one file for each sound, its channels in turns, limited as whole numbers", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "x.wav");
      const data = Float32Array.of(0, 0.5, 2, 1, -1, -3);
      assert.deepEqual(await writeWav(path, { data, shape: [1, 2, 3] }, { rate: 8000 }), [path]);
      const stereo = await wav(path);
      assert.deepEqual(stereo, {
        ...{ kind: 1, channels: 2, rate: 8000, width: 2 },
        data: [0, 32_767, 16_384, -32_767, 32_767, -32_767],
      });
      const paths = await writeWav(path, { data, shape: [2, 3] }, { rate: 44_100, format: "float32" });
      assert.deepEqual(paths, [join(folder, "x-0.wav"), join(folder, "x-1.wav")]);
      assert.deepEqual(await wav(paths[1]!), {
        kind: 3,
        channels: 1,
        rate: 44_100,
        width: 4,
        data: [1, -1, -3],
      });
      const many = await writeWav(path, { data: new Float32Array(11), shape: [11, 1, 1] }, { rate: 1 });
      assert.deepEqual([many[0], many.at(-1)], [join(folder, "x-00.wav"), join(folder, "x-10.wav")]);
      const shapes: [number[], RegExp][] = [
        [[6], /expected signals \[n, T\]/],
        [[1, 1, 2, 3], /got \[1, 1, 2, 3\]/],
      ];
      for (const [shape, message] of shapes)
        await rejects(writeWav(path, { data, shape }, { rate: 1 }), "ERR_SHAPE_MISMATCH", message);
      const signals = { data, shape: [2, 3] };
      const bad: [Parameters<typeof writeWav>, RegExp][] = [
        [[path, signals, {} as never], /options.rate: expected samples a second/],
        [[path, signals, { rate: 0.5 }], /options.rate/],
        [[path, signals, { rate: 1, format: "mp3" as never }], /options.format/],
        [[join(folder, "x.mp3"), signals, { rate: 1 }], /ends in \.wav/],
        [[path, { data: Float32Array.of(0, NaN), shape: [1, 2] }, { rate: 1 }], /NaN at index 1/],
      ];
      for (const [line, message] of bad) await rejects(writeWav(...line), "ERR_INVALID_ARGUMENT", message);
    });
  });

  it("films: every frame of .gif and .webp, side by side", async () => {
    await withFolder(async (folder) => {
      const [n, frames, height, width] = [2, 3, 6, 5];
      const films = {
        data: numbers(3, n * 3 * frames * height * width),
        shape: [n, 3, frames, height, width],
        range: [-1, 1] as const,
      };
      for (const end of ["webp", "gif"]) {
        const path = join(folder, `x.${end}`);
        await writeFilms(path, films, { gap: 0, columns: 2, rate: 20 });
        const meta = await sharp(path, { animated: true }).metadata();
        assert.deepEqual(
          [meta.pages, meta.pageHeight, meta.width, meta.delay],
          [frames, height, 2 * width, [50, 50, 50]],
        );
        if (end === "gif") continue; // 256 colours
        const data = await sharp(path, { animated: true }).removeAlpha().raw().toBuffer();
        for (const [film, c, t, y, x] of [
          [0, 0, 0, 0, 0],
          [1, 2, 2, 5, 4],
          [0, 1, 1, 3, 2],
        ] as const) {
          const value = films.data[(((film * 3 + c) * frames + t) * height + y) * width + x]!;
          const drawn = data[((t * height + y) * 2 * width + film * width + x) * 3 + c]!;
          assert.ok(Math.abs(drawn - ((value + 1) / 2) * 255) <= 1);
        }
      }
      await rejects(
        writeFilms(join(folder, "x.png"), films),
        "ERR_INVALID_ARGUMENT",
        /ends in \.gif or \.webp/,
      );
      await rejects(
        writeFilms(join(folder, "x.gif"), { ...films, shape: [n * 3, frames, height, width] }),
        "ERR_SHAPE_MISMATCH",
        /films: expected/,
      );
      await rejects(writeFilms(join(folder, "x.gif"), films, { rate: 0 }), "ERR_INVALID_ARGUMENT", /rate/);
    });
  });
});

describe("command line, samples that are no pictures", () => {
  async function workplace(
    row: readonly number[],
    body: (path: (name: string) => string, line: string[]) => Promise<void>,
  ) {
    await withFolder(async (folder) => {
      const path = (name: string): string => join(folder, name);
      await writeFile(path("g.onnx"), generator(row));
      await writeFile(path("f.onnx"), encoder(row));
      const both = ["--generator", path("g.onnx"), "--encoder", path("f.onnx")];
      const trained = await program([
        "train",
        ...both,
        "-n",
        "200",
        "--epochs",
        "1",
        "--seed",
        "1",
        "-o",
        path("t.safetensors"),
      ]);
      assert.equal(trained.code, 0, trained.error);
      await body(path, [
        "sample",
        "--translator",
        path("t.safetensors"),
        ...both,
        "--class",
        "1",
        "--steps",
        "0",
        "--seed",
        "1",
      ]);
    });
  }

  it("sounds: .wav with a rate, .npy and .safetensors; pictures are refused before the work", () =>
    workplace([1, 40], async (path, line) => {
      const done = async (...rest: string[]) => {
        const { code, error, json } = await program([...line, ...rest, "--json"]);
        assert.equal(code, 0, error);
        return json();
      };
      const { files } = await done("-n", "3", "-o", path("x.wav"), "--rate", "8000");
      assert.deepEqual(files, [path("x-0.wav"), path("x-1.wav"), path("x-2.wav")]);
      const one = await done("-n", "1", "-o", path("y.wav"), "--rate", "8000", "--wav-format", "float32");
      assert.equal(one["files"], undefined);
      assert.equal((await readFile(path("y.wav"))).length, 44 + 4 * 40);
      await done("-n", "3", "-o", path("x.npy"));
      assert.match((await readFile(path("x.npy"))).toString("latin1", 0, 128), /'<f4'.*\(3, 1, 40\)/);
      await done("-n", "3", "-o", path("x.safetensors"));
      const { tensors } = decodeSafetensors(await readFile(path("x.safetensors")), "x");
      assert.deepEqual(
        [...tensors].map(([name, { shape }]) => [name, ...shape]),
        [
          ["samples", 3, 1, 40],
          ["latents", 3, 4],
          ["energies", 3],
        ],
      );
      const before = (await readdir(path("."))).length;
      const fails: [string[], RegExp, number][] = [
        [
          ["-o", path("z.png")],
          /expected samples that are images, got rows \[1, 40\]\. Write them as \.npy or \.safetensors, or as \.wav/,
          1,
        ],
        [["-o", path("z.wav")], /--rate: expected samples a second with a \.wav file/, 2],
        [["-o", path("z.wav"), "--rate", "0"], /--rate/, 2],
        [
          ["-o", path("z.mp3")],
          /--out: expected a name that ends in \.png, .*\.wav \(sounds\), \.npy or \.safetensors/,
          2,
        ],
        [["-o", path("z")], /--out: expected a name/, 2],
      ];
      for (const [rest, message, code] of fails) {
        const outcome = await program([...line, ...rest]);
        assert.equal(outcome.code, code, outcome.error);
        assert.match(outcome.error, message);
      }
      assert.equal((await readdir(path("."))).length, before);
    }));

  it("films: .gif and .webp move, .npy holds them", () =>
    workplace([3, 4, 6, 5], async (path, line) => {
      for (const [name, pages] of [
        ["x.gif", 4],
        ["x.webp", 4],
      ] as const) {
        const { code, error } = await program([...line, "-n", "2", "-o", path(name), "--rate", "5"]);
        assert.equal(code, 0, error);
        const meta = await sharp(path(name), { animated: true }).metadata();
        assert.deepEqual([meta.pages, meta.delay?.[0]], [pages, 200]);
      }
      const refused = await program([...line, "-o", path("x.png")]);
      assert.match(
        refused.error,
        /got rows \[3, 4, 6, 5\]\. Write them as \.npy or \.safetensors, or as \.gif or \.webp/,
      );
    }));
});
