/** What TorchScript files look like from outside: names, shapes, types, modes. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { loadModel, tensor, type Model } from "../../lib/index.js";
import { assertClose, seeded } from "../support/numbers.js";
import { demoFile, needsTorch, torchFixture } from "../support/torch.js";

const load = (name: string, inputShapes?: Record<string, (number | null)[]>): Promise<Model> =>
  loadModel(torchFixture(name), inputShapes ? { inputShapes } : undefined);
const x24 = tensor([1, -2, 3, 0.5, 0.25, 4, -1, 2], [2, 4]);

describe("torchscript: inputs and outputs", function () {
  this.timeout(60_000);
  before(function () {
    needsTorch(this);
  });

  it("are the same from a file, a URL and bytes, whatever the file is called", async () => {
    const path = demoFile("classifier.pt");
    for (const source of [path, new URL(`file://${path}`), new Uint8Array(readFileSync(path))]) {
      using model = await loadModel(source);
      assert.equal(model.format, "torchscript");
      assert.deepEqual(model.inputs, [{ name: "image", shape: [null, 3, 32, 32], type: "float32" }]);
    }
  });

  it("dictionaries: outputs by key, gradients of each alone and of all", async () => {
    using model = await load("dictionary");
    assert.deepEqual(
      model.outputs.map(({ name, shape }) => [name, shape]),
      [
        ["scores", [null, 3]],
        ["embedding", [null, 5]],
      ],
    );
    const x = tensor(seeded(1).normals(12), [2, 6]);
    const a = tensor(seeded(2).normals(6), [2, 3]);
    const b = tensor(seeded(3).normals(10), [2, 5]);
    const of = async (cotangents: Record<string, typeof a>) =>
      (await model.vjp(x, cotangents)).gradients["x"]!.data;
    const [one, other, both] = [
      await of({ scores: a }),
      await of({ embedding: b }),
      await of({ scores: a, embedding: b }),
    ];
    assertClose(
      both,
      one.map((value, i) => value + other[i]!),
      1e-6,
      "the sum of both",
    );
  });

  it("named tuples by their fields, lists by their numbers", async () => {
    using pair = await load("named_pair", { x: [null, 4] });
    const { mean, std } = await pair.run(x24);
    assertClose(mean!.data, [0.625, 1.3125], 1e-6, "mean");
    assert.deepEqual(std!.shape, [2, 1]);
    using list = await load("lists", { x: [null, 4] });
    const { output_0, output_1 } = await list.run(x24);
    assert.deepEqual([...output_0!.data.slice(0, 3)], [2, -1, 4]);
    assert.deepEqual([...output_1!.data.slice(0, 3)], [2, -4, 6]);
  });

  it("float64 and integers are converted, and gradients come as float32", async () => {
    using double = await load("double");
    assert.equal(double.inputs[0]!.type, "float64");
    const { gradients } = await double.vjp(x24, tensor([1, 0, 0, 0, 1, 0], [2, 3]));
    assert.ok(gradients["x"]!.data instanceof Float32Array);
    using indices = await load("indices", { index: [null], scale: [1, 3] });
    assert.deepEqual(
      indices.inputs.map(({ type }) => type),
      ["int64", "float32"],
    );
    const feeds = { index: tensor([4, 0], [2]), scale: tensor([1, 2, 0], [1, 3]) };
    const result = await indices.vjp(feeds, tensor(new Float32Array(6).fill(1), [2, 3]));
    assert.deepEqual(Object.keys(result.gradients), ["scale"]);
    await assert.rejects(indices.run({ ...feeds, index: tensor([0.5, 0], [2]) }), {
      code: "ERR_INVALID_ARGUMENT",
    });
  });

  it("training mode is switched off: no dropout, no noise, no statistics of the batch", async () => {
    using model = await load("scripted");
    const x = tensor(seeded(4).normals(30), [5, 6]);
    const first = (await model.run(x))["output"]!.data;
    const again = (await model.vjp(x, tensor(new Float32Array(15).fill(1), [5, 3]))).outputs["output"]!.data;
    assert.deepEqual(again, first);
    const alone = (await model.run(tensor(x.data.slice(6, 12), [1, 6])))["output"]!.data;
    assertClose(alone, first.slice(3, 6), 1e-6, "a row alone");
  });

  it("what the caller passed stays as it is where a model works in place", async () => {
    using model = await load("in_place", { x: [null, 4] });
    const before = x24.data.slice();
    const { output } = await model.run(x24);
    assertClose(
      output!.data,
      x24.data.map((value) => Math.tanh(2 * value)),
      1e-6,
      "tanh(2x)",
    );
    const { gradients } = await model.vjp(x24, tensor(new Float32Array(8).fill(1), [2, 4]));
    assertClose(
      gradients["x"]!.data,
      x24.data.map((value) => 2 / Math.cosh(2 * value) ** 2),
      1e-5,
      "gradient",
    );
    assert.deepEqual(x24.data, before);
  });

  it("shapes that the model does not tell are asked for", async () => {
    await assert.rejects(load("lists"), {
      code: "ERR_INVALID_ARGUMENT",
      message: /"x".*options\.inputShapes/,
    });
    await assert.rejects(load("lists", { y: [1, 4] }), {
      code: "ERR_INVALID_ARGUMENT",
      message: /no input "y"/,
    });
    await assert.rejects(load("scripted", { x: [null, 7] }), {
      code: "ERR_RUN_FAILED",
      message: /inputShapes/,
    });
    using fixed = await load("scripted", { x: [3, 6] });
    assert.deepEqual(fixed.inputs[0]!.shape, [null, 6]);
  });

  it("a CUDA device needs a libtorch that has one", async () => {
    await assert.rejects(loadModel(demoFile("classifier.pt"), { device: "cuda:9" }), {
      code: "ERR_DEVICE_UNAVAILABLE",
      message: /cuda/i,
    });
  });

  it("are found without computing what a decoder computes", async () => {
    const cpu = async <T>(body: () => Promise<T>): Promise<[T, number]> => {
      const before = process.cpuUsage();
      const result = await body();
      const { user, system } = process.cpuUsage(before);
      return [result, user + system];
    };
    const shapes = ({ inputs, outputs }: Model): unknown => [inputs[0]!.shape, outputs[0]!.shape];
    const [found, guessing] = await cpu(() => load("decoder"));
    using open = found;
    assert.deepEqual(shapes(open), [
      [null, 4, null, null],
      [null, 3, null, null],
    ]);
    using given = await load("decoder", { z: [null, 4, 8, 12] });
    assert.deepEqual(shapes(given), [
      [null, 4, 8, 12],
      [null, 3, 64, 96],
    ]);
    using one = await load("decoder", { z: [1, 4, 8, 12] });
    assert.deepEqual(shapes(one), shapes(given));
    const z = tensor(seeded(1).normals(4 * 64 * 64), [1, 4, 64, 64]);
    const [images, running] = await cpu(() => open.run(z));
    assert.deepEqual(images["output"]!.shape, [1, 3, 512, 512]);
    assert.ok(guessing < running, `${guessing} µs to find the shapes, ${running} µs for one image`);
    // What does not fit is refused as by the operators themselves.
    await assert.rejects(load("decoder", { z: [null, 5, 8, 8] }), { code: "ERR_RUN_FAILED" });
  });
});
