/** Inputs that the latent does not feed: fixed by value in library, command line and configuration; and models of which a part is used. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Tr0n, latent, tensor, type Decision, type Model, type Tensor } from "../../lib/index.js";
import { decodeNpy } from "../../lib/base/npy.js";
import { readTensor } from "../../lib/base/read-matrix.js";
import { encodeSafetensors } from "../../lib/base/safetensors.js";
import { Builder, DataType, emptyGraph, encodeModel, type Dim } from "../../lib/onnx/index.js";
import { tr0n as line } from "../support/cli.js";
import { numbers } from "../support/numbers.js";
import { bits, close, rejects, tinyEncoder, tinyGenerator, withFolder } from "../support/tiny.js";
import { keeper } from "../support/keeper.js";

/** image = tanh(psi · z·W + noise + table[label]), [3, 4, 4], psi a scalar. */
function conditioned({ psi = [] as Dim[], label = ["N"] as Dim[] } = {}): Uint8Array {
  const b = new Builder(emptyGraph("generator"));
  const z = b.input("z", DataType.FLOAT, ["N", 6]);
  const scaled = b.op("Mul", [z, b.input("psi", DataType.FLOAT, psi)]);
  const flat = b.op("MatMul", [scaled, b.constant(numbers(1, 6 * 48), [6, 48], DataType.FLOAT)]);
  const noise = b.op("Flatten", [b.input("noise", DataType.FLOAT, ["N", 3, 4, 4])], { axis: 1 });
  const rows = b.op("Gather", [
    b.constant(numbers(2, 5 * 48), [5, 48], DataType.FLOAT),
    b.reshape(b.input("label", DataType.INT64, label), [-1]),
  ]);
  b.output(
    "image",
    b.reshape(b.op("Tanh", [b.op("Add", [b.op("Add", [flat, noise]), rows])]), [-1, 3, 4, 4]),
  );
  b.graph.outputs[0]!.dims = ["N", 3, 4, 4];
  return encodeModel(b.graph);
}

/** Two towers: logits of both, embeddings of texts and of images. */
function towers({ images = 1 } = {}): Uint8Array {
  const b = new Builder(emptyGraph("clip"));
  const ids = b.input("input_ids", DataType.INT64, ["texts", "length"]);
  const pixels = b.input("pixel_values", DataType.FLOAT, ["images", 3, 4, 4]);
  const mask = b.input("attention_mask", DataType.INT64, ["texts", "length"]);
  const flat = b.op("Flatten", [pixels], { axis: 1 });
  const unit = (x: string): string =>
    b.op("Div", [x, b.op("Sqrt", [b.op("ReduceSum", [b.op("Mul", [x, x]), b.ints([1])], { keepdims: 1 })])]);
  const image = unit(b.op("MatMul", [flat, b.constant(numbers(4, 48 * 6), [48, 6], DataType.FLOAT)]));
  const taken = b.op("Gather", [b.constant(numbers(5, 20 * 6), [20, 6], DataType.FLOAT), ids]);
  const kept = b.op("Mul", [
    taken,
    b.op("Unsqueeze", [b.op("Cast", [mask], { to: DataType.FLOAT }), b.ints([2])]),
  ]);
  const text = unit(b.op("ReduceSum", [kept, b.ints([1])], { keepdims: 0 }));
  b.output("logits_per_image", b.op("MatMul", [image, b.op("Transpose", [text], { perm: [1, 0] })]));
  b.output("text_embeds", text);
  b.output("image_embeds", image);
  if (images > 1)
    b.output("image_features", b.op("MatMul", [image, b.constant(numbers(6, 36), [6, 6], DataType.FLOAT)]));
  return encodeModel(b.graph);
}

/** The tower of images alone, as it would be exported. */
async function imageTower(model: Model, images: Tensor): Promise<Float32Array> {
  return (
    await model.run({
      pixel_values: images,
      input_ids: tensor([1, 2], [1, 2]),
      attention_mask: tensor([1, 1], [1, 2]),
    })
  )["image_embeds"]!.data;
}

