/** Classes as part of a latent: generators that take one as whole numbers or one-hot, and samplers that leave it alone. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Tr0n, energy, latent, loadModel, sampler, tensor, type Sampler } from "../../lib/index.js";
import { classBorders, classOf, codeOf } from "../../lib/latent/labels.js";
import { latentGraph, type LatentInput } from "../../lib/latent/inputs.js";
import { Builder, DataType, emptyGraph, encodeModel, type Dim } from "../../lib/onnx/index.js";
import { runGraph } from "../support/operators.js";
import { onDevices } from "../support/devices.js";
import { numbers } from "../support/numbers.js";
import { bits, close, rejects, withFolder } from "../support/tiny.js";
import { keeper } from "../support/keeper.js";

const classes = 4;
const pixels = 6;
const embedding = Float32Array.from({ length: classes * pixels }, (_, i) =>
  i % pixels === Math.floor(i / pixels) ? 2 : -1,
);

/** (z [N, 2], y) → image [N, 1, 1, 6] = z·W + embedding[y] */
function generator(elemType: number, dims: Dim[]): Uint8Array {
  const b = new Builder(emptyGraph("generator"));
  const z = b.input("z", DataType.FLOAT, ["N", 2]);
  const y = b.input("y", elemType, dims);
  const table = b.constant(embedding, [classes, pixels], DataType.FLOAT);
  const own =
    dims.at(-1) === classes
      ? b.op("MatMul", [y, table])
      : b.op("Gather", [table, b.reshape(b.op("Cast", [y], { to: DataType.INT64 }), [-1])], { axis: 0 });
  const weights = b.constant(numbers(3, 2 * pixels, -0.4, 0.4), [2, pixels], DataType.FLOAT);
  b.output("image", b.reshape(b.op("Add", [b.op("MatMul", [z, weights]), own]), [-1, 1, 1, pixels]));
  b.graph.outputs[0]!.dims = ["N", 1, 1, pixels];
  return encodeModel(b.graph);
}

/** The first `classes` pixels as logits. */
function encoder(): Uint8Array {
  const b = new Builder(emptyGraph("classifier"));
  const x = b.op("Flatten", [b.input("x", DataType.FLOAT, ["N", 1, 1, pixels])], { axis: 1 });
  const eye = Float32Array.from({ length: pixels * classes }, (_, i) =>
    Math.floor(i / classes) === i % classes ? 2 : 0,
  );
  b.output("logits", b.op("MatMul", [x, b.constant(eye, [pixels, classes], DataType.FLOAT)]));
  b.graph.outputs[0]!.dims = ["N", classes];
  return encodeModel(b.graph);
}

const forms: [string, number, Dim[]][] = [
  ["int64 [N]", DataType.INT64, ["N"]],
  ["int32 [N, 1]", DataType.INT32, ["N", 1]],
  ["one-hot float32 [N, classes]", DataType.FLOAT, ["N", classes]],
];

