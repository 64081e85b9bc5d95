/** TorchScript that takes several tensors, by themselves or in containers, and tensors in half precision; against PyTorch's numbers. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Tr0n, energy, latent, sampler, tensor, type Decision, type Tensor } from "../../lib/index.js";
import { codeOf } from "../../lib/latent/labels.js";
import { assertClose, numbers } from "../support/numbers.js";
import { bits, close, rejects, tinyEncoder, withFolder } from "../support/tiny.js";
import { needsTorch, torchFixture } from "../support/torch.js";
import { keeper } from "../support/keeper.js";

type Numbers = Record<string, { shape: number[]; data: number[] }>;
const expected = JSON.parse(readFileSync(torchFixture("inputs", "json"), "utf8")) as Record<string, Numbers>;
const of = (name: string, value: string): Tensor => {
  const { data, shape } = expected[name]![value]!;
  return tensor(data, shape);
};

describe("torchscript: several inputs", function () {
  this.timeout(120_000);
  const { load: open, closeAll } = keeper();
  before(function () {
    needsTorch(this);
  });
  after(closeAll);
  const noiseShape = { noise: [null, 1, 4, 4] };
  const quiet = { device: "cpu", seed: 3, onDecision: () => undefined } as const;

  for (const [file, names, shapes, image] of [
    ["several", ["z", "noise"], noiseShape, "output"],
    ["dictionary", ["z", "noise"], noiseShape, "image"],
    ["tuple", ["parts_0", "parts_1"], { parts_1: noiseShape.noise }, "output_0"],
    ["named", ["z", "noise"], noiseShape, "output"],
    ["list", ["parts_0", "parts_1"], { parts_1: noiseShape.noise }, "output_0"],
  ] as [string, [string, string], Record<string, number[]>, string][])
    it(`gives PyTorch's numbers and gradients: ${file}`, async () => {
      const model = await open(torchFixture(`${file}_inputs`), { inputShapes: shapes });
      assert.deepEqual(
        model.inputs.map(({ name, shape, type }) => [name, shape, type]),
        [
          [names[0], [null, 4], "float32"],
          [names[1], [null, 1, 4, 4], "float32"],
        ],
      );
      const inputs = { [names[0]]: of("several", "z"), [names[1]]: of("several", "noise") };
      const { outputs, gradients } = await model.vjp(inputs, { [image]: of("several", "cotangent") });
      close(outputs[image]!.data, of("several", "image").data, 1e-6);
      close(gradients[names[0]]!.data, of("several", "dz").data, 1e-5);
      close(gradients[names[1]]!.data, of("several", "dnoise").data, 1e-5);
    });

  it("are parts of one latent in a pipeline, with the gradient to all of them", async () => {
    const generator = await open(torchFixture("dictionary_inputs"), {
      inputShapes: noiseShape,
      output: "image",
    });
    const encoder = await open(tinyEncoder({ image: [1, 4, 4] }));
    const prior = latent.product({ noise: latent.normal(16, { std: 0.5 }), z: latent.normal(4) });
    using tr0n = await Tr0n.create({
      generator,
      encoder,
      latent: prior,
      energy: energy.crossEntropy(),
      ...quiet,
    });
    assert.deepEqual(tr0n.imageShape, [1, 4, 4]);
    const z = numbers(4, 40);
    const { z: own, noise } = tr0n.splitLatents(tensor(z, [2, 20]));
    const images = await tr0n.generate(tensor(z, [2, 20]));
    close(images.data, (await generator.run({ z: own!, noise: noise! }))["image"]!.data, 1e-6);
    const objective = await tr0n.objective.native(true);
    const c = Float32Array.of(1, 0, 0, 0, 0, 1);
    const { gradients } = await objective.evaluate(z, c, 2).promise;
    const step = 2 ** -6;
    const slopes = await Promise.all(
      Array.from(z, async (_, i) => {
        const at = async (by: number): Promise<number> => {
          const moved = z.slice();
          moved[i]! += by;
          return (await objective.energy(moved, c, 2).promise)[Math.floor(i / 20)]!;
        };
        return ((await at(step)) - (await at(-step))) / (2 * step);
      }),
    );
    assertClose(gradients, slopes, 2e-3, "against differences");
    await tr0n.train({ pairs: 300, epochs: 1 });
    await withFolder(async (folder) => {
      const path = join(folder, "t.safetensors");
      await tr0n.save(path);
      using again = await Tr0n.load(path, { generator, encoder, device: "cpu", onDecision: () => undefined });
      const options = { count: 3, seed: 4 };
      const [one, two] = [
        await tr0n.sample({ class: 1 }, options),
        await again.sample({ class: 1 }, options),
      ];
      assert.equal(bits(one.images.data), bits(two.images.data));
    });
  });

  it("classes and constants: PyTorch's numbers, and a chain keeps its class", async () => {
    const file = torchFixture("conditional_inputs");
    const encoder = await open(tinyEncoder({ image: [1, 4, 4] }));
    const generator = await open(file, { inputs: { psi: 0.7 }, inputShapes: { label: [null] } });
    assert.deepEqual(
      generator.inputs.map(({ name, type, shape }) => [name, type, shape]),
      [
        ["z", "float32", [null, 4]],
        ["label", "int64", [null]],
      ],
    );
    const { outputs, gradients } = await generator.vjp(
      { z: of("conditional", "z"), label: of("conditional", "label") },
      of("conditional", "cotangent"),
    );
    close(outputs["output"]!.data, of("conditional", "image").data, 1e-6);
    close(gradients["z"]!.data, of("conditional", "dz").data, 1e-5);
    assert.deepEqual(Object.keys(gradients), ["z"]);
    using tr0n = await Tr0n.create({
      ...{ generator, encoder, energy: energy.crossEntropy(), ...quiet },
      latent: latent.product({ z: latent.normal(4), label: latent.label(5) }),
    });
    const given = of("conditional", "z").data;
    const rows = [3, 0, 4].flatMap((label, i) => [...given.subarray(4 * i, 4 * i + 4), label]);
    close((await tr0n.generate(tensor(rows, [3, 5]))).data, of("conditional", "image").data, 1e-6);
    const objective = await tr0n.objective.native(true);
    const codes = Float32Array.of(0.5, -0.25, 1, 0.75, codeOf("label", 3, 5));
    const { gradients: slope } = await objective.evaluate(codes, Float32Array.of(0, 1, 0), 1).promise;
    assert.equal(slope[4], 0);
    assert.ok(slope.subarray(0, 4).every((x) => x !== 0));
    const seen: number[][] = [];
    const chosen = sampler.mala({ start: "prior", steps: 3 });
    for await (const { latents } of tr0n.sampleSteps(
      { class: 1 },
      { count: 20, seed: 1, sampler: chosen, every: 1 },
    ))
      seen.push([...latents!.data].filter((_, i) => i % 5 === 4));
    assert.ok(new Set(seen[0]).size > 1);
    for (const labels of seen) assert.deepEqual(labels, seen[0]);
  });

  it("fixed by value: one class for every row, and its fingerprint", async () => {
    const file = torchFixture("conditional_inputs");
    const fixed = await open(file, { inputs: { psi: 0.7, label: 3 } });
    assert.deepEqual(
      fixed.inputs.map(({ name }) => name),
      ["z"],
    );
    const free = await open(file, { inputShapes: { label: [null], psi: [] } });
    const z = of("conditional", "z");
    const psi = tensor([0.7], []);
    const all = await free.run({ z, label: tensor([3, 3, 3], [3]), psi });
    assert.equal(bits((await fixed.run(z))["output"]!.data), bits(all["output"]!.data));
    const { gradients } = await fixed.vjp(z, of("conditional", "cotangent"));
    assert.deepEqual(gradients["z"]!.shape, [3, 4]);
    const prints = await Promise.all([
      fixed.fingerprint(),
      free.fingerprint(),
      (await open(file, { inputs: { psi: 0.7, label: 2 } })).fingerprint(),
    ]);
    assert.equal(new Set(prints).size, 3);
    const encoder = await open(tinyEncoder({ image: [1, 4, 4] }));
    using tr0n = await Tr0n.create({ generator: fixed, encoder, ...quiet });
    const latents = await tr0n.drawPrior(2, { seed: 1 });
    close((await tr0n.generate(latents)).data, (await fixed.run(latents))["output"]!.data, 1e-6);
    await tr0n.train({ pairs: 200, epochs: 1 });

    const hot = await open(torchFixture("one_hot_inputs"), {
      inputs: { c: tensor([0, 0, 0, 1, 0], [5]) },
      inputShapes: { z: [null, 4] },
    });
    const row = (await hot.run(z))["output"]!.data.subarray(0, 16);
    close(row, of("one_hot", "image").data.subarray(0, 16), 1e-6);
    const noise = await open(torchFixture("several_inputs"), {
      inputs: { noise: tensor(of("several", "noise").data.slice(0, 16), [1, 1, 4, 4]) },
    });
    const first = (await noise.run(tensor(of("several", "z").data.slice(0, 4), [1, 4])))["output"]!;
    close(first.data, of("several", "image").data.subarray(0, 16), 1e-6);
    await rejects(
      open(file, { inputs: { truncation: 1 } }),
      "ERR_INVALID_ARGUMENT",
      /^options\.inputs: .* has no input "truncation"; its inputs are: "z", "label", "psi"$/,
    );
    await rejects(
      open(file, { inputs: { psi: 1, z: 0, label: 0 } }),
      "ERR_INVALID_ARGUMENT",
      /expected at least one input of .* that is not fixed/,
    );
  });

  it("half precision is run in float32, which is told", async () => {
    const generator = await open(torchFixture("halves"));
    const { outputs, gradients } = await generator.vjp(of("several", "z"), of("several", "cotangent"));
    close(outputs["output"]!.data, of("halves", "image").data, 1e-6);
    close(gradients["z"]!.data, of("halves", "dz").data, 1e-5);
    const told: Decision[] = [];
    const encoder = await open(tinyEncoder({ image: [1, 4, 4] }));
    using tr0n = await Tr0n.create({
      generator,
      encoder,
      ...quiet,
      onDecision: (decision) => told.push(decision),
    });
    assert.equal(tr0n.latentSize, 4);
    const decision = told.find(({ option }) => option === "generator")!;
    assert.equal(decision.value, "run in float32");
    assert.match(decision.reason, /^3 of the tensors of .*halves\.pt are in half precision/);
  });
});
