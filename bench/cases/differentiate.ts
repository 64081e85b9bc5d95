/**
 * What stands around a gradient step: making the gradient's graph, a forward pass alone, and the memory of a process that
 * takes such steps; against PyTorch's. The steps themselves are the case `gradient`.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { native } from "../../lib/native/binding.js";
import { Builder, DataType, differentiateGraph, emptyGraph, type Graph } from "../../lib/onnx/index.js";
import { policies, type Case, type Row, type Surroundings } from "../case.js";
import type { Measured } from "../measure-model.js";
import { modelFile } from "../models.js";

const models = { dcgan: 16, clip_vit: 8, resnet50: 8, biggan: 8 };

/** A chain of 4,000 nodes. */
function chain(): Graph {
  const b = new Builder(emptyGraph("chain"));
  let x = b.input("x", DataType.FLOAT, ["batch", 8]);
  const weight = b.constant(new Array<number>(64).fill(0.1), [8, 8], DataType.FLOAT);
  for (let i = 0; i < 1000; i++) {
    const h = b.op("Tanh", [b.op("MatMul", [x, weight])]);
    x = b.op("Add", [x, b.op("Mul", [h, h])]);
  }
  b.output("y", x);
  return b.graph;
}

/** In a process of its own, so that its peak memory is its own too. */
function measure(path: string, batch: number, seconds: number): Measured {
  const script = fileURLToPath(new URL("../measure-model.ts", import.meta.url));
  const args = [...process.execArgv, script, path, ...[batch, seconds, native().threads()].map(String)];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" })) as Measured;
}

async function rows(around: Surroundings): Promise<Row[]> {
  const graph = chain();
  const start = performance.now();
  differentiateGraph(graph);
  const found: Row[] = [
    {
      name: `a chain of ${graph.nodes.length} nodes: differentiated`,
      unit: "ms",
      ours: performance.now() - start,
    },
  ];
  for (const [name, batch] of Object.entries(models)) {
    const path = await modelFile(name, around);
    if (path === null) {
      process.stderr.write(`${name} skipped: PyTorch has to make the model\n`);
      continue;
    }
    const own = measure(path, batch, around.seconds);
    let [forward, peak]: [number[], number[]] = [[], []];
    if (around.python !== null)
      for (const policy of policies) {
        const argument = { model: name, seconds: around.seconds, least: 3 };
        const peer = await around.peer<{ forward: number; peak: number }>(
          "differentiate.py",
          argument,
          policy,
        );
        [forward, peak] = [
          [...forward, peer.forward],
          [...peak, peer.peak],
        ];
      }
    const peers = (values: number[]): Record<string, number> | undefined =>
      values.length === 0 ? undefined : { PyTorch: Math.min(...values) };
    found.push(
      { name: `${name}: simplified and differentiated`, unit: "ms", ours: own.differentiate },
      {
        name: `${name}, batch ${batch}: forward pass`,
        unit: "ms",
        ours: own.forward,
        peers: peers(forward),
      },
      { name: `${name}, batch ${batch}: gradient step`, unit: "ms", ours: own.step },
      {
        name: `${name}, batch ${batch}: peak memory of gradient steps`,
        unit: "MiB",
        ours: own.peak,
        peers: peers(peak),
      },
    );
  }
  return found;
}

const differentiate: Case = {
  name: "differentiate",
  summary: "making a gradient's graph, forward passes beside gradient steps, and the memory of both",
  run: rows,
};
export default differentiate;
