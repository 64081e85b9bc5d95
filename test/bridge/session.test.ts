import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mlp } from "../support/bridge-models.js";
import { onnxModel, type ElementType } from "../support/onnx.js";
import { addon, open, rejectsCode, repositoryFile, sameBits, throwsCode } from "../support/bridge.js";
import { numbers } from "../support/numbers.js";

describe("bridge: sessions", () => {
  let folder: string;
  before(async () => (folder = await mkdtemp(join(tmpdir(), "tr0n-session-"))));
  after(() => rm(folder, { recursive: true }));

  it("opens bytes, describes inputs and outputs, runs", async () => {
    const session = await open(mlp(3, 5, 2));
    assert.deepEqual(session.inputs, [
      { name: "x", shape: [null, 3], symbols: ["batch", null], type: "float32" },
    ]);
    assert.deepEqual(session.outputs, [
      { name: "y", shape: [null, 2], symbols: ["batch", null], type: "float32" },
    ]);
    const x = numbers(1, 4 * 3);
    const { y } = await session.run({ x: { data: x, shape: [4, 3] } }).promise;
    const w1 = numbers(3, 15);
    const w2 = numbers(4, 10);
    const expected = Float32Array.from({ length: 8 }, (_, i) => {
      let sum = 0;
      for (let h = 0; h < 5; h++) {
        let a = 0;
        for (let j = 0; j < 3; j++) a += x[Math.floor(i / 2) * 3 + j]! * w1[j * 5 + h]!;
        sum += Math.max(a, 0) * w2[h * 2 + (i % 2)]!;
      }
      return sum;
    });
    assert.deepEqual(y!.shape, [4, 2]);
    expected.forEach((value, i) => assert.ok(Math.abs(value - Number(y!.data[i])) < 1e-6));
    session.dispose();
  });

  it("opens a file", async () => {
    const path = join(folder, "mlp.onnx");
    await writeFile(path, mlp(3, 5, 2));
    const x = { data: numbers(1, 6), shape: [2, 3] };
    const fromFile = await (await open(path)).run({ x }).promise;
    const fromBytes = await (await open(mlp(3, 5, 2))).run({ x }).promise;
    sameBits(fromFile["y"]!.data as Float32Array, fromBytes["y"]!.data as Float32Array, "y");
    assert.equal(addon.onnxRuntimeVersion(), "1.30.0");
  });

  it("takes constants in files as values of inputs, and opens no file that a model names", async () => {
    const weights = numbers(9, 32 * 8);
    const y = { name: "y", dims: ["batch", 8] };
    const x = { name: "x", dims: ["batch", 32] };
    const nodes: [string, string[], string[]][] = [["MatMul", ["x", "w"], ["y"]]];
    const given = { name: "w", dims: [32, 8], data: weights };
    const split = onnxModel({
      inputs: [x],
      outputs: [y],
      nodes,
      weights: [{ ...given, external: "weights.bin" }],
    });
    const path = join(folder, "external.onnx");
    const file = join(folder, "weights.bin");
    await writeFile(path, split);
    await writeFile(file, Buffer.from(weights.buffer));
    for (const source of [path, split]) {
      assert.equal(await addon.hasExternalData(source).promise, true);
      await rejectsCode(open(source), "ERR_MODEL_UNSUPPORTED", /constant "w" lie in another file/);
    }
    const whole = onnxModel({ inputs: [x], outputs: [y], nodes, weights: [given] });
    assert.equal(await addon.hasExternalData(whole).promise, false);
    const open2 = onnxModel({ inputs: [x, { name: "w", dims: [32, 8] }], outputs: [y], nodes });
    const session = await open(open2, {
      weights: [{ name: "w", elemType: 1, shape: [32, 8], file, state: "", offset: 0 }],
    });
    assert.deepEqual(
      session.inputs.map((input) => [input.name, input.shape, input.symbols]),
      [["x", [null, 32], ["batch", null]]],
    );
    const feeds = { x: { data: numbers(1, 64), shape: [2, 32] } };
    const other = await open(whole);
    const [a, b] = [await session.run(feeds).promise, await other.run(feeds).promise];
    sameBits(a["y"]!.data as Float32Array, b["y"]!.data as Float32Array, "y");
    session.dispose();
    other.dispose();
  });

  it("carries every numeric type", async () => {
    const arrays = {
      float32: Float32Array.of(1.5, -2),
      float64: Float64Array.of(1e300, -2),
      int32: Int32Array.of(-(2 ** 31), 7),
      int64: BigInt64Array.of(-(2n ** 62n), 7n),
      uint8: Uint8Array.of(255, 0),
      bool: Uint8Array.of(1, 0),
      int8: Int8Array.of(-128, 1),
      uint16: Uint16Array.of(65535, 1),
      float16: Uint16Array.of(0x3c00, 0xc000),
    };
    const types = Object.keys(arrays) as (keyof typeof arrays & ElementType)[];
    const session = await open(
      onnxModel({
        inputs: types.map((type) => ({ name: `in_${type}`, dims: ["n"], type })),
        outputs: types.map((type) => ({ name: `out_${type}`, dims: ["n"], type })),
        nodes: types.map((type) => ["Identity", [`in_${type}`], [`out_${type}`]] as const),
      }),
    );
    assert.deepEqual(
      session.inputs.map((input) => input.type),
      types,
    );
    const inputs = Object.fromEntries(
      types.map((t) => [`in_${t}`, { data: arrays[t] as Float32Array, shape: [2] }]),
    );
    const outputs = await session.run(inputs).promise;
    for (const type of types) assert.deepEqual(outputs[`out_${type}`]!.data, arrays[type], type);
    // Only the outputs asked for come back, in any order.
    const some = await session.run(inputs, ["out_int64", "out_bool"]).promise;
    assert.deepEqual(Object.keys(some), ["out_int64", "out_bool"]);
  });

  it("runs the demo classifier on any batch", async () => {
    const session = await open(repositoryFile("models/classifier.onnx"));
    for (const n of [1, 7]) {
      const image = { data: numbers(1, n * 3 * 32 * 32), shape: [n, 3, 32, 32] };
      const { logits } = await session.run({ image }).promise;
      assert.deepEqual(logits!.shape, [n, 10]);
    }
  });

  it("checks inputs before running", async () => {
    const session = await open(mlp(3, 5, 2, 4), { name: "the head" });
    const x = { data: numbers(1, 12), shape: [4, 3] };
    throwsCode(() => session.run({}), "ERR_INVALID_ARGUMENT", /the head: input "x" is missing.*"x"/);
    throwsCode(() => session.run({ x, u: x }), "ERR_INVALID_ARGUMENT", /no input "u"; its inputs are: "x"/);
    throwsCode(
      () => session.run({ x }, ["z"]),
      "ERR_INVALID_ARGUMENT",
      /no output "z"; its outputs are: "y"/,
    );
    throwsCode(() => session.run({ x }, []), "ERR_INVALID_ARGUMENT", /outputs: expected at least one name/);
    const shaped = (shape: number[], count: number) => () =>
      session.run({ x: { data: numbers(1, count), shape } });
    throwsCode(shaped([5, 3], 15), "ERR_SHAPE_MISMATCH", /input "x": expected shape \[4, 3\], got \[5, 3\]/);
    throwsCode(shaped([4, 3, 1], 12), "ERR_SHAPE_MISMATCH", /expected shape \[4, 3\], got \[4, 3, 1\]/);
    throwsCode(shaped([4, 3], 11), "ERR_INVALID_ARGUMENT", /inputs\.x\.data: expected 12 elements.*got 11/);
    throwsCode(shaped([4, -3], 12), "ERR_INVALID_ARGUMENT", /inputs\.x\.shape\[1\]: expected an integer/);
    throwsCode(shaped([2 ** 40, 2 ** 40], 12), "ERR_INVALID_ARGUMENT", /is not possible/);
    const wrong = (data: unknown) => () => session.run({ x: { data: data as Float32Array, shape: [4, 3] } });
    throwsCode(
      wrong(new Float64Array(12)),
      "ERR_INVALID_ARGUMENT",
      /input "x": expected float32, got float64/,
    );
    throwsCode(
      wrong([1, 2]),
      "ERR_INVALID_ARGUMENT",
      /inputs\.x\.data: expected a typed array, got an array/,
    );
    throwsCode(() => session.run(5 as never), "ERR_INVALID_ARGUMENT", /inputs: expected an object, got 5/);
  });

  it("works after dispose for nobody, during dispose for those who run", async () => {
    const session = await open(mlp(64, 256, 64));
    const x = { data: numbers(1, 512 * 64), shape: [512, 64] };
    const running = Array.from({ length: 8 }, () => session.run({ x }).promise);
    session.dispose();
    session.dispose();
    throwsCode(() => session.run({ x }), "ERR_DISPOSED", /session has been disposed of/);
    for (const { y } of await Promise.all(running)) assert.deepEqual(y!.shape, [512, 64]);
  });

  it("gives the same results where foreign memory is forbidden", async () => {
    const session = await open(mlp(64, 256, 64));
    const x = { data: numbers(1, 512 * 64), shape: [512, 64] };
    const handed = await session.run({ x }).promise;
    addon.setExternalMemory(false);
    try {
      const copied = await session.run({ x }).promise;
      sameBits(copied["y"]!.data as Float32Array, handed["y"]!.data as Float32Array, "y");
    } finally {
      addon.setExternalMemory(true);
    }
  });

  it("copies memory that can go away: resizable and shared buffers", async () => {
    const session = await open(mlp(64, 64, 64));
    const x = numbers(1, 512 * 64);
    const expected = await session.run({ x: { data: x, shape: [512, 64] } }).promise;
    const resizable = new (
      ArrayBuffer as unknown as new (
        n: number,
        o: object,
      ) => ArrayBuffer & {
        resize(n: number): void;
      }
    )(x.byteLength, { maxByteLength: x.byteLength * 2 });
    const view = new Float32Array(resizable);
    view.set(x);
    const shared = new Float32Array(new SharedArrayBuffer(x.byteLength));
    shared.set(x);
    const jobs = [view, shared].map((data) => session.run({ x: { data, shape: [512, 64] } }).promise);
    resizable.resize(0);
    shared.fill(Number.NaN);
    for (const { y } of await Promise.all(jobs))
      sameBits(y!.data as Float32Array, expected["y"]!.data as Float32Array, "y");
  });
});
