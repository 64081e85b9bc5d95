import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { copyFile, mkdir, readFile, readdir, stat, writeFile } from "node:fs/promises";
import { writeImages } from "../../lib/image/grid.js";
import { readImage } from "../../lib/image/read.js";
import { loadModel } from "../../lib/model/model.js";
import { Builder, DataType, decodeModel, emptyGraph, encodeModel } from "../../lib/onnx/index.js";
import { tensor } from "../../lib/base/tensor.js";
import { tr0n, workplace } from "../support/cli.js";
import { quantisedModel } from "../support/quantised.js";
import { numbers } from "../support/numbers.js";
import { tinyEncoder } from "../support/tiny.js";

/** Runs and expects success. */
async function done(args: string[]): Promise<Record<string, unknown>> {
  const { code, error, json } = await tr0n([...args, "--json"]);
  assert.equal(code, 0, error);
  assert.equal(error, "");
  return json();
}

/** Lines of what was decided before a failure. */
const decided = /^(tr0n: (warning: )?\w+: [^\n]+, because [^\n]+\n)*/;

/** Runs and expects failure with a code, in one line and without a stack. */
async function fails(args: string[], code: string, message: RegExp): Promise<void> {
  const outcome = await tr0n(args);
  assert.equal(outcome.code, 1, outcome.error);
  assert.match(outcome.error.replace(decided, ""), /^tr0n: [^\n]+\n$/);
  assert.ok(outcome.error.endsWith(`[${code}]\n`), outcome.error);
  assert.match(outcome.error, message);
  assert.equal(outcome.out, "");
}

