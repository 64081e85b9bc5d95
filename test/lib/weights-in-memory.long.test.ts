/** How often the weights of a model lie in memory while it runs and is differentiated. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Builder, DataType, emptyGraph, encodeModel } from "../../lib/onnx/index.js";
import { finish } from "../support/process.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const program = join(root, "test/fixtures/lib/weights-in-memory.ts");

/** `layers` products of sequences and matrices, or convolutions, with weights that differ. */
function network(kind: "products" | "convolutions", layers: number, width: number): Uint8Array {
  const b = new Builder(emptyGraph(kind, 17));
  const flat = kind === "products";
  let x = b.input("x", DataType.FLOAT, flat ? ["batch", 3, width] : ["batch", width, 4, 4]);
  for (let i = 0; i < layers; i++) {
    const data = new Float32Array(width * width * (flat ? 1 : 9));
    for (let k = 0; k < data.length; k++) data[k] = ((k * 7 + i) % 13) * 1e-4;
    const weights = b.constant(data, flat ? [width, width] : [width, width, 3, 3], DataType.FLOAT);
    x = b.op("Relu", [
      flat ? b.op("MatMul", [x, weights]) : b.op("Conv", [x, weights], { pads: [1, 1, 1, 1] }),
    ]);
  }
  b.output("y", x);
  return encodeModel(b.graph);
}

async function measured(kind: "products" | "convolutions", layers: number, width: number) {
  const folder = await mkdtemp(join(tmpdir(), "weights-"));
  try {
    const path = join(folder, "model.onnx");
    const bytes = network(kind, layers, width);
    await writeFile(path, bytes);
    await writeFile(`${path}.tiny`, network(kind, 1, 16));
    const { stdout, stderr } = await finish(process.execPath, ["--import", "tsx", program, path, "1"], {
      cwd: root,
      env: { ...process.env, TR0N_CACHE: "off" },
      timeout: 120_000,
    });
    assert.match(stdout, /peak/, stderr);
    const { peak, after } = JSON.parse(stdout) as { peak: number; after: number };
    return { peak: peak / bytes.length, after: after / bytes.length };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe("weights in memory", function () {
  this.timeout(240_000);
  before(function () {
    if (process.platform !== "linux") this.skip();
  });

  it("a transformer's matrices lie there once", async () => {
    const { peak, after } = await measured("products", 20, 1024); // 84 MB
    assert.ok(peak < 1.8, `${peak.toFixed(2)} times its weights at most`);
    assert.ok(after < 1.5, `${after.toFixed(2)} times its weights afterwards`);
  });

  it("kernels of convolutions lie there twice, for there and back", async () => {
    const { peak, after } = await measured("convolutions", 9, 512); // 85 MB
    assert.ok(peak < 8.5, `${peak.toFixed(2)} times its weights at most`);
    assert.ok(after < 3, `${after.toFixed(2)} times its weights afterwards`);
  });
});
