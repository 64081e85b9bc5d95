/** Matrices that stay in the model's own file until a session is opened. */
import assert from "node:assert/strict";
import { copyFile, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadModel } from "../../lib/model/model.js";
import { modelSource, readGraphInPlace } from "../../lib/model/source.js";
import {
  Builder,
  DataType,
  emptyGraph,
  encodeModel,
  externalWeights,
  type Graph,
} from "../../lib/onnx/index.js";
import { tensor } from "../../lib/base/tensor.js";
import { checkedWeights } from "../../lib/model/checked-file.js";
import { openGraph } from "../../lib/model/weights.js";
import { random, uniform } from "../support/numbers.js";

const width = 192;

/** Two linear layers, whose matrices begin anywhere in the file, depending on the length of their names. */
function network(suffix: string): Graph {
  const next = random(5);
  const b = new Builder(emptyGraph(`network${suffix}`, 17));
  const layer = (x: string): string => {
    const data = Float32Array.from(uniform(next, width * width, -0.1, 0.1));
    const turned = b.op("Transpose", [b.constant(data, [width, width], DataType.FLOAT)], { perm: [1, 0] });
    const bias = b.constant(Float32Array.from(uniform(next, width)), [width], DataType.FLOAT);
    return b.op("Tanh", [b.op("Add", [b.op("MatMul", [x, turned]), bias])]);
  };
  b.output("y", layer(layer(b.input("x", DataType.FLOAT, ["batch", width]))));
  return b.graph;
}

describe("models whose matrices stay in their file", () => {
  let folder: string;
  const x = tensor(uniform(random(1), 2 * width), [2, width]);
  const seed = tensor(uniform(random(2), 2 * width), [2, width]);
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "in-place-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  for (const suffix of ["", "1", "12", "123"])
    it(`the same outputs and gradients as from bytes, wherever they begin: ${suffix.length}`, async () => {
      const bytes = encodeModel(network(suffix));
      const path = join(folder, "model.onnx");
      await writeFile(path, bytes);
      const left = checkedWeights(await readGraphInPlace(modelSource(path), {}));
      assert.deepEqual(
        left.map(({ shape, path: file }) => [shape, file]),
        [0, 1].map(() => [[width, width], path]),
      );
      using whole = await loadModel(bytes);
      using own = await loadModel(path);
      const [a, b] = [await whole.vjp(x, seed), await own.vjp(x, seed)];
      assert.deepEqual(b.outputs, a.outputs);
      assert.deepEqual(b.gradients, a.gradients);
    });

  it("a session has nothing to do with the file any more", async () => {
    const path = join(folder, "model.onnx");
    await writeFile(path, encodeModel(network("")));
    const graph = await readGraphInPlace(modelSource(path), {});
    const session = await openGraph(graph, { name: "model", threads: 1, what: "open" });
    const feeds = { x: { data: x.data, shape: [...x.shape] } };
    const expected = await session.run(feeds).promise;
    await truncate(path, 0);
    assert.deepEqual(await session.run(feeds).promise, expected);
    session.dispose();
  });

  it("a file that is gone or has become shorter is an error that names it", async () => {
    const path = join(folder, "model.onnx");
    await writeFile(path, encodeModel(network("")));
    const graph = await readGraphInPlace(modelSource(path), {});
    const attempt = () => openGraph(graph, { name: "model", threads: 1, what: "open" });
    await copyFile(path, join(folder, "copy.onnx"));
    await truncate(path, 100_000);
    await assert.rejects(attempt, { code: "ERR_MODEL_INVALID", message: /model\.onnx" has changed/ });
    // As long as before, and something else.
    await copyFile(join(folder, "copy.onnx"), path);
    await assert.rejects(attempt, { code: "ERR_MODEL_INVALID", message: /model\.onnx" has changed/ });
    await rm(path);
    await assert.rejects(attempt, { code: "ERR_MODEL_NOT_FOUND", message: /model\.onnx" cannot be read/ });
  });

  it("a model that is mostly something else stays as it is", async () => {
    const b = new Builder(network(""));
    const table = new Array<number>(100_000).fill(1);
    b.output("z", b.op("Gather", [b.constant(table, [1000, 100], DataType.INT64), b.ints([3])]));
    const path = join(folder, "model.onnx");
    await writeFile(path, encodeModel(b.graph));
    assert.deepEqual(externalWeights(await readGraphInPlace(modelSource(path), {})), []);
  });
});
