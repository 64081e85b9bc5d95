/** Weights in files of their own: through the library, the tool, and shared by sessions. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { mkdir, mkdtemp, open, readFile, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StringStringEntryProtoSchema, TensorProto_DataLocation, TensorProtoSchema } from "onnx-buf";
import { loadModel } from "../../lib/model/model.js";
import { ModelFolder } from "../../lib/model/folder.js";
import { native } from "../../lib/native/binding.js";
import { Builder, DataType, decodeModel, emptyGraph, encodeModel, type Graph } from "../../lib/onnx/index.js";
import { fileWeights, openGraph, resolveExternal } from "../../lib/model/weights.js";
import { tensor } from "../../lib/base/tensor.js";
import { tr0n } from "../support/cli.js";
import { writeExternal } from "../support/external.js";
import { random, uniform } from "../support/numbers.js";

const width = 192;

/** x [batch, width] → two layers, 288 KB of weights. */
function network(): Graph {
  const next = random(5);
  const b = new Builder(emptyGraph("network", 17));
  const layer = (x: string): string => {
    const w = b.constant(uniform(next, width * width, -0.1, 0.1), [width, width], DataType.FLOAT);
    return b.op("Tanh", [b.op("Gemm", [x, w, b.constant(uniform(next, width), [width], DataType.FLOAT)])]);
  };
  b.output("y", layer(layer(b.input("x", DataType.FLOAT, ["batch", width]))));
  return b.graph;
}

