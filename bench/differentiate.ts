/**
 * A gradient step, forward and backward, against PyTorch's autograd: `npm run bench:differentiate -- [MODEL …]`.
 *
 * The models are made by bench/differentiate.py from this repository's own definitions and kept in .cache/bench. Every
 * measurement has a process of its own, so that its peak memory is its own too; both sides take turns. Needs torch and
 * torchvision (PYTHON names the interpreter, default /usr/bin/python3).
 */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { differentiateSimplified } from "../lib/model/differentiate.js";
import { runJob } from "../lib/native/job.js";
import { modelSource, readGraphInPlace } from "../lib/model/source.js";
import { Builder, DataType, differentiateGraph, emptyGraph, type Graph } from "../lib/onnx/index.js";
import { openGraph } from "../lib/model/weights.js";

const models: Record<string, { batch: number; runs: number }> = {
  dcgan: { batch: 16, runs: 20 },
  clip_vit: { batch: 8, runs: 5 },
  resnet50: { batch: 8, runs: 5 },
  biggan: { batch: 8, runs: 2 },
};
const threads = 2;
/** How PyTorch's threads wait for each other: the better one counts. With a busy neighbour spinning is ten times slower. */
const policies = ["active", "passive"];
const python = process.env.PYTHON ?? "/usr/bin/python3";
const folder = fileURLToPath(new URL("../.cache/bench/", import.meta.url));

interface Measured {
  /** Milliseconds. */
  step: number[];
  forward: number[];
  /** MiB */
  peak: number;
  /** Milliseconds to simplify and differentiate, once the model is decoded. */
  differentiate?: number;
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

/** In the sessions that Model.vjp and samplers open; inputs are the same every time. */
async function milliseconds(graph: Graph, name: string, runs: number): Promise<number[]> {
  const { batch } = models[name]!;
  const { inputs } = graph;
  const session = await openGraph(graph, { name, threads, what: "bench" });
  const feeds = Object.fromEntries(
    inputs.map((input) => {
      const shape = input.dims!.map((dim) => (typeof dim === "number" ? dim : batch));
      const data = Float32Array.from(
        { length: shape.reduce((p, q) => p * q, 1) },
        (_, i) => Math.SQRT2 * Math.sin(i * i + 1),
      );
      return [input.name, { data, shape }];
    }),
  );
  const times: number[] = [];
  // The first run takes memory from the system.
  for (let i = -2; i < runs; i++) {
    const start = performance.now();
    await runJob("run", undefined, () => session.run(feeds));
    if (i >= 0) times.push(performance.now() - start);
  }
  session.dispose();
  return times;
}

/** This library's part, in a process of its own. */
async function measure(name: string): Promise<Measured> {
  const { runs } = models[name]!;
  const read = (): Promise<Graph> => readGraphInPlace(modelSource(`${folder}${name}.onnx`));
  let differentiate = 0;
  const gradient = async (): Promise<Graph> => {
    const graph = await read();
    const start = performance.now();
    const options = { seed: "ones", keepOutputs: false } as const;
    const result = await differentiateSimplified(graph, options, { name, simplify: true });
    differentiate = performance.now() - start;
    return result.graph;
  };
  const step = await milliseconds(await gradient(), name, runs);
  const peak = process.resourceUsage().maxRSS / 1024;
  const forward = await milliseconds(await read(), name, runs);
  return { step, forward, peak, differentiate };
}

/** A chain of 4,000 nodes. */
function synthetic(): Graph {
  const b = new Builder(emptyGraph("synthetic"));
  let x = b.input("x", DataType.FLOAT, ["batch", 8]);
  const weight = b.constant(new Array<number>(64).fill(0.1), [8, 8], DataType.FLOAT);
  for (let i = 0; i < 1000; i++) {
    const h = b.op("Tanh", [b.op("MatMul", [x, weight])]);
    x = b.op("Add", [x, b.op("Mul", [h, h])]);
  }
  b.output("y", x);
  return b.graph;
}

function child(command: string, args: string[], more: Record<string, string> = {}): string {
  const env: NodeJS.ProcessEnv = { ...process.env, ...more };
  // PyTorch's OpenBLAS shall choose its kernels by itself.
  delete env.OPENBLAS_CORETYPE;
  delete env.OPENBLAS_L2_SIZE;
  return execFileSync(command, args, { env, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

function together(parts: Measured[]): Measured {
  return {
    step: parts.flatMap((part) => part.step),
    forward: parts.flatMap((part) => part.forward),
    peak: Math.max(...parts.map((part) => part.peak)),
    differentiate: parts[0]!.differentiate,
  };
}

function compare(names: string[]): void {
  mkdirSync(folder, { recursive: true });
  const script = fileURLToPath(new URL("differentiate.py", import.meta.url));
  child(python, [script, "export", folder]);
  const rows = names.map((name) => {
    const ours: Measured[] = [];
    const theirs: Measured[] = [];
    for (const OMP_WAIT_POLICY of policies) {
      const own = child(process.execPath, [...process.execArgv, process.argv[1]!, "--measure", name]);
      ours.push(JSON.parse(own) as Measured);
      const peer = child(python, [script, "time", name, `${threads}`, `${models[name]!.runs}`], {
        OMP_WAIT_POLICY,
      });
      theirs.push(JSON.parse(peer) as Measured);
    }
    const a = together(ours);
    const b = theirs.reduce((best, next) => (median(next.step) < median(best.step) ? next : best));
    const [step, forward, peerStep] = [median(a.step), median(a.forward), median(b.step)];
    return {
      model: `${name}, batch ${models[name]!.batch}`,
      "forward ms": forward.toFixed(0),
      "step ms": step.toFixed(0),
      "backward / forward": ((step - forward) / forward).toFixed(2),
      "peak MiB": a.peak.toFixed(0),
      "differentiate ms": a.differentiate!.toFixed(0),
      "PyTorch forward": median(b.forward).toFixed(0),
      "PyTorch step": peerStep.toFixed(0),
      "PyTorch peak": b.peak.toFixed(0),
      "times faster": (peerStep / step).toFixed(2),
    };
  });
  console.table(rows);
  const graph = synthetic();
  const start = performance.now();
  differentiateGraph(graph);
  const took = performance.now() - start;
  console.log(`${graph.nodes.length} nodes differentiated in ${took.toFixed(0)} ms`);
}

const [flag, ...rest] = process.argv.slice(2);
if (flag === "--measure") process.stdout.write(JSON.stringify(await measure(rest[0]!)));
else compare(flag === undefined ? Object.keys(models) : [flag, ...rest]);
