/**
 * Makes lib/onnx/targets/webgpu-kernels.ts by running models of one node on ONNX Runtime's WebGPU provider and comparing their
 * numbers with the CPU's: `npx tsx scripts/operators/webgpu.ts`. A machine without a GPU runs it on SwiftShader: Debian's
 * packages chromium and libvulkan1, and VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { encodeModel, type Graph } from "../../lib/onnx/index.js";
import { rules } from "../../lib/onnx/rules/index.js";
import { smallest, withBodies } from "../../test/support/smallest.js";
import { formGraph, formNames } from "./forms.js";
import { bySets, firstSet, lastSet, tableFile } from "./versions.js";

/** Operators without a gradient that networks and gradients use on real numbers. */
const others =
  "ArgMax ArgMin Ceil Floor IsInf IsNaN Round Sign And Equal Greater GreaterOrEqual Less LessOrEqual Not Or Xor";

/** What became of a model. "cpu": the provider has no kernel; "fails": it has one that fails when it runs. */
export type Outcome = "runs" | "cpu" | "fails" | "wrong";

const runtime = createRequire(import.meta.url).resolve("onnxruntime-node/package.json");
const { version } = JSON.parse(readFileSync(runtime, "utf8")) as { version: string };

async function open(graph: Graph, provider: string): Promise<InferenceSession> {
  return InferenceSession.create(encodeModel(graph), {
    executionProviders: [provider],
    graphOptimizationLevel: "disabled",
    logSeverityLevel: 4,
    // A node that falls to the CPU makes it an error.
    extra: provider === "cpu" ? {} : { session: { disable_cpu_ep_fallback: "1" } },
  });
}

/** Whether the provider takes the whole model. */
async function isPlaced(graph: Graph): Promise<boolean> {
  try {
    await (await open(graph, "webgpu")).release();
    return true;
  } catch (error) {
    if (!/assigned to the default CPU EP/.test(String(error)))
      process.stderr.write(`${graph.name} at operator set ${graph.opsets.get("")}: ${String(error)}\n`);
    return false;
  }
}

function feeds(graph: Graph): Record<string, Tensor> {
  return Object.fromEntries(
    graph.inputs.map(({ name, dims }, n) => {
      const count = (dims as number[]).reduce((p, q) => p * q, 1);
      const above = graph.name === "Acosh" ? 1 : 0;
      const data = Float32Array.from(
        { length: count },
        (_, i) => above + 0.1 + (0.8 * ((i * 7 + n * 3) % 11)) / 11,
      );
      return [name, new Tensor("float32", data, dims as number[])];
    }),
  );
}

/** The largest difference to the CPU, over the largest number; what the run fails with. */
async function difference(graph: Graph): Promise<number | string> {
  const [gpu, cpu] = [await open(graph, "webgpu"), await open(graph, "cpu")];
  try {
    const expected = await cpu.run(feeds(graph));
    const got = await gpu.run(feeds(graph));
    let [worst, scale] = [0, 1e-30];
    for (const [name, { data }] of Object.entries(expected)) {
      const other = got[name]!.data as ArrayLike<number>;
      Array.from(data as ArrayLike<number>, Number).forEach((value, i) => {
        const off = Math.abs(value - Number(other[i]));
        worst = Number.isNaN(off) ? Infinity : Math.max(worst, off);
        scale = Math.max(scale, Math.abs(value));
      });
    }
    return worst / scale;
  } catch (error) {
    return String(error);
  } finally {
    await gpu.release();
    await cpu.release();
  }
}

export async function outcome(
  graph: Graph,
  tolerance = 1e-5,
): Promise<{ outcome: Outcome; off: number | string }> {
  if (!(await isPlaced(graph))) return { outcome: "cpu", off: 0 };
  const off = await difference(graph);
  return { outcome: typeof off === "string" ? "fails" : off <= tolerance ? "runs" : "wrong", off };
}

/** Operators by the operator sets in which they run, and what is wrong with those that run badly. */
export async function measured(): Promise<{
  operators: Record<string, string>;
  forms: Record<string, Outcome>;
}> {
  const runs = new Map<string, Set<number>>();
  for (const opType of [...new Set([...rules.keys(), ...others.split(" ")])].sort()) {
    if (withBodies.has(opType)) continue;
    const least = smallest(opType, 1, firstSet).opsets.get("")!;
    const sets = new Set<number>();
    for (let set = least; set <= lastSet; set++) if (await isPlaced(smallest(opType, 1, set))) sets.add(set);
    if (sets.size > 0) {
      const { outcome: said, off } = await outcome(smallest(opType, 1, Math.min(...sets)));
      if (said !== "runs") process.stderr.write(`${opType}: ${said} (${off})\n`);
      if (said === "fails") continue;
    }
    runs.set(opType, sets);
  }
  const found: Record<string, Outcome> = {};
  for (const name of formNames) found[name] = (await outcome(formGraph(name))).outcome;
  return { operators: bySets(runs), forms: found };
}

async function writeTables(): Promise<void> {
  const { operators, forms } = await measured();
  const file = fileURLToPath(new URL("../../lib/onnx/targets/webgpu-kernels.ts", import.meta.url));
  const head = ["Made by scripts/operators/webgpu.ts, which runs each; do not edit."];
  const of = `what ONNX Runtime ${version} ran on its WebGPU provider over SwiftShader`;
  writeFileSync(file, tableFile("webgpuKernels", head, of, operators));
  execFileSync("npx", ["prettier", "--write", file]);
  writeFileSync(new URL("webgpu-forms.json", import.meta.url), `${JSON.stringify(forms, null, 2)}\n`);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href)
  void writeTables();