describe("command line, commands", () => {
  let place: Awaited<ReturnType<typeof workplace>>;
  let translator: string;
  before(async () => {
    place = await workplace();
    translator = place.path("t.safetensors");
    await done(["train", ...place.models, "-n", "4000", "--epochs", "2", "--seed", "1", "-o", translator]);
  });
  after(() => place.remove());

  const sampleLine = (...rest: string[]): string[] => [
    "sample",
    "--translator",
    translator,
    ...place.models,
    ...rest,
  ];

  it("augments: the file's policy by default, another one or none where it is asked for", async () => {
    const augmented = place.path("augmented.safetensors");
    const own = ["--augment", "color,cutout", "--copies", "2"];
    await done([
      "train",
      ...place.models,
      "-n",
      "1000",
      "--epochs",
      "1",
      "--seed",
      "1",
      ...own,
      "-o",
      augmented,
    ]);
    const run = async (file: string, ...rest: string[]) => {
      const line = [
        "sample",
        "--translator",
        file,
        ...place.models,
        "--class",
        "0",
        "-n",
        "2",
        "--seed",
        "3",
      ];
      return (await done([...line, ...rest, "-o", place.path("a.png")]))["energies"];
    };
    const varied = await run(augmented);
    assert.deepEqual(await run(augmented, ...own), varied);
    const others = [
      await run(augmented, "--augment", "none"),
      await run(augmented, "--augment", "all"),
      await run(augmented, "--augment", "all", "--copies", "3"),
    ];
    for (const [i, energies] of others.entries())
      for (const other of [varied, ...others.slice(0, i)]) assert.notDeepEqual(energies, other);
    await done([
      "evaluate",
      "--translator",
      augmented,
      ...place.models,
      "--samples",
      "4",
      "--reference",
      "4",
    ]);
  });

  it("devices", async () => {
    const { devices } = (await done(["devices"])) as {
      devices: { id: string; kind: string; memory: number }[];
    };
    assert.equal(devices[0]!.id, "cpu");
    assert.ok(devices[0]!.memory > 2 ** 20);
    assert.match((await tr0n(["devices"])).out, /^device +name.*\n.*\ncpu /);
  });

  it("inspect", async () => {
    const report = await done(["inspect", place.path("f.onnx")]);
    assert.equal(report["opset"], 17);
    assert.equal(report["parameters"], 18 + 6 + 2);
    assert.deepEqual(report["inputs"], [{ name: "image", type: "float32", shape: ["batch", 3, 1, 2] }]);
    assert.deepEqual(report["outputs"], [{ name: "logits", type: "float32", shape: ["batch", 2] }]);
    const counts = report["operators"] as { opType: string; count: number }[];
    assert.deepEqual(
      new Set(counts.map((o) => `${o.opType} ${o.count}`)),
      new Set(["Flatten 1", "Gemm 1", "Identity 1", "MatMul 1"]),
    );
    assert.deepEqual(report["withoutGradient"], []);
    const { out } = await tr0n(["inspect", place.path("f.onnx")]);
    assert.match(out, /opset 17, 26 parameters/);
    assert.match(out, /image +float32 +\[batch, 3, 1, 2\]/);
  });

  it("inspect and differentiate take rounding for the identity where they are told to", async () => {
    const file = place.path("quantised.onnx");
    const encoder = { inputs: ["batch", 3, 4, 4], size: 48, outputs: [3] };
    await writeFile(file, quantisedModel({ ...encoder, what: "pairs" }));
    const { out } = await tr0n(["inspect", file]);
    assert.match(out, /Without a gradient: QuantizeLinear \(2\)\n.*--straight-through/);
    assert.match((await tr0n(["inspect", file, "--straight-through"])).out, /every operator .* has one/);
    const line = ["differentiate", file, "-o", place.path("dq.onnx")];
    await fails(
      line,
      "ERR_NO_GRADIENT",
      /QuantizeLinear node .*straightThrough: true \(--straight-through\)/,
    );
    assert.deepEqual((await done([...line, "--straight-through"]))["withoutPath"], []);
    // Quantised weights alone need no word.
    await writeFile(file, quantisedModel({ ...encoder, what: "weights" }));
    assert.deepEqual((await done(["inspect", file]))["withoutGradient"], []);
    const sampling = [
      "sample",
      "--translator",
      translator,
      ...place.models,
      "--class",
      "0",
      "-o",
      place.path("s.png"),
    ];
    assert.equal((await tr0n([...sampling, "--straight-through", "--steps", "1", "--seed", "1"])).code, 0);
  });

  it("inspect says which sizes are open, how to say them, and what is declared wrongly", async () => {
    const b = new Builder(emptyGraph("open"));
    const x = b.input("x", DataType.FLOAT, ["batch", "channels", "height", "width"]);
    const kernel = b.constant(numbers(1, 4 * 3 * 4), [4, 3, 2, 2], DataType.FLOAT);
    b.output("y", b.op("ConvTranspose", [x, kernel], { strides: [2, 2] }));
    b.graph.outputs[0]!.dims = [1, 3, "height", "width"];
    await writeFile(place.path("open.onnx"), encodeModel(b.graph));
    const { out } = await tr0n(["inspect", place.path("open.onnx")]);
    assert.match(out, /x +float32 +\[batch, 4, height, width\]/);
    assert.match(out, /Shapes: axis 1 of x is 4, because its weights take no other size\./);
    assert.match(out, /left aside, because it declares y as \[1, 3, height, width\], where axis 0 is open\./);
    assert.match(out, /inputShapes: \{ "height": 64, "width": 64 \}/);
    assert.match(out, /--generator-shape "height=64" --generator-shape "width=64"/);
    const shaped = ["--input-shape", "height=5", "--input-shape", "x=?,?,5,6"];
    const report = await done(["inspect", place.path("open.onnx"), ...shaped]);
    assert.deepEqual(report["inputs"], [{ name: "x", type: "float32", shape: ["batch", 4, 5, 6] }]);
    assert.deepEqual(report["outputs"], [{ name: "y", type: "float32", shape: ["batch", 3, 10, 12] }]);
    for (const wrong of ["height", "height=0", "x=4,?,a", "=4"]) {
      const { code, error } = await tr0n(["inspect", place.path("open.onnx"), "--input-shape", wrong]);
      assert.equal(code, 2);
      assert.match(error, /--input-shape.*NAME=SIZES, such as height=64/);
    }
    await writeFile(place.path("f44.onnx"), tinyEncoder());
    const models = ["--generator", place.path("open.onnx"), "--encoder", place.path("f44.onnx")];
    const pairs = ["pairs", ...models, "-n", "8", "--seed", "1", "-o", place.path("open-pairs")];
    await fails(pairs, "ERR_SHAPE_MISMATCH", /inputShapes: \{ height: 64, width: 64 \}/);
    const { code, error } = await tr0n([
      ...pairs,
      "--generator-shape",
      "height=2",
      "--generator-shape",
      "width=2",
    ]);
    assert.equal(code, 0, error);
  });

  it("inspect and differentiate for a GPU", async () => {
    interface Placed {
      nodes: number;
      onCpu: { opType: string; heavy: boolean; why: string }[];
      copies: number;
    }
    const given = await done(["inspect", place.path("f.onnx"), "--device", "webgpu"]);
    const { forward, withGradient } = given["placement"] as { forward: Placed; withGradient: Placed };
    assert.deepEqual([forward.onCpu, forward.copies, withGradient.onCpu], [[], 0, []]);
    assert.ok(withGradient.nodes > forward.nodes);
    const b = new Builder(emptyGraph("det"));
    b.output("y", b.op("Tanh", [b.op("Asinh", [b.input("x", 1, ["batch", 3])])]));
    await writeFile(place.path("asinh.onnx"), encodeModel(b.graph));
    const { out } = await tr0n(["inspect", place.path("asinh.onnx"), "--device", "cuda"]);
    assert.match(
      out,
      /On cuda, forward: 1 of 2 nodes fall to the CPU, with 1 copies in each run\n {2}Asinh ".*": cuda has no kernel/,
    );
    assert.match(
      (await tr0n(["inspect", place.path("asinh.onnx"), "--device", "webgpu"])).out,
      /On webgpu, forward: all of 2/,
    );
    const wrong = await tr0n(["inspect", place.path("f.onnx"), "--device", "tpu"]);
    assert.match(wrong.error, /--device: expected one of cuda, webgpu, got "tpu"/);

    const formed = [
      "differentiate",
      place.path("f.onnx"),
      "-o",
      place.path("webgpu.onnx"),
      "--device",
      "webgpu",
    ];
    assert.deepEqual((await done(formed))["outputs"], ["logits", "grad_image"]);
    assert.equal(decodeModel(await readFile(place.path("webgpu.onnx"))).opsets.get(""), 18);
  });

  it("differentiate", async () => {
    const report = await done(["differentiate", place.path("f.onnx"), "-o", place.path("sub/df.onnx")]);
    assert.deepEqual(report["inputs"], ["image", "grad_logits"]);
    assert.deepEqual(report["outputs"], ["logits", "grad_image"]);
    const again = await done(["inspect", place.path("sub/df.onnx")]);
    assert.deepEqual(
      (again["outputs"] as { name: string }[]).map((o) => o.name),
      ["logits", "grad_image"],
    );
    const line = ["differentiate", place.path("f.onnx"), "-o", place.path("no.onnx"), "--wrt", "picture"];
    await fails(line, "ERR_INVALID_ARGUMENT", /picture/);
    await assert.rejects(stat(place.path("no.onnx")));
  });

  it("inspect names every node without a gradient, random numbers, and what a row costs", async () => {
    const b = new Builder(emptyGraph("bad", 17));
    const x = b.input("x", DataType.FLOAT, ["batch", 4, 4]);
    const noisy = b.op("Add", [x, b.op("RandomNormalLike", [x])]);
    const region = b.constant([0, 0, 4, 4], [1, 4], DataType.FLOAT);
    const pooled = { output_height: 1, output_width: 1 };
    b.output("y", b.op("RoiAlign", [b.unsqueeze(noisy, [0]), region, b.ints([0])], pooled));
    b.graph.outputs[0]!.elemType = DataType.FLOAT;
    b.graph.nodes.find((node) => node.opType === "RoiAlign")!.name = "the region";
    await writeFile(place.path("bad.onnx"), encodeModel(b.graph));
    const report = (await done(["inspect", place.path("bad.onnx")])) as {
      withoutGradient: { opType: string; nodes: { name: string; message: string }[] }[];
      random: string[];
      cost: { batch: number; forward: { flops: number; uncounted: number }; withGradient: null };
    };
    assert.deepEqual(report.withoutGradient[0]!.nodes[0]!.name, "the region");
    assert.match(report.withoutGradient[0]!.nodes[0]!.message, /RoiAlign node "the region"/);
    assert.deepEqual(report.random, ["RandomNormalLike"]);
    assert.deepEqual([report.cost.batch, report.cost.withGradient], [1, null]);
    assert.ok(report.cost.forward.flops >= 16);
    const { out } = await tr0n(["inspect", place.path("bad.onnx"), "--no-simplify"]);
    assert.match(out, /Without a gradient: RoiAlign \(1\)\n {2}the region: RoiAlign node/);
    assert.match(out, /Random numbers are drawn at every run by RandomNormalLike/);
    assert.match(out, /a row of the batch +operations +memory/);
    const known = (await done(["inspect", place.path("f.onnx")])) as unknown as typeof report;
    assert.equal(known.cost.forward.uncounted, 0);
    assert.deepEqual(known.random, []);
  });

  it("inspect and differentiate tell what has a gradient of zeros and nothing else", async () => {
    const b = new Builder(emptyGraph("signs", 17));
    const x = b.input("x", DataType.FLOAT, ["batch", 4]);
    b.output("signs", b.op("Sign", [x]));
    await writeFile(place.path("signs.onnx"), encodeModel(b.graph));
    const report = (await done(["inspect", place.path("signs.onnx")])) as { gradients: { kind: string }[] };
    assert.deepEqual(
      report.gradients.map(({ kind }) => kind),
      ["stopped"],
    );
    const { out } = await tr0n(["inspect", place.path("signs.onnx")]);
    assert.match(out, /Gradient of 0: .* from "x" to "signs": Sign node .* is constant almost everywhere\./);
    assert.match(out, /sampler\.resample\(\{ steps: 0 \}\) \(--steps 0 on the command line\)/);
    assert.doesNotMatch(out, /every operator/);
    await fails(
      ["differentiate", place.path("signs.onnx"), "-o", place.path("ds.onnx")],
      "ERR_NO_GRADIENT",
      /"x" to "signs": Sign/,
    );
    await assert.rejects(stat(place.path("ds.onnx")));

    // Where a part has one, the file is written, and what has none is said.
    b.output("twice", b.op("Add", [x, x]));
    b.output("label", b.op("ArgMax", [x], { axis: 1 }));
    await writeFile(place.path("part.onnx"), encodeModel(b.graph));
    const line = ["differentiate", place.path("part.onnx"), "-o", place.path("dp.onnx")];
    const { withoutPath } = (await done(line)) as { withoutPath: { output: string }[] };
    assert.deepEqual(
      withoutPath.map(({ output }) => output),
      ["signs"],
    );
    assert.match((await tr0n(line)).out, /Gradient of 0: .* from "x" to "signs": Sign/);
    const part = await tr0n(["inspect", place.path("part.onnx")]);
    assert.match(
      part.out,
      /Gradient: from x to twice\.\nGradient of 0: .*"signs".*\nGradient of 0: .*"label": ArgMax/,
    );
  });

  it("differentiate refuses random numbers unless they are accepted, and fixes the batch", async () => {
    const b = new Builder(emptyGraph("noisy", 17));
    const x = b.input("x", DataType.FLOAT, ["batch", 4]);
    b.output("y", b.op("Exp", [b.op("Add", [x, b.op("RandomNormalLike", [x])])]));
    await writeFile(place.path("noisy.onnx"), encodeModel(b.graph));
    const line = ["differentiate", place.path("noisy.onnx"), "-o", place.path("dn.onnx")];
    await fails(line, "ERR_MODEL_UNSUPPORTED", /RandomNormalLike node .* random numbers/);
    const report = await done([...line, "--allow-random", "--batch", "3"]);
    assert.equal(report["simplified"], true);
    const inspected = (await done(["inspect", place.path("dn.onnx")])) as { inputs: { shape: unknown[] }[] };
    assert.deepEqual(inspected.inputs[0]!.shape, [3, 4]);
    const plain = await done([...line, "--allow-random", "--no-simplify"]);
    assert.equal(plain["simplified"], false);
    await assert.rejects(
      loadModel(place.path("noisy.onnx")).then((m) =>
        m.vjp(tensor([1, 2, 3, 4], [1, 4]), tensor([1, 1, 1, 1], [1, 4])),
      ),
      {
        code: "ERR_MODEL_UNSUPPORTED",
        message: /random numbers.*allowRandom/,
      },
    );
    using accepted = await loadModel(place.path("noisy.onnx"), { allowRandom: true, simplify: false });
    const { outputs, gradients } = await accepted.vjp(
      tensor([1, 2, 3, 4], [1, 4]),
      tensor([1, 1, 1, 1], [1, 4]),
    );
    assert.deepEqual(gradients["x"]!.data, outputs["y"]!.data);
    const { code } = await tr0n([...line, "--batch", "0"]);
    assert.equal(code, 2);
  });

  it("pairs, and train from them; a second run goes on", async () => {
    const line = (n: number) => [
      "pairs",
      ...place.models,
      "-n",
      String(n),
      "-o",
      place.path("pairs"),
      "--shard-size",
      "100",
    ];
    const first = await done([...line(250), "--seed", "4"]);
    assert.equal(first["count"], 250);
    const second = await done(line(600));
    assert.deepEqual([second["count"], second["seed"]], [600, 4]);
    assert.ok((second["generated"] as number) < 600, "nothing was kept");
    const report = await done([
      "train",
      ...place.models,
      "--pairs",
      place.path("pairs"),
      "--epochs",
      "1",
      "-o",
      place.path("p.safetensors"),
    ]);
    assert.equal(report["pairs"], 600);
    await fails([...line(700), "--seed", "5"], "ERR_FILE_MISMATCH", /seed/);
  });

  it("train says what it did, is a function of its seed, and goes on from a checkpoint", async () => {
    const line = (out: string, ...rest: string[]) => [
      "train",
      ...place.models,
      "-n",
      "1000",
      "--epochs",
      "2",
      "--seed",
      "9",
      "-o",
      place.path(out),
      ...rest,
    ];
    const report = await done(line("a.safetensors"));
    for (const key of ["pairs", "epochs", "steps", "seconds", "heldOutNll", "priorEntropy", "gap", "seed"])
      assert.equal(typeof report[key], "number", key);
    assert.deepEqual([report["pairs"], report["epochs"], report["seed"]], [1000, 2, 9]);
    assert.ok(Array.isArray(report["warnings"]));
    await done(line("b.safetensors", "--checkpoint", place.path("b.checkpoint")));
    await done(line("c.safetensors", "--checkpoint", place.path("b.checkpoint"))); // finds it finished
    const weights = async (name: string): Promise<string> => {
      const bytes = await readFile(place.path(name));
      return bytes.subarray(8 + Number(bytes.readBigUInt64LE())).toString("hex");
    };
    assert.equal(await weights("a.safetensors"), await weights("b.safetensors"));
    assert.equal(await weights("a.safetensors"), await weights("c.safetensors"));
    assert.match(
      (await tr0n(line("d.safetensors"))).out,
      /trained on 1000 pairs, 2 epochs.*\n.*nats.*prior's entropy.*\nMALA's step sizes.*\n(warning: .*\n)*warning: 1000 pairs are few/,
    );
  });

  it("sample writes a row for each class, the same for the same seed", async () => {
    const line = (name: string, ...rest: string[]) =>
      sampleLine("--class", "0-1", "-n", "3", "--seed", "5", "-o", place.path(name), ...rest);
    const report = await done(line("s.png", "--scale", "4", "--latents", place.path("z.safetensors")));
    assert.deepEqual([report["conditions"], report["count"], report["seed"]], [2, 3, 5]);
    assert.equal((report["energies"] as number[]).length, 6);
    assert.deepEqual((report["evaluations"] as { gradients: number }).gradients, 6 * 5);
    const picture = await readImage(place.path("s.png"));
    assert.deepEqual(picture.shape, [1, 3, 2 * (4 + 2) + 2, 3 * (8 + 2) + 2]);
    assert.ok((await stat(place.path("z.safetensors"))).size > 4 * (18 + 6));
    await done(line("s2.png", "--scale", "4"));
    assert.deepEqual(await readFile(place.path("s.png")), await readFile(place.path("s2.png")));
    assert.match((await tr0n(line("s3.png"))).out, /s3\.png: 6 samples, seed 5/);
  });

  it("sample takes every sampler, an image and an embedding", async () => {
    for (const rest of [
      ["--sampler", "mala", "--steps", "2", "--start", "prior"],
      ["--sampler", "langevin"],
      ["--sampler", "hybrid", "--steps", "3"],
      ["--sampler", "direct", "--start", "mode"],
      ["--fidelity", "10", "--candidates", "8"],
    ])
      await done(sampleLine("--class", "1", "-n", "2", "-o", place.path("k.png"), ...rest));
    // An image whose class is certain: z = (4, 0, 0) up to the range of 8 bits.
    await writeImages(place.path("one.png"), tensor([1, 0.5, -0.25, 0.5, 0.75, 0], [1, 3, 1, 2]), { gap: 0 });
    const near = await done(
      sampleLine("--image", place.path("one.png"), "-o", place.path("i.png"), "--seed", "1"),
    );
    assert.equal(near["count"], 16);
    await writeFile(place.path("e.json"), "[[0.5, 0.5], [0, 1]]");
    const report = await done(
      sampleLine("--embedding", place.path("e.json"), "-n", "2", "-o", place.path("e.png")),
    );
    assert.equal(report["conditions"], 2);
  });

  it("evaluate", async () => {
    const line = [
      "evaluate",
      "--translator",
      translator,
      ...place.models,
      "--samples",
      "30",
      "--reference",
      "40",
      "--seed",
      "2",
    ];
    const report = await done([...line, "--recipes", "prior,resample", "-o", place.path("report.json")]);
    const rows = report["rows"] as { recipe: string; accuracy: number; fd: number }[];
    assert.equal(rows.length, 3);
    assert.match(rows[0]!.recipe, /exact/);
    assert.ok(rows[2]!.accuracy > rows[1]!.accuracy);
    assert.ok(rows[2]!.fd < rows[1]!.fd);
    assert.deepEqual(JSON.parse(await readFile(place.path("report.json"), "utf8")), report);
    const { code, out } = await tr0n([...line, "--classes", "1"]);
    assert.equal(code, 0);
    assert.match(out, /^recipe +accuracy +FD/);
    assert.match(out, /1 class, 30 samples a class against 40 exact ones/);
  });

  it("exits with 1 and one line for what files and models do wrong", async () => {
    const [g, f, out] = [place.path("g.onnx"), place.path("f.onnx"), place.path("no.png")];
    await writeFile(place.path("empty.onnx"), "");
    await writeFile(place.path("cut.onnx"), (await readFile(f)).subarray(0, 100));
    await writeFile(place.path("cut.safetensors"), (await readFile(translator)).subarray(0, 300));
    await writeFile(place.path("bad.json"), '[0.5, "x"]');
    await writeFile(place.path("three.json"), "[0, 0, 1]");
    const one = ["--class", "1", "-o", out];
    const load = (t: string, generator: string, encoder: string, ...rest: string[]) => [
      "sample",
      "--translator",
      t,
      "--generator",
      generator,
      "--encoder",
      encoder,
      ...rest,
    ];
    await fails(["inspect", place.path("none.onnx")], "ERR_MODEL_NOT_FOUND", /none\.onnx: .*no such file/);
    await fails(["inspect", place.path("empty.onnx")], "ERR_MODEL_INVALID", /empty\.onnx/);
    await fails(["inspect", place.path("cut.onnx")], "ERR_MODEL_INVALID", /cut\.onnx/);
    await fails(load(translator, place.path("none.onnx"), f, ...one), "ERR_MODEL_NOT_FOUND", /none\.onnx/);
    await fails(load(translator, g, place.path("cut.onnx"), ...one), "ERR_MODEL_INVALID", /cut\.onnx/);
    await fails(load(translator, f, g, ...one), "ERR_FILE_MISMATCH", /generator/);
    await fails(load(place.path("cut.safetensors"), g, f, ...one), "ERR_FILE_INVALID", /cut\.safetensors/);
    await fails(load(place.path("none"), g, f, ...one), "ERR_IO", /none/);
    await fails(sampleLine("--class", "2", "-o", out), "ERR_INVALID_ARGUMENT", /0 … 1/);
    await fails(
      sampleLine("--class", "0", "-n", "1000000000", "-o", out),
      "ERR_INVALID_ARGUMENT",
      /at most \d+ pixels/,
    );
    await fails(
      sampleLine("--class", "0-1", "-n", "2000000", "--scale", "8", "-o", out),
      "ERR_INVALID_ARGUMENT",
      /at most \d+ pixels/,
    );
    await fails(sampleLine("--image", place.path("none.png"), "-o", out), "ERR_IO", /none\.png/);
    await fails(sampleLine("--image", g, "-o", out), "ERR_FILE_INVALID", /g\.onnx: expected an image/);
    await fails(
      sampleLine("--embedding", place.path("bad.json"), "-o", out),
      "ERR_FILE_INVALID",
      /bad\.json/,
    );
    await fails(
      sampleLine("--embedding", place.path("three.json"), "-o", out),
      "ERR_SHAPE_MISMATCH",
      /\[1, 3\]/,
    );
    await fails(["train", "--generator", f, "--encoder", g, "-o", out], "ERR_SHAPE_MISMATCH", /encoder/);
    await assert.rejects(stat(out));
  });

  it("refuses an output that cannot be written before it works, and keeps what is there", async () => {
    const blocked = place.path("g.onnx/below.png");
    await mkdir(place.path("taken"));
    const started = performance.now();
    await fails(
      ["train", ...place.models, "-n", "3000000", "-o", blocked],
      "ERR_IO",
      /below.png: cannot be written/,
    );
    await fails(
      ["train", ...place.models, "-n", "3000000", "-o", place.path("taken")],
      "ERR_IO",
      /it is a folder/,
    );
    await fails(sampleLine("--class", "1", "-o", blocked), "ERR_IO", /below/);
    await fails(["pairs", ...place.models, "-n", "3000000", "-o", blocked], "ERR_IO", /below/);
    assert.ok(performance.now() - started < 5000);
    await copyFile(translator, place.path("kept.safetensors"));
    await fails(
      ["train", ...place.models, "-n", "20", "--held-out", "20", "-o", place.path("kept.safetensors")],
      "ERR_INVALID_ARGUMENT",
      /heldOut/,
    );
    assert.deepEqual(await readFile(place.path("kept.safetensors")), await readFile(translator));
  });

  it("stops at Ctrl-C with 130, writes nothing half, and goes on later", async () => {
    const files = async (): Promise<string[]> => (await readdir(place.path("."))).sort();
    const before = await files();
    const signals = new EventEmitter();
    const train = tr0n(
      ["train", ...place.models, "-n", "3000000", "-o", place.path("stopped.safetensors")],
      signals,
    );
    setTimeout(() => signals.emit("SIGINT", "SIGINT"), 300);
    const started = performance.now();
    const { code, out, error } = await train;
    assert.equal(code, 130, error);
    assert.equal(out, "");
    assert.equal(error.replace(decided, ""), "tr0n: stopped by SIGINT [ERR_ABORTED]\n");
    assert.ok(performance.now() - started < 5000);
    assert.deepEqual(await files(), before);
    assert.equal(signals.listenerCount("SIGINT") + signals.listenerCount("SIGTERM"), 0);

    const line = [
      "pairs",
      ...place.models,
      "-n",
      "3000000",
      "-o",
      place.path("long"),
      "--shard-size",
      "2000",
    ];
    const pairs = tr0n(line, signals);
    const folder = place.path("long");
    const firstShard = setInterval(() => {
      readdir(folder).then(
        (names) => names.some((name) => name.endsWith(".safetensors")) && signals.emit("SIGTERM", "SIGTERM"),
        () => undefined,
      );
    }, 20);
    const stopped = await pairs;
    clearInterval(firstShard);
    assert.equal(stopped.code, 143, stopped.error);
    assert.ok((await readdir(folder)).every((name) => !name.endsWith(".tmp")));
    const report = await done(line.map((word) => (word === "3000000" ? "8000" : word)));
    assert.ok((report["count"] as number) >= 8000);
  });
});