describe("latent.label", function () {
  this.timeout(120_000);
  const { load: open, closeAll } = keeper();
  after(closeAll);
  const prior = latent.product({ z: latent.normal(2), y: latent.label(classes) });
  const create = async (form = forms[0]!): Promise<Tr0n> =>
    Tr0n.create({
      generator: await open(generator(form[1], form[2])),
      encoder: await open(encoder()),
      latent: prior,
      energy: energy.crossEntropy(),
      device: "cpu",
      seed: 3,
      onDecision: () => undefined,
    });
  const labels = (data: Float32Array): number[] => [...data].filter((_, i) => i % 3 === 2);

  it("tells classes by borders that are equally likely to lie between", async () => {
    for (const n of [2, 3, 10, 1000, 65_536]) {
      const borders = classBorders(n);
      assert.equal(borders.length, n - 1);
      for (let k = 1; k < borders.length; k++) assert.ok(borders[k]! > borders[k - 1]!);
      for (let label = 0; label < n; label += Math.ceil(n / 50))
        assert.equal(classOf(codeOf("y", label, n), n), label);
    }
    close(classBorders(4), [-0.6744897501960817, 0, 0.6744897501960817], 1e-7);
    close(classBorders(1000).subarray(0, 1), [-3.090232306167813], 1e-6);
    // The graph tells the same, on the borders and beside them.
    const n = 100;
    const borders = classBorders(n);
    const next = (x: number, way: number): number => {
      const bytes = new Int32Array(Float32Array.of(x).buffer);
      bytes[0] = bytes[0]! + (x < 0 ? -way : way);
      return new Float32Array(bytes.buffer)[0]!;
    };
    const codes = [...borders].flatMap((x) => (x === 0 ? [x] : [x, next(x, 1), next(x, -1)]));
    const input: LatentInput = {
      ...{ name: "y", begin: 0, size: 1, row: [], broadcast: false },
      label: { classes: n, elemType: DataType.INT64, oneHot: false },
    };
    const { input_y } = await runGraph(latentGraph("N", 1, [input]), {
      latent: { dims: [codes.length, 1], data: codes },
    });
    assert.deepEqual(
      [...input_y!.data],
      codes.map((code) => classOf(code, n)),
    );
  });

  for (const form of forms)
    it(`feeds ${form[0]}, and takes and gives classes by their numbers`, async () => {
      using tr0n = await create(form);
      const latents = await tr0n.drawPrior(2000, { seed: 2 });
      const drawn = labels(latents.data);
      for (let label = 0; label < classes; label++) {
        const count = drawn.filter((x) => x === label).length;
        assert.ok(Math.abs(count - 500) < 100, `${count} of class ${label}`);
      }
      const given = tensor([0.5, -1, 3, 0.25, 0.75, 0], [2, 3]);
      const inputs = tr0n.splitLatents(given);
      const images = await tr0n.generate(given);
      const expected = await tr0n.objective.generator.run(inputs);
      close(images.data, expected["image"]!.data, 1e-6);
      const weights = numbers(3, 2 * pixels, -0.4, 0.4);
      for (const [row, [z0, z1, label]] of [
        [0, [0.5, -1, 3]],
        [1, [0.25, 0.75, 0]],
      ] as [number, [number, number, number]][])
        close(
          images.data.subarray(row * pixels, (row + 1) * pixels),
          Array.from(
            { length: pixels },
            (_, i) => z0 * weights[i]! + z1 * weights[pixels + i]! + embedding[label * pixels + i]!,
          ),
          1e-5,
        );
      await rejects(
        tr0n.generate(tensor([0, 0, 4], [1, 3])),
        "ERR_INVALID_ARGUMENT",
        /^latents\[0, 2\]: expected a class of 0 … 3, got 4$/,
      );
    });

  it("has the gradient of everything else, and none of its own", async () => {
    using tr0n = await create();
    const objective = await tr0n.objective.native(true);
    const z = Float32Array.of(0.3, -0.7, codeOf("y", 2, classes), -0.2, 0.4, codeOf("y", 0, classes));
    const c = Float32Array.of(0, 0, 1, 0, 0, 1, 0, 0);
    const { gradients } = await objective.evaluate(z, c, 2).promise;
    const step = 2 ** -6;
    for (const i of [0, 1, 3, 4]) {
      const at = async (by: number): Promise<number> => {
        const moved = z.slice();
        moved[i]! += by;
        const energies = await objective.energy(moved, c, 2).promise;
        return energies[0]! + energies[1]!;
      };
      const slope = ((await at(step)) - (await at(-step))) / (2 * step);
      assert.ok(Math.abs(slope - gradients[i]!) < 1e-3, `${gradients[i]} against ${slope}`);
    }
    assert.deepEqual([gradients[2], gradients[5]], [0, 0]);
  });

  it("is found by the translator and by resampling, and goes through a file", async () => {
    using tr0n = await create();
    const report = await tr0n.train({ pairs: 10_000, epochs: 20 });
    assert.ok(report.gap < 0);
    assert.ok(report.pilot.stepSizes.length > 0, report.pilot.skipped ?? "");
    for (const chosen of [sampler.resample(), sampler.direct(), sampler.hybrid({ steps: 3 })]) {
      const { latents } = await tr0n.sample(
        { class: [0, 1, 2, 3] },
        { count: 100, seed: 5, sampler: chosen },
      );
      const right = labels(latents.data).filter((label, i) => label === Math.floor(i / 100)).length;
      // A quarter would be by chance.
      assert.ok(right > (chosen.kind === "resample" ? 360 : 220), `${chosen.kind}: ${right} of 400`);
    }
    await withFolder(async (folder) => {
      const file = join(folder, "t.safetensors");
      await tr0n.save(file);
      const { generator, encoder } = tr0n.objective;
      using again = await Tr0n.load(file, { generator, encoder, device: "cpu", onDecision: () => undefined });
      const options = { count: 8, seed: 9 };
      const [one, two] = [
        await tr0n.sample({ class: 2 }, options),
        await again.sample({ class: 2 }, options),
      ];
      assert.equal(bits(one.latents.data), bits(two.latents.data));
      assert.equal(bits(one.images.data), bits(two.images.data));
    });
  });

  it("goes with a batch that was exported and is opened", async () => {
    const b = new Builder(emptyGraph("generator"));
    const z = b.input("z", DataType.FLOAT, [4, 2]);
    const y = b.input("y", DataType.INT64, [4]);
    const table = b.constant(embedding, [classes, pixels], DataType.FLOAT);
    const weights = b.constant(numbers(3, 2 * pixels, -0.4, 0.4), [2, pixels], DataType.FLOAT);
    const sum = b.op("Add", [b.op("MatMul", [z, weights]), b.op("Gather", [table, y], { axis: 0 })]);
    b.output("image", b.reshape(sum, [4, 1, 1, pixels]));
    const told: string[] = [];
    using fixed = await Tr0n.create({
      ...{ generator: await open(encodeModel(b.graph)), encoder: await open(encoder()), latent: prior },
      ...{ energy: energy.crossEntropy(), device: "cpu", seed: 3 },
      onDecision: ({ value }) => told.push(value),
    });
    assert.ok(told.includes("its batch of 4 is opened"), told.join("\n"));
    using open4 = await create();
    const latents = tensor([0.5, -1, 3, 0.25, 0.75, 0, -1, 0.5, 2], [3, 3]);
    close((await fixed.generate(latents)).data, (await open4.generate(latents)).data, 1e-6);
  });

  it("refuses what it cannot be, and says what can", async () => {
    await rejects(
      () => latent.label(1),
      "ERR_INVALID_ARGUMENT",
      /^classes: expected a whole number ≥ 2|^classes: /,
    );
    const model = await open(generator(DataType.INT64, ["N"]));
    const classifier = await open(encoder());
    const make = (product: Parameters<typeof latent.product>[0], rest = {}): Promise<Tr0n> =>
      Tr0n.create({
        generator: model,
        encoder: classifier,
        latent: latent.product(product),
        device: "cpu",
        ...rest,
      });
    await rejects(
      make({ z: latent.label(4), y: latent.label(4) }),
      "ERR_SHAPE_MISMATCH",
      /^latent\.z: expected an input of the generator .* that takes a class of 4: .*got float32 \[\?, 2\]/,
    );
    await rejects(
      make({ z: latent.normal(2), y: latent.label(4) }, { translator: { auxiliary: "y" } }),
      "ERR_INVALID_ARGUMENT",
      /translator\.auxiliary: expected a group of numbers, got "y", which is a label/,
    );
    using tr0n = await create();
    await rejects(
      tr0n.sample(
        { class: 1 },
        { sampler: sampler.langevin({ start: "prior", groups: { y: { rule: "sgld" } } }) },
      ),
      "ERR_INVALID_ARGUMENT",
      /^groups\.y\.rule: expected "fixed" or nothing, for a label has no steps, got "sgld"$/,
    );
  });
});