describe("inputs fixed by value", function () {
  this.timeout(120_000);
  const { load: open, closeAll } = keeper();
  after(closeAll);
  const quiet = { device: "cpu", seed: 1, onDecision: () => undefined } as const;
  const z = tensor(numbers(7, 18), [3, 6]);
  const noise = tensor(numbers(8, 48, -0.2, 0.2), [3, 4, 4]);
  const inputs = { psi: 0.7, noise, label: 3 };

  it("gives what run() gives with the values, the gradient too", async () => {
    for (const shapes of [{}, { psi: [1], label: ["N", 1] }]) {
      const whole = await open(conditioned(shapes));
      const fixed = await open(conditioned(shapes), { inputs });
      assert.deepEqual(fixed.inputs, [{ name: "z", shape: [null, 6], type: "float32" }]);
      const all = {
        z,
        psi: tensor([0.7], shapes.psi ? [1] : []),
        noise: tensor([...noise.data, ...noise.data, ...noise.data], [3, 3, 4, 4]),
        label: tensor([3, 3, 3], shapes.label ? [3, 1] : [3]),
      };
      const cotangent = { image: tensor(numbers(9, 3 * 48), [3, 3, 4, 4]) };
      const [one, two] = [await whole.vjp(all, cotangent), await fixed.vjp({ z }, cotangent)];
      assert.equal(bits(two.outputs["image"]!.data), bits(one.outputs["image"]!.data));
      close(two.gradients["z"]!.data, one.gradients["z"]!.data, 1e-6);
      assert.deepEqual(Object.keys(two.gradients), ["z"]);
    }
  });

  it("belongs to the model from the call on, and to its fingerprint", async () => {
    const mine = tensor(noise.data.slice(), [3, 4, 4]);
    const loading = open(conditioned(), { inputs: { ...inputs, noise: mine } });
    mine.data.fill(9);
    const [changed, same, other, none] = [
      await loading,
      await open(conditioned(), { inputs }),
      await open(conditioned(), { inputs: { ...inputs, psi: 0.5 } }),
      await open(conditioned()),
    ];
    assert.equal(await changed.fingerprint(), await same.fingerprint());
    const prints = new Set([await same.fingerprint(), await other.fingerprint(), await none.fingerprint()]);
    assert.equal(prints.size, 3);
    assert.equal(
      bits((await changed.run({ z }))["image"]!.data),
      bits((await same.run({ z }))["image"]!.data),
    );
    await rejects(
      open(conditioned(), { inputs: { psi: "0.7" as unknown as number } }),
      "ERR_INVALID_ARGUMENT",
      /^options\.inputs\.psi: expected a number or a Tensor|^options\.inputs\.psi: expected a finite number/,
    );
    await rejects(
      open(conditioned(), { inputs: { truncation: 1 } }),
      "ERR_INVALID_ARGUMENT",
      /^options\.inputs: .* has no input "truncation"; it has z float32 \[N, 6\], psi float32 \[\], noise/,
    );
  });

  it("serves as a generator, through a file of the translator", async () => {
    const encoder = await open(tinyEncoder());
    const make = async (psi: number): Promise<Model> => open(conditioned(), { inputs: { ...inputs, psi } });
    using tr0n = await Tr0n.create({ generator: await make(0.7), encoder, ...quiet });
    await tr0n.train({ pairs: 400, epochs: 1 });
    const options = { count: 4, seed: 5 };
    const samples = await tr0n.sample({ class: 1 }, options);
    await withFolder(async (folder) => {
      const path = join(folder, "t.safetensors");
      await tr0n.save(path);
      using again = await Tr0n.load(path, {
        generator: await make(0.7),
        encoder,
        device: "cpu",
        onDecision: () => undefined,
      });
      assert.equal(bits((await again.sample({ class: 1 }, options)).images.data), bits(samples.images.data));
      await rejects(
        Tr0n.load(path, { generator: await make(0.5), encoder, device: "cpu", onDecision: () => undefined }),
        "ERR_FILE_MISMATCH",
        /where that was loaded with the options inputs or output, load it with the same$/,
      );
    });
  });

  it("is what messages lead to: their code works", async () => {
    const generator = await open(conditioned());
    const encoder = await open(tinyEncoder());
    const error = await rejects(
      Tr0n.create({ generator, encoder, ...quiet }),
      "ERR_INVALID_ARGUMENT",
      /got 4 in .*: z float32 \[\?, 6\], psi float32 \[\], noise float32 \[\?, 3, 4, 4\], label int64 \[\?\]\. Fix psi, with a value of yours: loadModel\(/,
    );
    const fixed = /\{ inputs: (\{[^}]*\}) \}/.exec(error.message)![1]!;
    const product = /latent: (latent\.product\(.*\))$/.exec(error.message)![1]!;
    assert.equal(fixed, "{ psi: 1 }");
    assert.equal(
      product,
      "latent.product({ z: latent.normal(6), noise: latent.normal(48), label: latent.label(5) })",
    );
    const evaluate = (code: string): unknown => new Function("latent", `return (${code})`)(latent);
    const model = await open(conditioned(), { inputs: evaluate(fixed) as Record<string, number> });
    using tr0n = await Tr0n.create({
      generator: model,
      encoder,
      latent: evaluate(product) as ReturnType<typeof latent.product>,
      ...quiet,
    });
    assert.equal(tr0n.latentSize, 55);
    await rejects(
      Tr0n.create({ generator: model, encoder, latent: latent.product({ z: latent.normal(6) }), ...quiet }),
      "ERR_SHAPE_MISMATCH",
      /expected a group for each input .* got z\. Draw all of them, latent: latent\.product\(/,
    );
    await rejects(
      Tr0n.create({
        generator: model,
        encoder,
        latent: latent.product({ z: latent.normal(6), noise: latent.normal(48), label: latent.normal(1) }),
        ...quiet,
      }),
      "ERR_MODEL_UNSUPPORTED",
      /got int64 \[\?\] for label; latent\.label\(classes\) draws classes, and loadModel\(.*\{ inputs: \{ "label": 0 \} \}\) fixes it/,
    );
    await rejects(
      Tr0n.create({
        generator: model,
        encoder,
        latent: latent.product({ z: latent.normal(6), noise: latent.normal(48), label: latent.label(6) }),
        ...quiet,
      }),
      "ERR_INVALID_ARGUMENT",
      /^latent\.label: expected at most 5 classes, the rows of the table/,
    );
  });

  it("reads numbers out of .npy, .safetensors and JSON", () =>
    withFolder(async (folder) => {
      const npy = (descr: string, shape: string, body: Uint8Array, order = "False"): Uint8Array => {
        const header = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`;
        const padded = header.padEnd(64 * Math.ceil((header.length + 11) / 64) - 11) + "\n";
        const start = Buffer.alloc(10);
        start.write("\x93NUMPY\x01\x00", "latin1");
        start.writeUInt16LE(padded.length, 8);
        return Buffer.concat([start, Buffer.from(padded, "latin1"), body]);
      };
      const bytes = (view: ArrayBufferView): Uint8Array =>
        new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
      const plain = decodeNpy(npy("<f4", "(2, 3)", bytes(Float32Array.of(1, 2, 3, 4, 5, 6))), "x.npy");
      assert.deepEqual(
        [plain.shape, [...plain.data]],
        [
          [2, 3],
          [1, 2, 3, 4, 5, 6],
        ],
      );
      const turned = decodeNpy(
        npy("<f8", "(2, 3)", bytes(Float64Array.of(1, 4, 2, 5, 3, 6)), "True"),
        "x.npy",
      );
      assert.deepEqual([...turned.data], [1, 2, 3, 4, 5, 6]);
      assert.deepEqual(
        [...decodeNpy(npy("<i8", "(2,)", bytes(BigInt64Array.of(-3n, 207n))), "x.npy").data],
        [-3, 207],
      );
      assert.deepEqual([...decodeNpy(npy("|b1", "()", Uint8Array.of(1)), "x.npy").data], [1]);
      for (const [broken, why] of [
        [npy("<f4", "(2, 3)", new Uint8Array(20)), /expected 24 bytes for \[2, 3\], got 20/],
        [npy(">f4", "(1,)", new Uint8Array(4)), /numbers of type >f4, expected <f4/],
        [npy("<U3", "(1,)", new Uint8Array(12)), /expected a header|numbers of type/],
        [Buffer.from("PK\x03\x04 not numpy"), /does not begin as one/],
      ] as [Uint8Array, RegExp][])
        await rejects(() => decodeNpy(broken, "x.npy"), "ERR_FILE_INVALID", why);
      const path = join(folder, "x.safetensors");
      const tensors = new Map([
        ["noise", tensor([1, 2], [2])],
        ["other", tensor([3], [1])],
      ]);
      await writeFile(path, encodeSafetensors(tensors));
      assert.deepEqual([...(await readTensor(path, "noise")).data], [1, 2]);
      await rejects(
        readTensor(path, "psi"),
        "ERR_FILE_INVALID",
        /expected one tensor, or one called "psi", got 2/,
      );
    }));

  it("is --generator-input on the command line and `inputs` in a configuration", () =>
    withFolder(async (folder) => {
      const [g, f, n] = ["g.onnx", "f.onnx", "noise.safetensors"].map((file) => join(folder, file)) as [
        string,
        string,
        string,
      ];
      await writeFile(g, conditioned());
      await writeFile(f, tinyEncoder());
      await writeFile(n, encodeSafetensors(new Map([["noise", noise]])));
      const train = [
        "--encoder",
        f,
        "-n",
        "300",
        "--epochs",
        "1",
        "--seed",
        "1",
        "--device",
        "cpu",
        "--json",
      ];
      const given = [
        "--generator-input",
        "psi=0.7",
        "--generator-input",
        `noise=${n}`,
        "--generator-input",
        "label=3",
      ];
      const [byLine, byFile] = [join(folder, "line.safetensors"), join(folder, "file.safetensors")];
      const run = async (args: string[]): Promise<void> => {
        const { code, error } = await line(args);
        assert.equal(code, 0, error);
      };
      await run(["train", "--generator", g, ...given, ...train, "-o", byLine]);
      const config = join(folder, "run.json");
      await writeFile(
        config,
        JSON.stringify({
          generator: { model: "g.onnx", inputs: { psi: 0.7, noise: "noise.safetensors", label: [3] } },
        }),
      );
      await run(["train", "--config", config, ...train, "-o", byFile]);
      const load = async (path: string): Promise<Tr0n> =>
        Tr0n.load(path, {
          generator: await open(g, { inputs }),
          encoder: await open(f),
          device: "cpu",
          onDecision: () => undefined,
        });
      for (const path of [byLine, byFile]) {
        using loaded = await load(path);
        assert.equal(loaded.latentSize, 6);
      }
      const labelled = join(folder, "labelled.safetensors");
      const noLabel = given.slice(0, 4);
      await run([
        "train",
        "--generator",
        g,
        ...noLabel,
        "--latent",
        "z=normal,label=label:5",
        ...train,
        "-o",
        labelled,
      ]);
      const wrong = await line([
        "train",
        "--generator",
        g,
        "--generator-input",
        "psi",
        ...train,
        "-o",
        byLine,
      ]);
      const advice = await line(["train", "--generator", g, ...train, "-o", byLine]);
      assert.match(
        advice.error,
        /\(on the command line: --latent z=normal:6,noise=normal:48,label=label:5, --generator-input psi=1\)/,
      );
      assert.equal(wrong.code, 2);
      assert.match(wrong.error, /--generator-input: expected NAME=VALUE, such as truncation=0\.7/);
    }));
});

describe("models of which a part is used", function () {
  this.timeout(120_000);
  const { load: open, closeAll } = keeper();
  after(closeAll);
  const images = tensor(numbers(11, 96), [2, 3, 4, 4]);

  it("loses inputs that only other outputs need, and gives the same", async () => {
    const whole = await open(towers());
    const image = await open(towers(), { output: "image_embeds" });
    const text = await open(towers(), { output: ["text_embeds"] });
    assert.deepEqual(
      [image.inputs.map((x) => x.name), image.outputs.map((x) => x.name)],
      [["pixel_values"], ["image_embeds"]],
    );
    assert.deepEqual(
      text.inputs.map((x) => x.name),
      ["input_ids", "attention_mask"],
    );
    assert.equal(
      bits((await image.run(images))["image_embeds"]!.data),
      bits(await imageTower(whole, images)),
    );
    assert.equal(new Set(await Promise.all([whole, image, text].map((m) => m.fingerprint()))).size, 3);
    await rejects(
      open(towers(), { output: "image" }),
      "ERR_INVALID_ARGUMENT",
      /^options\.output: .* has no output "image"; it has "logits_per_image", "text_embeds", "image_embeds"$/,
    );
  });

  it("is found by create(), which tells it, and again by load()", async () => {
    const generator = await open(tinyGenerator());
    const encoder = await open(towers());
    const decisions: Decision[] = [];
    const rest = { device: "cpu", seed: 1 } as const;
    using tr0n = await Tr0n.create({
      generator,
      encoder,
      ...rest,
      onDecision: (told) => decisions.push(told),
    });
    const chosen = decisions.find(({ option }) => option === "encoderOutput")!;
    assert.equal(chosen.value, '"image_embeds"');
    assert.match(chosen.reason, /only this one is a vector that is made of one image alone/);
    assert.equal(tr0n.conditionSize, 6);
    const latents = await tr0n.drawPrior(2, { seed: 3 });
    const made = await tr0n.generate(latents);
    close((await tr0n.encode(latents)).data, await imageTower(encoder, made), 1e-6);
    await tr0n.train({ pairs: 300, epochs: 1 });
    await withFolder(async (folder) => {
      const path = join(folder, "t.safetensors");
      await tr0n.save(path);
      using again = await Tr0n.load(path, { generator, encoder, device: "cpu", onDecision: () => undefined });
      assert.equal(again.conditionSize, 6);
    });
    await rejects(
      Tr0n.create({ generator, encoder, ...rest, encoderOutput: "logits_per_image" }),
      "ERR_SHAPE_MISMATCH",
      /^encoderOutput: expected an output of .* that is made of one image alone, image_embeds, got "logits_per_image", which is made of input_ids, pixel_values, attention_mask$/,
    );
  });

  it("is asked for where several outputs would do", async () => {
    const generator = await open(tinyGenerator());
    const encoder = await open(towers({ images: 2 }));
    await rejects(
      Tr0n.create({ generator, encoder, device: "cpu" }),
      "ERR_SHAPE_MISMATCH",
      /several outputs make a vector of one image alone: logits_per_image .* of input_ids, pixel_values, attention_mask; .*Choose one: encoderOutput: "image_embeds"$/,
    );
    using tr0n = await Tr0n.create({
      ...{ generator, encoder, device: "cpu", encoderOutput: "image_features" },
      onDecision: () => undefined,
    });
    assert.equal(tr0n.conditionSize, 6);
  });
});
