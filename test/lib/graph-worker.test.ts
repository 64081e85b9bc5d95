/** Large graphs are joined and differentiated in a worker thread, with the same results. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import {
  differentiate,
  differentiateAsync,
  differentiateModel,
  loadModel,
  ModelError,
  tensor,
  Tr0n,
} from "../../lib/index.js";
import { AbortError, ArgumentError, Tr0nError } from "../../lib/base/errors.js";
import { errorMessage, revived } from "../../lib/model/error-message.js";
import { GraphWorker, WorkerLost, workerFile } from "../../lib/model/graph-worker.js";
import { graphWorker, largeNodes } from "../../lib/model/off-loop.js";
import { packageRoot } from "../../lib/native/binding.js";
import {
  Builder,
  compose,
  DataType,
  decodeModel,
  differentiateGraph,
  emptyGraph,
  encodeModel,
  finish as finishSteps,
  graphToRun,
  LimitError,
  makeTensor,
  noteReader,
  packSteps,
  readNumbers,
  unpackSteps,
  Weights,
  type Graph,
} from "../../lib/onnx/index.js";
import { leastHold, longestHold } from "../support/event-loop.js";
import { cellDecoder } from "../support/heavy.js";
import { random, uniform } from "../support/numbers.js";
import { finish } from "../support/process.js";

/** Linear layers of `width`, of five nodes each; `odd` at the end. */
function deep(layers: number, width = 8, odd?: string): Graph {
  const next = random(3);
  const b = new Builder(emptyGraph("deep", 17));
  let x = b.input("x", DataType.FLOAT, ["batch", width]);
  for (let i = 0; i < layers; i++) {
    const data = Float32Array.from(uniform(next, width * width, -0.2, 0.2));
    const product = b.op("MatMul", [x, b.constant(data, [width, width], DataType.FLOAT)]);
    const centred = b.op("Sub", [product, b.op("ReduceMean", [product], { axes: [1] })]);
    x = b.op("Add", [x, b.op("Tanh", [centred])]);
  }
  b.output("y", odd ? b.op(odd, [x]) : x);
  return b.graph;
}

const large = Math.ceil(largeNodes / 5) + 1;
const bytesOf = (graph: Graph): Buffer => Buffer.from(encodeModel(graph));

/** What comes of the same pass in both ways, errors too. */
async function outcome(work: () => Graph | Promise<Graph>): Promise<Buffer | [unknown, string, string]> {
  try {
    return bytesOf(await work());
  } catch (error) {
    const { constructor, code, message } = error as Tr0nError;
    return [constructor, code, message];
  }
}