onDevices("a chain keeps its class while its other numbers move", (device) => {
  const moving: [string, Sampler][] = [
    ["mala", sampler.mala({ steps: 6, start: "prior" })],
    ["mala with a pilot run", sampler.mala({ steps: 6, start: "prior", adapt: "pilot" })],
    ["langevin", sampler.langevin({ steps: 6, start: "prior", noise: 0.5 })],
    ["hybrid", sampler.hybrid({ steps: 6, noise: 0.5 })],
    ["resample", sampler.resample({ steps: 6 })],
  ];
  const labels = (data: Float32Array): number[] => [...data].filter((_, i) => i % 3 === 2);
  for (const [name, chosen] of moving)
    it(name, async function () {
      this.timeout(120_000);
      const generatorModel = await loadModel(generator(DataType.INT64, ["N"]));
      const encoderModel = await loadModel(encoder());
      const tr0n = await Tr0n.create({
        ...{
          generator: generatorModel,
          encoder: encoderModel,
          energy: energy.crossEntropy(),
          device,
          seed: 3,
        },
        latent: latent.product({ z: latent.normal(2), y: latent.label(classes) }),
        onDecision: () => undefined,
      });
      try {
        if (chosen.kind === "hybrid" || chosen.kind === "resample")
          await tr0n.train({ pairs: 100, epochs: 1 });
        const seen: Float32Array[] = [];
        const options = { count: 40, seed: 1, sampler: chosen, every: 1 };
        for await (const { latents } of tr0n.sampleSteps({ class: 1 }, options)) seen.push(latents!.data);
        assert.equal(seen.length, 7);
        const first = labels(seen[0]!);
        if (name !== "resample") assert.ok(new Set(first).size > 1, "chains differ in their classes");
        for (const data of seen) assert.deepEqual(labels(data), first);
        const still = [...seen[0]!].filter((x, i) => i % 3 < 2 && x === seen.at(-1)![i]).length;
        assert.ok(still < 12, `${still} of 80 numbers stood still`);
      } finally {
        tr0n.dispose();
        generatorModel.dispose();
        encoderModel.dispose();
      }
    });
});
