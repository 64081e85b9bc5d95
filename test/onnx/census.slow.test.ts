/**
 * All modules of PyTorch that export, at all operator sets: outputs and gradients are those of PyTorch in float64, which shares
 * nothing with this library's shapes and rules.
 */
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { decodeModel, differentiateGraph, graphToRun, type Graph } from "../../lib/onnx/index.js";
import { runGraph, type Feed, type Results } from "../support/operators.js";

interface Numbers {
  dims: number[];
  data: string;
}
interface Exported {
  name: string;
  inputs: Numbers[];
  outputs: Numbers[];
  seeds: Numbers[];
  gradients: Numbers[];
  /** Where the file lies, by operator set, or why there is none. */
  files: Record<string, [number, number] | string>;
}

const script = fileURLToPath(new URL("../../scripts/fixtures/census/export.py", import.meta.url));
const python = "/usr/bin/python3";

function feed({ dims, data }: Numbers): Feed & { data: Float64Array } {
  const bytes = Uint8Array.from(Buffer.from(data, "base64"));
  return { dims, data: new Float64Array(bytes.buffer) };
}

/** The largest difference, as a share of the largest number. */
function apart(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (got.length !== expected.length) return Infinity;
  let [worst, scale] = [0, 1e-3];
  for (let i = 0; i < expected.length; i++) {
    scale = Math.max(scale, Math.abs(expected[i]!));
    const off = Math.abs(got[i]! - expected[i]!);
    worst = Number.isNaN(off) ? Infinity : Math.max(worst, off);
  }
  return worst / scale;
}

/** Files that the exporter of PyTorch 1.13 makes of another function, or that ONNX Runtime refuses: nobody's gradient is theirs. */
const misexported = [
  "Conv1d circular",
  "Conv2d circular",
  "Conv3d circular",
  "CrossEntropyLoss of shares",
  "Softplus 2, 1",
  "Upsample bilinear {'scale_factor': 2}",
  "Upsample linear",
  "Upsample trilinear",
  "interpolate to half",
  "pad circular",
  "scatter_add",
];

/** Whether a file is the module; null where the runtime refuses it as it is (Max of unequal shapes at operator set 7). */
async function isModule(of: Exported, graph: Graph, feeds: Record<string, Feed>): Promise<boolean | null> {
  let results: Results;
  try {
    results = await runGraph(graphToRun(graph), feeds);
  } catch {
    return null;
  }
  return graph.outputs.every(({ name }, i) => apart(results[name]!.data, feed(of.outputs[i]!).data) <= 1e-4);
}

/** What is wrong with one file; null where nothing is. */
async function wrong(of: Exported, bytes: Uint8Array): Promise<string | null> {
  let refused = false;
  try {
    const graph = decodeModel(bytes);
    const outputs = graph.outputs.map(({ name }) => name);
    // An input that the export has folded away has no gradient to be compared.
    const given = of.inputs.flatMap((_, i) => (graph.inputs.some(({ name }) => name === `x${i}`) ? [i] : []));
    const feeds: Record<string, Feed> = {};
    for (const i of given) feeds[`x${i}`] = feed(of.inputs[i]!);
    const exported = await isModule(of, graph, feeds);
    if (exported === false) return "misexported";
    refused = exported === null;
    const gradient = differentiateGraph(graph, { wrt: given.map((i) => `x${i}`) });
    of.seeds.forEach((seed, i) => (feeds[`grad_${outputs[i]!}`] = feed(seed)));
    const results = await runGraph(gradient, feeds);
    for (const [i, name] of outputs.entries()) {
      const off = apart(results[name]!.data, feed(of.outputs[i]!).data);
      if (!(off <= 1e-4)) return refused ? "misexported" : `output ${i} is off by ${off}`;
    }
    for (const i of given) {
      const off = apart(results[`grad_x${i}`]!.data, feed(of.gradients[i]!).data);
      if (!(off <= 1e-4)) return `the gradient of input ${i} is off by ${off}`;
    }
    return null;
  } catch (error) {
    return refused ? "misexported" : String(error).slice(0, 300);
  }
}

describe("onnx: the modules of PyTorch at every operator set", () => {
  it("have PyTorch's own gradients", async function () {
    this.timeout(1_200_000);
    if (spawnSync(python, ["-c", "import torch"]).status !== 0) {
      process.stdout.write("      skipped: needs PyTorch (Debian: apt-get install python3-torch)\n");
      this.skip();
    }
    const folder = await mkdtemp(join(tmpdir(), "tr0n-census-"));
    try {
      await promisify(execFile)(python, [script, folder, process.env.CENSUS ?? ""], { maxBuffer: 1 << 26 });
      const models = await readFile(join(folder, "models.bin"));
      const index = JSON.parse(await readFile(join(folder, "index.json"), "utf8")) as { cases: Exported[] };
      const found = new Map<string, string[]>();
      const others = new Set<string>();
      let count = 0;
      for (const each of index.cases)
        for (const [opset, file] of Object.entries(each.files)) {
          if (typeof file === "string") continue;
          count++;
          const message = await wrong(each, models.subarray(file[0], file[0] + file[1]));
          if (message === null) continue;
          if (message === "misexported") {
            others.add(each.name);
            continue;
          }
          const key = `${each.name}: ${message}`;
          found.set(key, [...(found.get(key) ?? []), opset]);
        }
      const lines = [...found].map(([key, opsets]) => `${key} (operator sets ${opsets.join(", ")})`);
      assert.deepEqual(lines, []);
      if (!process.env.CENSUS) assert.deepEqual([...others].sort(), misexported);
      process.stdout.write(`      ${index.cases.length} modules, ${count} files\n`);
      assert.ok(process.env.CENSUS || count > 2500, `only ${count} files were exported`);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