describe("the graph worker", function () {
  this.timeout(240_000);
  let worker: GraphWorker;
  before(() => {
    worker = new GraphWorker({ file: workerFile(), start: 120_000 });
  });
  after(() => worker.end());

  const fixtures = [
    "biggan",
    "clip_resnet",
    "clip_vit",
    "dcgan",
    "nvae",
    "stylegan2_fused",
    "stylegan3",
    "vqgan",
  ];
  for (const name of fixtures)
    it(`makes of ${name}, byte for byte, what the passes make in this thread`, async () => {
      const path = join(packageRoot, "test", "fixtures", "architectures", `${name}.onnx`);
      const graph = decodeModel(await readFile(path));
      const before = bytesOf(graph);
      const run = (...args: [Parameters<GraphWorker["run"]>[1], Graph[], unknown[]]): Promise<Graph> =>
        worker.run("test", ...args);
      const allowRandom = true;
      const gradient = await outcome(() => run("differentiate", [graph], [{ allowRandom }]));
      assert.ok(Buffer.isBuffer(gradient));
      assert.deepEqual(gradient, await outcome(() => differentiateGraph(graph, { allowRandom })));
      assert.deepEqual(
        await outcome(() => run("toRun", [graph], [])),
        await outcome(() => graphToRun(graph)),
      );
      const head = emptyGraph("head", 13);
      const b = new Builder(head);
      const { dims, name: output } = graph.outputs[0]!;
      b.output("e", b.op("Tanh", [b.input("v", DataType.FLOAT, [...dims!])]));
      const args = [{ v: output }, { prefix: "head/", keepOutputs: [output] }] as const;
      const joined = await outcome(() => run("compose", [graph, head], [...args]));
      assert.ok(Buffer.isBuffer(joined));
      assert.deepEqual(
        joined,
        await outcome(() => compose(graph, head, args[0], { ...args[1], keepOutputs: [output] })),
      );
      assert.deepEqual(bytesOf(graph), before, "the graph given is as it was");
    });

  it("does not send the numbers of large weights, in whatever form they are", () => {
    const graph = deep(3, 96);
    const b = new Builder(graph);
    const value = makeTensor("value", DataType.FLOAT, [96, 96], new Float32Array(96 * 96).fill(2));
    const constant = b.op("Constant", [], { value });
    b.output("z", b.op("MatMul", ["x", constant]));
    const weights = new Weights("note ");
    const parcel = finishSteps(packSteps(graph, weights));
    assert.ok(parcel.bytes.length < 96 * 96 * 4, `${parcel.bytes.length} bytes`);
    const there = finishSteps(unpackSteps(parcel, noteReader("note ")));
    const [note] = there.initializers.values();
    assert.throws(() => readNumbers(note!), { code: "ERR_INTERNAL", message: /did not come along/ });
    const back = finishSteps(packSteps(there, null));
    assert.deepEqual(
      bytesOf(finishSteps(unpackSteps(back, (each) => weights.restored(each)))),
      bytesOf(graph),
    );
  });

  it("keeps sizes of values whose type nobody knows, and an empty name", () => {
    const graph = deep(1);
    graph.name = "";
    graph.valueInfos.set("somewhere", { name: "somewhere", elemType: 0, dims: [3, "n", null] });
    const same = finishSteps(unpackSteps(finishSteps(packSteps(graph, null)), (each) => each));
    assert.deepEqual(same.valueInfos, graph.valueInfos);
    assert.equal(same.name, "");
  });

  it("sends all weights where a rule wants the numbers of one that stayed", async () => {
    // An If hands the weight to its branch: there an operator may look into it that nobody saw outside.
    const b = new Builder(emptyGraph("kernel", 17));
    const x = b.input("x", DataType.FLOAT, [1, 64, 8, 8]);
    const W = b.constant(Float32Array.from(uniform(random(1), 64 * 64 * 16)), [64, 64, 4, 4], DataType.FLOAT);
    const turned = b.op("Transpose", [W], { perm: [1, 0, 2, 3] });
    b.output(
      "y",
      b.op("ConvTranspose", [x, turned], { strides: [2, 2], pads: [1, 1, 1, 1], kernel_shape: [4, 4] }),
    );
    const before = worker.done;
    const got = await outcome(() => worker.run("test", "toRun", [b.graph], []));
    assert.ok(Buffer.isBuffer(got));
    assert.deepEqual(got, await outcome(() => graphToRun(b.graph)));
    assert.equal(worker.done - before, 2);
  });

  it("throws what the passes throw: class, code, message and cause", async () => {
    for (const [graph, options] of [
      [deep(2, 8, "Hedge"), {}],
      [deep(2), { wrt: ["nobody"] }],
      [deep(2, 8, "Round"), {}],
    ] as const) {
      const there = await outcome(() => worker.run("test", "differentiate", [graph], [options]));
      assert.ok(!Buffer.isBuffer(there));
      assert.deepEqual(
        there,
        await outcome(() => differentiateGraph(graph, { ...options, wrt: options.wrt && [...options.wrt] })),
      );
    }
    const pass = (error: unknown): unknown => revived(structuredClone(errorMessage(error)));
    const cause = new TypeError("why");
    for (const error of [
      new ArgumentError("a", { code: "ERR_SHAPE_MISMATCH", cause }),
      new ModelError("ERR_NO_GRADIENT", "b", { cause: new ModelError("ERR_MODEL_INVALID", "c", { cause }) }),
      new LimitError("d"),
      new Tr0nError("ERR_INTERNAL", "e"),
      cause,
    ]) {
      const copy = pass(error) as Tr0nError;
      assert.equal(copy.constructor, error.constructor);
      assert.deepEqual(
        [copy.name, copy.message, copy.code],
        [error.name, error.message, (error as Tr0nError).code],
      );
      assert.deepEqual(copy.cause, error.cause);
    }
  });

  it("an abort ends a job at once, and the next one is served", async () => {
    // Far longer than a timer of a moment on any machine.
    const graph = deep(1_500);
    const abort = new AbortController();
    const running = worker.run("the job", "differentiate", [graph], [{}], abort.signal);
    const failed = assert.rejects(running, (error) => {
      assert.ok(error instanceof AbortError);
      assert.equal(error.message, "the job was aborted");
      assert.equal(error.cause, "enough");
      return true;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    const { hold } = await longestHold(async () => {
      abort.abort("enough");
      await failed;
    });
    assert.ok(hold < 100, `${hold} ms`);
    // The thread is free again as soon as its step is over: it needs much longer for the whole graph.
    const start = performance.now();
    await worker.run("test", "differentiate", [deep(1)], [{}]);
    const waited = performance.now() - start;
    const again = performance.now();
    await worker.run("test", "differentiate", [graph], [{}]);
    const whole = performance.now() - again;
    assert.ok(waited < whole / 2, `waited ${waited} ms; the whole takes ${whole} ms`);
    assert.ok(worker.running);
  });

  it("does several jobs that are asked for at once", async () => {
    const graphs = [3, 40, 5, 30].map((layers) => deep(layers));
    const made = await Promise.all(graphs.map((graph) => worker.run("test", "differentiate", [graph], [{}])));
    for (const [i, graph] of graphs.entries())
      assert.deepEqual(bytesOf(made[i]!), bytesOf(differentiateGraph(graph)));
  });

  it("ends the thread when there is nothing to do, and starts another one later", async () => {
    const brief = new GraphWorker({ file: workerFile(), idle: 50, start: 120_000 });
    for (let round = 0; round < 2; round++) {
      await brief.run("test", "differentiate", [deep(1)], [{}]);
      const end = performance.now() + 30_000;
      while (brief.running && performance.now() < end)
        await new Promise((resolve) => setTimeout(resolve, 20));
      assert.equal(brief.running, false);
    }
    assert.equal(brief.done, 2);
  });

  it("is lost where its program is not there, fails, says something else or ends: nothing hangs", async () => {
    const folder = await mkdtemp(join(tmpdir(), "graph-worker-"));
    try {
      const programs = {
        fails: "throw new Error('no')",
        foreign: 'require("node:worker_threads").parentPort.postMessage("hello")',
        ends: "",
        silent: "setInterval(() => {}, 1000)",
        dies: 'const { parentPort: p } = require("node:worker_threads"); p.postMessage("tr0n graph worker 1"); p.on("message", () => process.exit(3))',
      };
      const files = [undefined, join(folder, "none.cjs")];
      for (const [name, text] of Object.entries(programs)) {
        files.push(join(folder, `${name}.cjs`));
        await writeFile(files.at(-1)!, text);
      }
      for (const file of files) {
        const lost = new GraphWorker({ file, start: file?.includes("silent") ? 300 : 60_000 });
        await assert.rejects(lost.run("test", "differentiate", [deep(1)], [{}]), WorkerLost, String(file));
        assert.equal(lost.running, false);
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe("large graphs off the event loop", function () {
  this.timeout(240_000);
  after(() => graphWorker().end());

  it("differentiateAsync() gives the bytes of differentiate(), from the worker where the graph is large", async () => {
    for (const [layers, jobs] of [
      [4, 0],
      [large, 1],
    ] as const) {
      const bytes = encodeModel(deep(layers, 72));
      const before = graphWorker().done;
      for (const options of [{}, { prefix: "d_", wrt: ["x"] }])
        assert.deepEqual(await differentiateAsync(bytes, options), differentiate(bytes, options));
      assert.equal(graphWorker().done - before, 2 * jobs);
    }
  });

  it("differentiateAsync() refuses what differentiate() refuses, and what is no option", async () => {
    const bytes = encodeModel(deep(2));
    for (const options of [{ wrt: "x" }, { outputs: [1] }, { prefix: "" }, { signal: 3 }, { wrrt: [] }])
      await assert.rejects(differentiateAsync(bytes, options as never), ArgumentError);
    await assert.rejects(differentiateAsync(new Uint8Array(3)), { code: "ERR_MODEL_INVALID" });
    await assert.rejects(differentiateAsync("x" as never), ArgumentError);
    await assert.rejects(differentiateAsync(bytes, { signal: AbortSignal.abort() }), AbortError);
  });

  it("loadModel(), vjp() and Tr0n.create() use it for large models, and not for small ones", async () => {
    const b = new Builder(emptyGraph("generator", 17));
    const matrix = Float32Array.from(uniform(random(9), 32));
    b.output(
      "x",
      b.op("MatMul", [
        b.input("z", DataType.FLOAT, ["batch", 4]),
        b.constant(matrix, [4, 8], DataType.FLOAT),
      ]),
    );
    const generator = encodeModel(b.graph);
    for (const layers of [3, large]) {
      const before = graphWorker().done;
      using f = await loadModel(encodeModel(deep(layers)));
      const x = tensor(uniform(random(2), 8), [1, 8]);
      await f.vjp(x, x);
      using g = await loadModel(generator);
      using made = await Tr0n.create({ generator: g, encoder: f, seed: 1, onDecision: () => undefined });
      await made.objective.native(true);
      const jobs = graphWorker().done - before;
      assert.ok(layers === large ? jobs >= 3 : jobs === 0, `${jobs} jobs for ${layers} layers`);
    }
  });

  it("a model of thousands of nodes holds the loop for less than 50 ms of work", async () => {
    const model = cellDecoder(200);
    const before = graphWorker().done;
    const { hold } = await leastHold(50, () => differentiateModel(model, { simplify: false }));
    assert.ok(hold < 50, `held for ${hold.toFixed(0)} ms`);
    assert.ok(graphWorker().done - before >= 1);
  });
});

describe("the graph worker in processes of users", function () {
  this.timeout(240_000);
  const program = (extra = ""): string => `
    const { parentPort } = require("node:worker_threads");
    const tr0n = require(${JSON.stringify(join(packageRoot, "dist", "index.cjs"))});
    const { readFileSync } = require("node:fs");
    const bytes = readFileSync(process.env.MODEL);
    tr0n.differentiateAsync(bytes).then((made) => {
      const same = Buffer.from(made).equals(Buffer.from(tr0n.differentiate(bytes)));
      const said = JSON.stringify({ same });
      if (parentPort) parentPort.postMessage(said); else console.log(said);
      ${extra}
    });`;
  let folder: string;
  let env: NodeJS.ProcessEnv;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "graph-worker-"));
    await writeFile(join(folder, "model.onnx"), encodeModel(deep(large)));
    await writeFile(join(folder, "use.cjs"), program());
    env = { ...process.env, MODEL: join(folder, "model.onnx"), NODE_DEBUG: "tr0n", NODE_OPTIONS: "" };
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it("a process ends by itself after it was used, well before the thread would have", async () => {
    await writeFile(
      join(folder, "ends.cjs"),
      program('const t = Date.now(); process.on("exit", () => console.log(Date.now() - t));'),
    );
    const { code, stdout, stderr } = await finish(process.execPath, [join(folder, "ends.cjs")], { env });
    assert.equal(code, 0, stderr);
    const [said, rest] = stdout.trim().split("\n");
    assert.deepEqual(JSON.parse(said!), { same: true });
    assert.ok(Number(rest) < 4000, `${rest} ms`);
    assert.doesNotMatch(stderr, /no worker thread/);
  });

  it("works where the process was started with flags that a thread refuses", async () => {
    const { code, stdout, stderr } = await finish(
      process.execPath,
      ["--input-type=commonjs", "--title=mine", "-e", program()],
      { env },
    );
    assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), { same: true });
    assert.doesNotMatch(stderr, /no worker thread/);
  });

  it("works within a worker thread of the user's", async () => {
    const thread = new Worker(join(folder, "use.cjs"), { env, execArgv: [], stderr: true });
    let stderr = "";
    thread.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    const ended = once(thread, "exit");
    const [said] = (await once(thread, "message")) as [string];
    assert.deepEqual(JSON.parse(said), { same: true });
    assert.deepEqual(await ended, [0]);
    assert.doesNotMatch(stderr, /no worker thread/);
  });

  it("does without where a bundler left the worker's program behind, and says so once", async () => {
    const { build } = await import("esbuild");
    await build({
      stdin: { contents: program(), resolveDir: packageRoot },
      outfile: join(folder, "bundle.cjs"),
      bundle: true,
      platform: "node",
      external: ["sharp", "onnxruntime-node", "cli-progress", "cmake-js"],
      logLevel: "silent",
    });
    const { code, stdout, stderr } = await finish(process.execPath, [join(folder, "bundle.cjs")], { env });
    assert.equal(code, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), { same: true });
    assert.equal(stderr.match(/no worker thread: .*tr0n-worker\.cjs is not there/g)?.length, 1, stderr);
    // Told where it lies, it is used.
    const told = { ...env, TR0N_GRAPH_WORKER: join(packageRoot, "dist", "tr0n-worker.cjs") };
    const again = await finish(process.execPath, [join(folder, "bundle.cjs")], { env: told });
    assert.deepEqual(JSON.parse(again.stdout), { same: true });
    assert.doesNotMatch(again.stderr, /no worker thread/);
  });
});