describe("external data", () => {
  let folder: string;
  const path = (name: string): string => join(folder, name);
  const x = tensor(uniform(random(1), 2 * width), [2, width]);
  const seed = tensor(uniform(random(2), 2 * width), [2, width]);
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tr0n-external-"));
    await writeFile(path("whole.onnx"), encodeModel(network()));
    await writeExternal(path("split.onnx"), network());
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it("vjp gives the numbers of a model that carries its weights", async () => {
    using whole = await loadModel(path("whole.onnx"));
    using split = await loadModel(path("split.onnx"));
    const [a, b] = [await whole.vjp(x, seed), await split.vjp(x, seed)];
    assert.deepEqual(b.outputs["y"]!.data, a.outputs["y"]!.data);
    assert.deepEqual(b.gradients["x"]!.data, a.gradients["x"]!.data);
  });

  it("large weights stay outside, small ones come in, and messages name what is wrong with files", async () => {
    const bytes = await readFile(path("split.onnx"));
    const graph = await resolveExternal(decodeModel(bytes), new ModelFolder(folder), "split.onnx");
    assert.deepEqual(
      fileWeights(graph).map(({ shape, file }) => [shape, file]),
      [
        [[width, width], path("split.onnx.bin")],
        [[width, width], path("split.onnx.bin")],
      ],
    );
    await mkdir(path("alone"), { recursive: true });
    const missing = resolveExternal(decodeModel(bytes), new ModelFolder(path("alone")), "split.onnx");
    await assert.rejects(missing, { code: "ERR_MODEL_NOT_FOUND", message: /split\.onnx\.bin.*no such file/ });
    await writeFile(path("alone/split.onnx.bin"), new Uint8Array(1000));
    const short = resolveExternal(decodeModel(bytes), new ModelFolder(path("alone")), "split.onnx");
    await assert.rejects(short, { code: "ERR_MODEL_INVALID", message: /expected \d+ bytes at \d+/ });
    await assert.rejects(resolveExternal(decodeModel(bytes), null, "bytes"), {
      code: "ERR_MODEL_UNSUPPORTED",
      message:
        /constant "[^"]+": its numbers lie in another file, "split\.onnx\.bin": load the model from its path/,
    });
  });

  it("natively, a weight beyond the end of its file is an error, not a crash", async () => {
    await writeExternal(path("cut.onnx"), network());
    const bytes = await readFile(path("cut.onnx"));
    const graph = await resolveExternal(decodeModel(bytes), new ModelFolder(folder), "cut.onnx");
    await truncate(path("cut.onnx.bin"), 2000);
    const how = { name: "cut", threads: 1, what: "open" };
    await assert.rejects(openGraph(graph, how), {
      code: "ERR_MODEL_INVALID",
      message: /cut\.onnx\.bin" has changed since it was loaded/,
    });
    const beyond = fileWeights(graph).map((weight) => ({ ...weight, state: "" }));
    await assert.rejects(
      native().openSession(encodeModel(network()), { name: "cut", weights: beyond }).promise,
      {
        code: "ERR_MODEL_INVALID",
        message: /expected \d+ bytes at \d+ of .*cut\.onnx\.bin", which has 2000/,
      },
    );
    await rm(path("cut.onnx.bin"));
    await assert.rejects(openGraph(graph, how), { code: "ERR_MODEL_NOT_FOUND", message: /cut\.onnx\.bin/ });
    const weights = [{ name: "w", elemType: 99, shape: [1], file: "a", state: "", offset: 0 }];
    assert.throws(
      () => native().openSession(new Uint8Array(1), { weights }),
      /options\.weights\[0\]\.elemType/,
    );
  });

  it("tr0n differentiate refers to the files where they are, or copies them beside the result", async () => {
    const near = await tr0n(["differentiate", path("split.onnx"), "-o", path("near.onnx"), "--json"]);
    assert.equal(near.code, 0, near.error);
    assert.deepEqual(near.json()["external"], ["split.onnx.bin"]);
    assert.ok((await stat(path("near.onnx"))).size < 20_000);
    const far = await tr0n(["differentiate", path("split.onnx"), "-o", path("far/out.onnx"), "--json"]);
    assert.equal(far.code, 0, far.error);
    assert.deepEqual(far.json()["external"], ["out.onnx.data"]);
    assert.deepEqual((await readdir(path("far"))).sort(), ["out.onnx", "out.onnx.data"]);
    using whole = await loadModel(path("whole.onnx"));
    const expected = await whole.vjp(x, seed);
    for (const name of ["near.onnx", "far/out.onnx"]) {
      using model = await loadModel(path(name));
      const { grad_x } = await model.run({ x, grad_y: seed });
      assert.deepEqual(grad_x!.data, expected.gradients["x"]!.data, name);
    }
    const seen = await tr0n(["inspect", path("near.onnx"), "--json"]);
    assert.equal(seen.code, 0, seen.error);
  });

  it("sessions on the same files share what kernels pack of them", async () => {
    const b = new Builder(emptyGraph("wide", 17));
    let x = b.input("x", DataType.FLOAT, ["batch", 2048]);
    for (let i = 0; i < 6; i++)
      x = b.op("Gemm", [x, b.constant(new Float32Array(2048 * 2048).fill(i), [2048, 2048], DataType.FLOAT)]);
    b.output("y", x);
    await writeExternal(path("wide.onnx"), b.graph);
    const bytes = await readFile(path("wide.onnx"));
    const graph = await resolveExternal(decodeModel(bytes), new ModelFolder(folder), "wide.onnx");
    const how = { name: "wide", threads: 1, what: "open" };
    const sessions = [await openGraph(graph, how)];
    native().trim();
    const one = process.memoryUsage().rss;
    for (let i = 0; i < 3; i++) sessions.push(await openGraph(graph, how));
    native().trim();
    const grown = process.memoryUsage().rss - one;
    for (const session of sessions) session.dispose();
    assert.ok(grown < 1.5e8, `three more sessions on 100 MB of weights took ${grown} bytes`);
  });

  it("weights whose file is shortened or rewritten stay as they were for a model that is open", async () => {
    const [rows, columns] = [4096, 64];
    const b = new Builder(emptyGraph("table", 17));
    const index = b.input("index", DataType.INT64, ["batch"]);
    const scale = b.input("scale", DataType.FLOAT, ["batch", 1]);
    const table = b.constant(new Float32Array(rows * columns).fill(0.5), [rows, columns], DataType.FLOAT);
    b.output("y", b.sum(b.op("Mul", [scale, b.op("Gather", [table, index])]), [1], false));
    await writeExternal(path("changed.onnx"), b.graph);
    const program = fileURLToPath(new URL("../fixtures/lib/changed-weights.ts", import.meta.url));
    const child = await promisify(execFile)(process.execPath, [
      "--import",
      "tsx",
      program,
      path("changed.onnx"),
      path("changed.onnx.bin"),
    ]);
    const seen = JSON.parse(child.stdout) as Record<string, unknown>;
    const same = [64, 160, 32, 32];
    const none = [0, 0, 0, 0];
    assert.deepEqual(seen, {
      before: same,
      truncated: same,
      refused: "ERR_MODEL_INVALID",
      rewritten: same,
      fresh: none,
    });
  });

  it("a model over 2 GB runs and has a vjp", async function () {
    // A table of 2.25 GB in a file without blocks: what is not read costs nothing.
    const [rows, columns] = [25_000, 22_500];
    const b = new Builder(emptyGraph("large", 17));
    const index = b.input("index", DataType.INT64, ["batch"]);
    const scale = b.input("scale", DataType.FLOAT, ["batch", 1]);
    b.output("y", b.sum(b.op("Mul", [scale, b.op("Gather", ["table", index])]), [1], false));
    const entries = { location: "large.bin", offset: "0", length: String(4 * rows * columns) };
    b.graph.initializers.set(
      "table",
      create(TensorProtoSchema, {
        name: "table",
        dataType: DataType.FLOAT,
        dims: [BigInt(rows), BigInt(columns)],
        dataLocation: TensorProto_DataLocation.EXTERNAL,
        externalData: Object.entries(entries).map(([key, value]) =>
          create(StringStringEntryProtoSchema, { key, value }),
        ),
      }),
    );
    await writeFile(path("large.onnx"), encodeModel(b.graph));
    try {
      const file = await open(path("large.bin"), "w");
      await file.truncate(4 * rows * columns);
      await file.write(new Uint8Array(Float32Array.of(3).buffer), 0, 4, 4 * 20_000 * columns);
      await file.close();
      assert.ok((await stat(path("large.bin"))).blocks < 10_000, "holes take room here");
    } catch (error) {
      process.stdout.write(`      skipped: no sparse file of 2 GB can be made here (${String(error)})\n`);
      return this.skip();
    }
    const before = process.memoryUsage().rss;
    using model = await loadModel(path("large.onnx"));
    const inputs = { index: tensor([20_000, 7], [2]), scale: tensor([2, 5], [2, 1]) };
    assert.deepEqual([...(await model.run(inputs))["y"]!.data], [6, 0]);
    const { outputs, gradients } = await model.vjp(inputs, tensor([1, 1], [2]));
    assert.deepEqual([...outputs["y"]!.data], [6, 0]);
    assert.deepEqual([...gradients["scale"]!.data], [3, 0]);
    const written = await tr0n(["differentiate", path("large.onnx"), "-o", path("large-d.onnx"), "--json"]);
    assert.equal(written.code, 0, written.error);
    assert.ok((written.json()["bytes"] as number) < 10_000);
    assert.ok(process.memoryUsage().rss < before + 5e8, "the table was read");
  });
});
