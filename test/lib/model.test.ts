import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { loadModel, tensor, type Model, type Tensor } from "../../lib/index.js";
import { assertNoMore, countObjects } from "../support/counters.js";
import { Builder, DataType, emptyGraph, encodeModel } from "../../lib/onnx/index.js";
import {
  close,
  countingController,
  rejects,
  tinyEncoder,
  tinyGenerator,
  withFolder,
} from "../support/tiny.js";
import { numbers } from "../support/numbers.js";

/** y = x · w + 1 and s = Σ x, for one type of x. */
function typed(type: number, last = "Identity"): Uint8Array {
  const b = new Builder(emptyGraph("typed"));
  b.output("y", b.op(last, [b.input("x", type, ["n"])]));
  return encodeModel(b.graph);
}

/** y = a · b (elementwise) and s = a + b. */
function product(): Uint8Array {
  const b = new Builder(emptyGraph("product"));
  const [p, q] = [b.input("a", DataType.FLOAT, ["n", 2]), b.input("b", DataType.FLOAT, ["n", 2])];
  b.output("y", b.op("Mul", [p, q]));
  b.output("s", b.op("Add", [p, q]));
  return encodeModel(b.graph);
}

const wrong = (value: unknown) => value as never;

describe("loadModel", () => {
  it("takes a path, a file URL and bytes, and tells inputs and outputs", async () => {
    await withFolder(async (folder) => {
      const path = join(folder, "g.onnx");
      await writeFile(path, tinyGenerator());
      for (const source of [path, pathToFileURL(path), pathToFileURL(path).href, tinyGenerator()]) {
        using model = await loadModel(source);
        assert.equal(model.format, "onnx");
        assert.deepEqual(model.inputs, [{ name: "z", shape: [null, 6], type: "float32" }]);
        assert.deepEqual(model.outputs, [{ name: "image", shape: [null, 3, 4, 4], type: "float32" }]);
      }
    });
  });

  it("copies bytes, and remembers models by the SHA-256 of theirs", async () => {
    const bytes = tinyGenerator();
    const expected = createHash("sha256").update(bytes).digest("hex");
    await withFolder(async (folder) => {
      await writeFile(join(folder, "g.onnx"), bytes);
      using fromFile = await loadModel(join(folder, "g.onnx"));
      assert.equal(await fromFile.fingerprint(), expected);
    });
    using model = await loadModel(bytes);
    bytes.fill(0);
    assert.equal(await model.fingerprint(), expected);
    assert.equal((await model.run(tensor(new Float32Array(6), [1, 6])))["image"]!.data.length, 48);
  });

  it("refuses what is not there or no model", async () => {
    await withFolder(async (folder) => {
      const file = async (name: string, bytes: Uint8Array | string): Promise<string> => {
        await writeFile(join(folder, name), bytes);
        return join(folder, name);
      };
      const sound = tinyGenerator();
      await mkdir(join(folder, "d.onnx"));
      await rejects(
        loadModel(join(folder, "missing.onnx")),
        "ERR_MODEL_NOT_FOUND",
        /missing.onnx.*no such file/,
      );
      await rejects(loadModel(join(folder, "d.onnx")), "ERR_MODEL_NOT_FOUND", /expected a model file/);
      await rejects(loadModel(join(folder, "g.onnx", "x")), "ERR_MODEL_NOT_FOUND");
      await rejects(loadModel(await file("empty.onnx", "")), "ERR_MODEL_INVALID", /empty/);
      await rejects(
        loadModel(await file("text.onnx", "hello, I am no model")),
        "ERR_MODEL_INVALID",
        /text.onnx/,
      );
      await rejects(
        loadModel(await file("cut.onnx", sound.subarray(0, sound.length - 40))),
        "ERR_MODEL_INVALID",
      );
      await rejects(loadModel(numbersAsBytes(3)), "ERR_MODEL_INVALID");
      await rejects(loadModel(new Uint8Array(0)), "ERR_MODEL_INVALID", /empty/);
      const zip = Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0);
      await rejects(
        loadModel(zip, { format: "onnx" }),
        "ERR_MODEL_INVALID",
        /expected an ONNX model, got a zip/,
      );
      const pickle = Uint8Array.of(0x80, 2, 0x8a, 10);
      await rejects(loadModel(pickle), "ERR_MODEL_INVALID", /a Python pickle .* has no code/);
      await rejects(
        loadModel(sound, { format: "torchscript" }),
        "ERR_MODEL_INVALID",
        /expected a TorchScript archive/,
      );
    });
  });

  it("refuses arguments of the wrong kind", async () => {
    await rejects(loadModel(wrong(undefined)), "ERR_INVALID_ARGUMENT", /source/);
    await rejects(loadModel(""), "ERR_INVALID_ARGUMENT", /source/);
    await rejects(
      loadModel("https://example.org/m.onnx"),
      "ERR_INVALID_ARGUMENT",
      /fetch remote models first/,
    );
    await rejects(loadModel("http://"), "ERR_INVALID_ARGUMENT", /a path, a file URL or bytes/);
    await rejects(
      loadModel(new URL("file://elsewhere/m.onnx")),
      "ERR_INVALID_ARGUMENT",
      /a file on this machine/,
    );
    await rejects(loadModel(tinyGenerator(), { format: wrong("keras") }), "ERR_INVALID_ARGUMENT", /format/);
    await rejects(loadModel(tinyGenerator(), { threads: 0 }), "ERR_INVALID_ARGUMENT", /threads/);
    await rejects(
      loadModel(tinyGenerator(), wrong({ thread: 1 })),
      "ERR_INVALID_ARGUMENT",
      /unknown option "thread"/,
    );
    await rejects(
      loadModel(tinyGenerator(), { inputShapes: { width: 4 } }),
      "ERR_INVALID_ARGUMENT",
      /no axis "width"; its inputs are z \[batch, 6\]/,
    );
    await rejects(loadModel(tinyGenerator(), { device: "cuda:9999" }), "ERR_DEVICE_UNAVAILABLE");
    const signal = AbortSignal.abort(new Error("late"));
    const error = await rejects(loadModel(tinyGenerator(), { signal }), "ERR_ABORTED");
    assert.equal((error.cause as Error).message, "late");
    const { controller, listeners } = countingController();
    (await loadModel(tinyGenerator(), { signal: controller.signal }))[Symbol.dispose]();
    assert.equal(listeners(), 0);
  });

  it("reads weights that lie in another file, and hashes them too", async () => {
    await withFolder(async (folder) => {
      const { path, weights } = await external(folder);
      using model = await loadModel(path);
      close((await model.run(tensor([1, 0], [1, 2])))["y"]!.data, weights.slice(0, 3), 1e-6);
      const { gradients } = await model.vjp(tensor([1, 0], [1, 2]), tensor([1, 1, 1], [1, 3]));
      const sums = [0, 3].map((at) => weights[at]! + weights[at + 1]! + weights[at + 2]!);
      close(gradients["x"]!.data, sums, 1e-6);
      const before = await model.fingerprint();
      await writeFile(join(folder, "weights.bin"), new Uint8Array(numbers(99, 6).buffer));
      using changed = await loadModel(path);
      assert.notEqual(await changed.fingerprint(), before);
      await rename(join(folder, "weights.bin"), join(folder, "gone.bin"));
      await rejects(loadModel(path), "ERR_MODEL_NOT_FOUND", /weights.bin/);
    });
  });
});

