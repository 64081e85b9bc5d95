/** A model whose own session was closed at its first gradient: what comes later is as if it had stayed open. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loadModel, tensor } from "../../lib/index.js";
import { Builder, DataType, emptyGraph, encodeModel } from "../../lib/onnx/index.js";
import { numbers } from "../support/numbers.js";
import { bits, rejects, withFolder } from "../support/tiny.js";

/** 18 MB of weights: from 16 MB on sessions rest. */
const width = 2150;

function wide(): Uint8Array {
  const b = new Builder(emptyGraph("wide"));
  const x = b.input("x", DataType.FLOAT, ["batch", width]);
  b.output("y", b.op("MatMul", [x, b.constant(numbers(1, width * width), [width, width], DataType.FLOAT)]));
  b.graph.outputs[0] = { name: "y", elemType: DataType.FLOAT, dims: ["batch", width] };
  return encodeModel(b.graph);
}

describe("a session at rest", function () {
  this.timeout(60_000);

  it("runs again on what the caller gave, whatever becomes of that meanwhile", () =>
    withFolder(async (folder) => {
      const path = join(folder, "wide.onnx");
      await writeFile(path, wide());
      using model = await loadModel(path);
      const x = tensor(numbers(2, 20 * width), [20, width]);
      const before = (await model.run(x))["y"]!;
      await model.vjp(x, before);
      // The first opens it again, the second finds it opening, the third open.
      const results = [];
      for (let i = 0; i < 3; i++) {
        const given = { ...x, data: x.data.slice() };
        const run = model.run(given);
        given.data.fill(Number.NaN);
        if (i !== 1) await run;
        results.push(run);
      }
      for (const { y } of await Promise.all(results)) assert.equal(bits(y!.data), bits(before.data));
    }));

  it("says so where its file has changed, and ends with the model", () =>
    withFolder(async (folder) => {
      const path = join(folder, "wide.onnx");
      await writeFile(path, wide());
      const model = await loadModel(path);
      const x = tensor(numbers(2, width), [1, width]);
      await model.vjp(x, (await model.run(x))["y"]!);
      await writeFile(path, "another model");
      await rejects(model.run(x), "ERR_MODEL_INVALID", /wide\.onnx/);
      model[Symbol.dispose]();
      await rejects(model.run(x), "ERR_DISPOSED");
    }));
});
