/** Files of a few hundred bytes that ask for more than a machine has: refused, or done, but never the end of the process. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadModel, tensor } from "../../lib/index.js";
import { checkBeforeOpening } from "../../lib/model/outline.js";
import {
  Builder,
  DataType,
  decodeModel,
  differentiate,
  differentiateGraph,
  emptyGraph,
  encodeModel,
  finish,
  fixBatch,
  graphCost,
  inspectGraph,
  makeTensor,
  productWeights,
  sizeSteps,
  type Attributes,
} from "../../lib/onnx/index.js";
import {
  chain,
  hugeConstant,
  longLoop,
  nestedFunctions,
  nestedIfs,
  nestedTypes,
  selfCalling,
  wide,
} from "../support/hostile.js";

interface Result {
  code?: string;
  message?: string;
  stack?: string;
  y?: number[];
  g?: number[];
}

describe("onnx: files that ask for too much", function () {
  this.timeout(300_000);
  let folder: string;
  before(async () => (folder = await mkdtemp(join(tmpdir(), "tr0n-hostile-"))));
  after(() => rm(folder, { recursive: true }));

  /** What happens in a process of its own. */
  const inChild = async (name: string, bytes: Uint8Array, action: string): Promise<Result> => {
    const path = join(folder, `${name.replaceAll(/\W+/g, "-")}.onnx`);
    await writeFile(path, bytes);
    const child = spawn(
      process.execPath,
      ["--import=tsx", fileURLToPath(new URL("../fixtures/hostile/open.ts", import.meta.url)), path, action],
      { stdio: ["ignore", "pipe", "pipe"], timeout: 200_000 },
    );
    let [out, err] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
    const [status, signal] = await new Promise<[number | null, string | null]>((resolve) =>
      child.on("close", (...ended) => resolve(ended)),
    );
    assert.deepEqual([status, signal], [0, null], `${name}: ${err.slice(-2000)}`);
    return JSON.parse(out) as Result;
  };

  const refused: [string, Uint8Array, string, RegExp][] = [
    [
      "functions 3,000 deep",
      nestedFunctions(3000),
      "ERR_MODEL_UNSUPPORTED",
      /functions call each other more than 64 deep/,
    ],
    ["functions 65 deep", nestedFunctions(65), "ERR_MODEL_UNSUPPORTED", /more than 64 deep \(at f64\)/],
    [
      "2^40 nodes in functions",
      nestedFunctions(40, 2),
      "ERR_MODEL_UNSUPPORTED",
      /stand for more than 100000 nodes/,
    ],
    ["a function that calls itself", selfCalling(), "ERR_MODEL_UNSUPPORTED", /function f0 calls itself/],
    ["If in If, 33 deep", nestedIfs(33), "ERR_MODEL_UNSUPPORTED", /more than 32 deep; export it flatter/],
    ["If in If, 3,000 deep", nestedIfs(3000), "ERR_MODEL_INVALID", /nested too deeply/],
    ["types 3,000 deep", nestedTypes(3000), "ERR_MODEL_INVALID", /refuses the model/],
    ...["ConstantOfShape", "Expand", "Tile", "Range", "OneHot", "Pad", "Resize", "Outer"].map(
      (kind): [string, Uint8Array, string, RegExp] => [
        `a constant of 2^40 by ${kind}`,
        hugeConstant(kind, 2 ** 40),
        "ERR_MODEL_UNSUPPORTED",
        /makes \[.*GB, and there are .* GB of memory/,
      ],
    ),
  ];
  for (const [name, bytes, code, message] of refused)
    it(`${name}: refused in words`, async () => {
      for (const action of name.startsWith("a constant") ? ["run"] : ["run", "bytes vjp"]) {
        const result = await inChild(name, bytes, action);
        assert.equal(result.code, code, JSON.stringify(result));
        assert.match(result.message!, message);
      }
      if (!name.startsWith("a constant")) assert.throws(() => differentiate(bytes), { name: /ModelError/ });
    });

  const done: [string, Uint8Array][] = [
    ["functions 64 deep", nestedFunctions(64)],
    ["512 nodes in functions", nestedFunctions(9, 2)],
    ["types 20 deep", nestedTypes(20)],
    ["a chain of 1,000 nodes", chain(1000)],
  ];
  for (const [name, bytes] of done)
    it(`${name}: done`, async () =>
      assert.deepEqual(await inChild(name, bytes, "vjp").then(({ y, g }) => ({ y, g })), {
        y: [1, 2],
        g: [1, 1],
      }));

  it("If in If, 32 deep: done", async () => {
    assert.deepEqual((await inChild("deep", nestedIfs(32), "run")).y, [1, 2]);
    // The condition is a constant here, so the branches that run take the place of the nodes.
    assert.deepEqual((await inChild("deep", nestedIfs(32), "vjp")).g, [1, 1]);
  });

  it("a node with 50,000 inputs", async () => {
    const { y } = await inChild("wide", wide(50_000), "run");
    assert.deepEqual(y, [150_000]);
  });

  it("a loop that would never end can be aborted", async () => {
    for (const trips of [1n << 62n, (1n << 63n) - 1n]) {
      using model = await loadModel(longLoop(trips));
      const controller = new AbortController();
      setTimeout(() => controller.abort(), 200);
      const start = performance.now();
      await assert.rejects(model.run(tensor([1, 2], [1, 2]), { signal: controller.signal }), {
        code: "ERR_ABORTED",
      });
      assert.ok(performance.now() - start < 20_000);
    }
    using model = await loadModel(longLoop(1000n));
    assert.deepEqual([...(await model.run(tensor([1, 2], [1, 2])))["y"]!.data], [1001, 1002]);
  });

  // Sizes that rules and rewrites would fill arrays of.
  const x = (dims: (number | string)[], build: (b: Builder, x: string) => string): Uint8Array => {
    const b = new Builder(emptyGraph("sizes"));
    b.output("y", build(b, b.input("x", DataType.FLOAT, dims)));
    return encodeModel(b.graph);
  };
  const op =
    (opType: string, attributes: Attributes = {}, more: (b: Builder) => (string | null)[] = () => []) =>
    (b: Builder, value: string): string =>
      b.op(opType, [value, ...more(b)], attributes);
  const most = 2 ** 31 - 1;
  const sizes: [string, Uint8Array][] = [
    ["a softmax over an axis of 2^31 − 1", x(["n", most], op("Softmax", { axis: 1 }))],
    ["a log-softmax over an axis of 2^52 + 1", x(["n", 2 ** 52 + 1], op("LogSoftmax", { axis: 1 }))],
    [
      "a normalisation over an axis of 2^31 − 1",
      x(["n", most], (b, v) => b.op("LpNormalization", [v], { axis: 1 })),
    ],
    [
      "a layer normalisation",
      x(
        ["n", most],
        op("LayerNormalization", {}, (b) => [b.constant([1], [1], 1)]),
      ),
    ],
    [
      "channels without end",
      x(["n", most, 4, 4], (b, v) =>
        b.op("Relu", [b.op("Conv", [v, b.input("w", 1, [most, 1, 1, 1])], { group: most })]),
      ),
    ],
    ...[2 ** 31, 16e10].map((channels): [string, Uint8Array] => [
      `a mask of ${channels} channels in blocks`,
      x(["n", channels, 4, 4], (b, v) =>
        b.op("Relu", [b.op("MaxPool", [v], { kernel_shape: [2, 2], strides: [2, 2] })]),
      ),
    ]),
    ["a local response over 2^31 − 1 channels", x(["n", 3, 4, 4], op("LRN", { size: most }))],
    ...["AveragePool", "MaxPool", "LpPool"].flatMap((opType): [string, Uint8Array][] => [
      [
        `${opType} of a window of 10^11`,
        x(["n", 3, 10 ** 6, 10 ** 6], op(opType, { kernel_shape: [3e5, 4e5], strides: [7, 7] })),
      ],
      [
        `${opType} with 10^11 windows`,
        x(["n", 3, 4e5, 4e5], op(opType, { kernel_shape: [2, 2], pads: [1, 1, 1, 1] })),
      ],
    ]),
    ["shuffled channels", x(["n", 2 ** 40, 2, 2], op("DepthToSpace", { blocksize: 2, mode: "CRD" }))],
    [
      "a resize to 2^31 − 1",
      x(
        ["n", 3, 4, 4],
        op("Resize", { mode: "linear" }, (b) => [null, null, b.ints([1, 3, most, most])]),
      ),
    ],
    [
      "a reflection of 2^40",
      x(
        ["n", 4],
        op("Pad", { mode: "reflect" }, (b) => [b.ints([0, 0, 0, 2 ** 40])]),
      ),
    ],
    [
      "a product of 2^31 − 1",
      x(
        ["n", most],
        op("ReduceProd", {}, (b) => [b.ints([1])]),
      ),
    ],
    [
      "products so far of 2^31 − 1",
      x(
        ["n", most],
        op("CumProd", {}, (b) => [b.int(1)]),
      ),
    ],
    [
      "2^40 copies",
      x(
        ["n", 4],
        op("Tile", {}, (b) => [b.ints([1, 2 ** 40])]),
      ),
    ],
    [
      "a split into what is not there",
      x(["n", most], (b, v) => b.ops("Split", [v], 2, { axis: 1, num_outputs: most })[0]!),
    ],
    [
      "a class of 2^40",
      x(["n", 4], (b, v) =>
        b.op("OneHot", [b.op("Cast", [v], { to: 7 }), b.int(2 ** 40), b.constant([0, 1], [2], 1)]),
      ),
    ],
  ];
  for (const [name, bytes] of sizes)
    it(`${name}: soon, within memory`, () => {
      const [start, before] = [performance.now(), process.memoryUsage().rss];
      for (const work of [
        () => differentiate(bytes),
        () => graphCost(fixBatch(decodeModel(bytes), 2).graph),
        () => inspectGraph(decodeModel(bytes)),
      ])
        try {
          work();
        } catch (error) {
          assert.match(
            (error as { code: string }).code,
            /^ERR_(MODEL_|NO_GRADIENT|INVALID_ARGUMENT)/,
            String(error),
          );
        }
      assert.ok(performance.now() - start < 20_000);
      assert.ok(process.memoryUsage().rss - before < 600e6);
    });

  it("rows that are no multiple of 4 and longer than a constant may be are summed right", () => {
    // 2^20 + 2 zeros, ones and so on: the graph is what counts here, its numbers are the rules' tests'.
    const gradient = differentiateGraph(decodeModel(x(["n", (1 << 20) + 2], op("Softmax", { axis: 1 }))));
    assert.ok(gradient.nodes.some(({ opType }) => opType === "Pad"));
    assert.ok([...gradient.initializers.values()].every(({ rawData }) => rawData.length < 1024));
  });

  it("constants and nodes that rules make are counted", () => {
    const b = new Builder(emptyGraph("budget"));
    const like = b.input("x", DataType.FLOAT, [1]);
    assert.throws(() => b.filled(1, [2 ** 31 - 1], like), {
      code: "ERR_MODEL_UNSUPPORTED",
      message: /2147483647/,
    });
    assert.throws(() => b.filled(1, [2 ** 40, 2 ** 40], like), { code: "ERR_MODEL_UNSUPPORTED" });
    const part = new Float32Array(1 << 24);
    assert.throws(
      () => {
        for (let i = 0; i < 64; i++) b.constant(part, [1 << 24], DataType.FLOAT);
      },
      { code: "ERR_MODEL_UNSUPPORTED", message: /constants/ },
    );
  });

  it("chains longer than JavaScript's stack", () => {
    const b = new Builder(emptyGraph("long"));
    const input = b.input("x", DataType.FLOAT, ["n", 128]);
    const W = b.constant(new Float32Array(128 * 128).fill(0.1), [128, 128], DataType.FLOAT);
    const node = (opType: string, inputs: string[], output: string) => ({
      opType,
      domain: "",
      name: "",
      overload: "",
      inputs,
      outputs: [output],
      attributes: new Map(),
    });
    const count = 40_000;
    for (let i = 0; i < count; i++)
      b.graph.nodes.push(node("Transpose", [i === 0 ? W : `t${i}`], `t${i + 1}`));
    b.graph.nodes.push(node("MatMul", [input, `t${count}`], "m0"));
    for (let i = 0; i < count; i++) b.graph.nodes.push(node("Identity", [`m${i}`], `m${i + 1}`));
    b.graph.outputs.push({ name: `m${count}`, elemType: DataType.FLOAT, dims: null });
    assert.deepEqual(productWeights(b.graph), [W]);
    const again = new Builder(b.graph);
    assert.equal(again.nodesBetween([], `m${count}`).length, 2 * count + 1);
  });

  it("what is looked at before a file is opened is the model, but for its large constants", async () => {
    const b = new Builder(emptyGraph("outlined"));
    const input = b.input("x", DataType.FLOAT, ["n", 512]);
    const W = b.constant(new Float32Array(512 * 512), [512, 512], DataType.FLOAT);
    const inner = makeTensor("", DataType.FLOAT, [1, 512], new Float32Array(512));
    const y = b.op("Add", [b.op("MatMul", [input, W]), b.op("Constant", [], { value: inner })]);
    b.output("y", b.op("Add", [y, b.op("ReduceSum", [b.op("ConstantOfShape", [b.ints([2 ** 40])])])]));
    const path = join(folder, "outlined.onnx");
    await writeFile(path, encodeModel(b.graph));
    for (const source of [path, encodeModel(b.graph)])
      await assert.rejects(checkBeforeOpening(source, "outlined"), {
        code: "ERR_MODEL_UNSUPPORTED",
        message: /ConstantOfShape.*1099511627776/,
      });
    // Sizes count, and only those of values that are read.
    const sound = new Builder(emptyGraph("sound"));
    const size = sound.op("Shape", [sound.op("ConstantOfShape", [sound.ints([2 ** 40])])]);
    sound.output(
      "y",
      sound.op("Reshape", [sound.input("x", DataType.FLOAT, [1]), sound.op("Div", [size, size])]),
    );
    finish(sizeSteps(sound.graph, 1e6, "sound"));
    await checkBeforeOpening(encodeModel(sound.graph), "sound");
    // What is no model, or cut off anywhere, is for the runtime to judge.
    const bytes = encodeModel(b.graph);
    for (let length = 0; length < 400; length += 7)
      await checkBeforeOpening(bytes.subarray(0, length), "cut");
    await checkBeforeOpening(join(folder, "nowhere.onnx"), "nowhere");
    await checkBeforeOpening(new Uint8Array(5000).fill(255), "noise");
  });
});