function numbersAsBytes(seed: number): Uint8Array {
  return new Uint8Array(numbers(seed, 200).buffer);
}

/** y = x · W with W in weights.bin. */
async function external(folder: string): Promise<{ path: string; weights: Float32Array }> {
  const { TensorProto_DataLocation, StringStringEntryProtoSchema } = await import("onnx-buf");
  const { create } = await import("@bufbuild/protobuf");
  const weights = numbers(7, 6);
  const b = new Builder(emptyGraph("external"));
  const x = b.input("x", DataType.FLOAT, ["n", 2]);
  const w = b.constant(new Float32Array(6), [2, 3], DataType.FLOAT);
  b.output("y", b.op("MatMul", [x, w]));
  const entry = (key: string, value: string) => create(StringStringEntryProtoSchema, { key, value });
  const stored = b.graph.initializers.get(w)!;
  stored.rawData = new Uint8Array(0);
  stored.floatData = [];
  stored.dataLocation = TensorProto_DataLocation.EXTERNAL;
  stored.externalData = [entry("location", "weights.bin"), entry("offset", "0"), entry("length", "24")];
  await writeFile(join(folder, "weights.bin"), new Uint8Array(weights.buffer));
  const path = join(folder, "external.onnx");
  await writeFile(path, encodeModel(b.graph));
  return { path, weights };
}

describe("Model", () => {
  let model: Model;
  const a = tensor([1, 2, 3, 4], [2, 2]);
  const b = tensor([5, 6, 7, 8], [2, 2]);
  before(async () => {
    model = await loadModel(product());
  });
  after(() => model[Symbol.dispose]());

  it("runs", async () => {
    const { y, s } = await model.run({ a, b });
    assert.deepEqual(y, { data: Float32Array.of(5, 12, 21, 32), shape: [2, 2] });
    assert.deepEqual([...s!.data], [6, 8, 10, 12]);
  });

  it("gives vector–Jacobian products, for one output or several", async () => {
    const one = tensor([1, 1, 1, 1], [2, 2]);
    const only = await model.vjp({ a, b }, { y: one });
    assert.deepEqual([...only.gradients["a"]!.data], [...b.data]);
    assert.deepEqual([...only.gradients["b"]!.data], [...a.data]);
    assert.deepEqual(Object.keys(only.outputs).sort(), ["s", "y"]);
    const both = await model.vjp({ a, b }, { y: one, s: tensor([1, 0, 0, 2], [2, 2]) });
    assert.deepEqual([...both.gradients["a"]!.data], [6, 6, 7, 10]);
  });

  it("has a Jacobian that finite differences confirm", async () => {
    using generator = await loadModel(tinyGenerator());
    const z = numbers(3, 12);
    const cotangent = tensor(numbers(4, 96), [2, 3, 4, 4]);
    const { gradients } = await generator.vjp(tensor(z, [2, 6]), cotangent);
    const value = async (data: Float32Array): Promise<number> => {
      const { image } = await generator.run(tensor(data, [2, 6]));
      return image!.data.reduce((sum, x, i) => sum + x * cotangent.data[i]!, 0);
    };
    for (let i = 0; i < 12; i++) {
      const [up, down] = [Float32Array.from(z), Float32Array.from(z)];
      up[i]! += 1e-2;
      down[i]! -= 1e-2;
      close([gradients["z"]!.data[i]!], [((await value(up)) - (await value(down))) / 2e-2], 5e-3, `z[${i}]`);
    }
  });

  it("checks its inputs", async () => {
    const bad: [unknown, "ERR_INVALID_ARGUMENT" | "ERR_SHAPE_MISMATCH", RegExp][] = [
      [undefined, "ERR_INVALID_ARGUMENT", /inputs: expected a Tensor or an object/],
      [[a, b], "ERR_INVALID_ARGUMENT", /inputs/],
      [a, "ERR_INVALID_ARGUMENT", /each of "a", "b", got a single Tensor/],
      [{ a }, "ERR_INVALID_ARGUMENT", /expected a Tensor for "b", got none/],
      [{ a, b, c: a }, "ERR_INVALID_ARGUMENT", /no input "c"; it has "a", "b"/],
      [{ a, b: 3 }, "ERR_INVALID_ARGUMENT", /inputs.b: expected a Tensor/],
      [{ a, b: { data: [1, 2], shape: [1, 2] } }, "ERR_INVALID_ARGUMENT", /inputs.b/],
      [{ a, b: { data: b.data, shape: [4, 2] } }, "ERR_SHAPE_MISMATCH", /expected 8 elements/],
      [
        { a, b: tensor([1, 2, 3], [1, 3]) },
        "ERR_SHAPE_MISMATCH",
        /inputs.b: expected the shape \[\?, 2\], got \[1, 3\]/,
      ],
      [{ a, b: tensor([], [0, 2]) }, "ERR_INVALID_ARGUMENT", /at least one row/],
    ];
    for (const [inputs, code, message] of bad) await rejects(model.run(wrong(inputs)), code, message);
    await rejects(model.run({ a, b }, wrong({ sinal: 1 })), "ERR_INVALID_ARGUMENT", /"sinal"/);
    await rejects(model.vjp({ a, b }, {}), "ERR_INVALID_ARGUMENT", /cotangents: expected at least one/);
    await rejects(model.vjp({ a, b }, { z: a }), "ERR_INVALID_ARGUMENT", /no output "z"/);
    await rejects(model.vjp({ a, b }, a), "ERR_INVALID_ARGUMENT", /got a single Tensor/);
    // One row would do for any number of rows, for the graph multiplies with it.
    await rejects(
      model.vjp({ a, b }, { y: tensor([1, 1], [1, 2]) }),
      "ERR_SHAPE_MISMATCH",
      /cotangents.y: expected the shape \[2, 2\] of this output, got \[1, 2\]/,
    );
    // The rows of a and b differ, which only the runtime sees.
    await rejects(model.run({ a, b: tensor([1, 2, 3, 4, 5, 6], [3, 2]) }), "ERR_RUN_FAILED");
    assert.equal((await model.run({ a, b }))["y"]!.data[0], 5, "it works on");
  });

  it("converts what it is fed with and what it gives to the model's types", async () => {
    for (const [type, values] of [
      [DataType.DOUBLE, [0.5, -3]],
      [DataType.INT64, [5, -3]],
      [DataType.INT32, [5, -3]],
      [DataType.UINT8, [5, 255]],
      [DataType.BOOL, [1, 0]],
    ] as const) {
      using converting = await loadModel(typed(type));
      const { y } = await converting.run(tensor(values, [2]));
      assert.ok(y!.data instanceof Float32Array);
      assert.deepEqual([...y!.data], [...values]);
    }
    using integers = await loadModel(typed(DataType.INT64));
    await rejects(
      integers.run(tensor([0.5], [1])),
      "ERR_INVALID_ARGUMENT",
      /whole numbers.* got 0.5 at index 0/,
    );
    await rejects(integers.run(tensor([Number.NaN], [1])), "ERR_INVALID_ARGUMENT", /got NaN/);
    await rejects(integers.vjp(tensor([1], [1]), tensor([1], [1])), "ERR_NO_GRADIENT", /no float32 input/);
    using bytes = await loadModel(typed(DataType.UINT8));
    await rejects(bytes.run(tensor([256], [1])), "ERR_INVALID_ARGUMENT", /0 … 255/);
  });

  it("names the operator that has no gradient, and runs all the same", async () => {
    const b = new Builder(emptyGraph("regions"));
    const region = b.constant([0, 0, 2, 2], [1, 4], DataType.FLOAT);
    const x1 = b.input("x", DataType.FLOAT, ["n", 1, 2, 2]);
    const pooled = {
      output_height: 1,
      output_width: 1,
      sampling_ratio: 2,
      coordinate_transformation_mode: "output_half_pixel",
    };
    b.output("y", b.op("RoiAlign", [x1, region, b.ints([0])], pooled));
    b.graph.outputs[0] = { name: "y", elemType: DataType.FLOAT, dims: ["m", 1, 1, 1] };
    using blocked = await loadModel(encodeModel(b.graph));
    const x: Tensor = tensor([1, 2, 3, 4], [1, 1, 2, 2]);
    const { y } = await blocked.run(x);
    assert.ok(y!.data[0]! > 1 && y!.data[0]! < 4);
    await rejects(blocked.vjp(x, tensor([1], [1, 1, 1, 1])), "ERR_NO_GRADIENT", /RoiAlign/);
  });

  it("can be aborted, and cannot be used after dispose(), which may come twice", async () => {
    const gone = await loadModel(tinyEncoder());
    const x = tensor(numbers(1, 48), [1, 3, 4, 4]);
    const signal = AbortSignal.abort("stop");
    const error = await rejects(gone.run(x, { signal }), "ERR_ABORTED", /run was aborted/);
    assert.equal(error.cause, "stop");
    await gone.vjp(x, tensor([1, 0, 0], [1, 3]));
    gone[Symbol.dispose]();
    gone.dispose();
    await rejects(gone.run(x), "ERR_DISPOSED");
    await rejects(gone.vjp(x, tensor([1, 0, 0], [1, 3])), "ERR_DISPOSED");
    await rejects(() => gone.fingerprint(), "ERR_DISPOSED");
  });

  it("leaves nothing behind", async () => {
    const before = countObjects();
    for (let i = 0; i < 3; i++) {
      using passing = await loadModel(tinyEncoder());
      await passing.vjp(tensor(numbers(1, 48), [1, 3, 4, 4]), tensor([1, 0, 0], [1, 3]));
    }
    const leaving = await loadModel(tinyEncoder());
    const running = leaving.vjp(tensor(numbers(1, 48), [1, 3, 4, 4]), tensor([1, 0, 0], [1, 3]));
    leaving[Symbol.dispose]();
    await rejects(running, "ERR_DISPOSED");
    await assertNoMore(before);
  });
});
