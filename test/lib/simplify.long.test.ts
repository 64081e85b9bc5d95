/** Simplified models: the same numbers, the same names, nothing but standard operators. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { native } from "../../lib/native/binding.js";
import { differentiateModel } from "../../lib/model/differentiate.js";
import {
  Builder,
  DataType,
  decodeModel,
  differentiate,
  emptyGraph,
  encodeModel,
  type Graph,
} from "../../lib/onnx/index.js";
import { simplifyGraph } from "../../lib/model/simplify.js";
import { assertClose, runGraph, size, type Feed } from "../support/operators.js";
import { random, seedOf, uniform } from "../support/numbers.js";

const read = (path: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../${path}`, import.meta.url)));
const models = [
  "models/classifier.onnx",
  "models/gan-generator.onnx",
  "models/vae-decoder.onnx",
  ...["attention", "attention_17", "generator", "glue", "kinks"].map(
    (name) => `test/fixtures/onnx/${name}.onnx`,
  ),
  ...["biggan", "clip_resnet", "clip_vit", "dcgan", "nvae", "stylegan2", "stylegan3", "vqgan"].map(
    (name) => `test/fixtures/architectures/${name}.onnx`,
  ),
];

function feedsOf(graph: Graph, rows: number): Record<string, Feed> {
  const next = random(seedOf(graph.name) + rows);
  return Object.fromEntries(
    graph.inputs.map(({ name, dims }) => {
      const shape = dims!.map((dim) => (typeof dim === "number" ? dim : rows));
      return [name, { dims: shape, data: uniform(next, size(shape)) }];
    }),
  );
}

describe("simplified models", () => {
  for (const path of models)
    it(`${path}: outputs and gradients are the same at any batch`, async () => {
      const bytes = read(path);
      const graph = decodeModel(bytes);
      const { graph: simple, kept } = await simplifyGraph(graph, path);
      assert.equal(kept, null);
      assert.deepEqual(simple.inputs, graph.inputs);
      assert.deepEqual(
        simple.outputs.map(({ name, elemType }) => [name, elemType]),
        graph.outputs.map(({ name, elemType }) => [name, elemType]),
      );
      assert.ok(simple.nodes.length <= graph.nodes.length);
      assert.deepEqual([...simple.opsets], [...graph.opsets]);
      const [plain, folded] = [differentiate(bytes), await differentiateModel(bytes)];
      for (const rows of [1, 3]) {
        const feeds = feedsOf(graph, rows);
        const outputs = await runGraph(simple, feeds);
        for (const [name, { dims }] of Object.entries(outputs))
          feeds[`grad_${name}`] = { dims: [...dims], data: uniform(random(rows), size(dims)) };
        const [a, b] = [await runGraph(plain, feeds), await runGraph(folded, feeds)];
        for (const name of Object.keys(a)) assertClose(b[name]!.data, a[name]!.data, 1e-5, name);
      }
    });

  it("shape arithmetic goes with a fixed batch, names of nodes stay", async () => {
    const b = new Builder(emptyGraph("shapes"));
    const x = b.input("x", DataType.FLOAT, ["batch", 4, 6]);
    const shape = b.op("Concat", [b.op("Shape", [x], { end: 1 }), b.ints([24])], { axis: 0 });
    b.output("y", b.op("Exp", [b.op("Reshape", [x, shape])]));
    b.graph.nodes.find((node) => node.opType === "Exp")!.name = "the exponential";
    const folded = decodeModel(await differentiateModel(encodeModel(b.graph), { batch: 5 }));
    const types = folded.nodes.map((node) => node.opType);
    assert.ok(!types.includes("Shape") && !types.includes("Concat"), types.join());
    assert.ok(folded.nodes.some((node) => node.name === "the exponential"));
    assert.deepEqual(folded.inputs[0]!.dims, [5, 4, 6]);
    const open = decodeModel(await differentiateModel(encodeModel(b.graph)));
    assert.deepEqual(open.inputs[0]!.dims, ["batch", 4, 6]);
  });

  it("a model that the runtime refuses comes back as it was, and says why", async () => {
    const b = new Builder(emptyGraph("foreign"));
    b.output("y", b.op("Exp", [b.input("x", DataType.FLOAT, [2])]));
    b.graph.nodes[0]!.domain = "com.example";
    b.graph.opsets.set("com.example", 1);
    const { graph, kept } = await simplifyGraph(b.graph, "foreign.onnx");
    assert.equal(graph, b.graph);
    assert.match(kept!, /foreign\.onnx.*com\.example/);
  });

  it("natively: bytes or a path, errors as those of sessions", async () => {
    const bytes = await native().simplify(read("models/gan-generator.onnx")).promise;
    assert.ok(decodeModel(bytes).nodes.length > 0);
    const path = new URL("../../models/gan-generator.onnx", import.meta.url).pathname;
    assert.deepEqual(await native().simplify(path).promise, bytes);
    await assert.rejects(native().simplify("/nowhere/x.onnx").promise, { code: "ERR_MODEL_NOT_FOUND" });
    await assert.rejects(native().simplify(new Uint8Array([1, 2, 3])).promise, { code: "ERR_MODEL_INVALID" });
    assert.throws(() => native().simplify(5 as never), /source: expected a path or a Uint8Array, got 5/);
  });

  it("options of differentiateModel are checked", async () => {
    const bytes = read("test/fixtures/onnx/generator.onnx");
    for (const [options, message] of [
      [{ batch: 0 }, /options\.batch: expected .*, got 0/],
      [{ simplify: "no" }, /options\.simplify/],
      [{ wrt: "z" }, /options\.wrt: expected an array of names/],
      [{ wrt: ["q"] }, /wrt: expected names of floating-point inputs \(z\), got "q"/],
      [{ prefix: "" }, /options\.prefix/],
    ] as const)
      await assert.rejects(differentiateModel(bytes, options as never), {
        code: "ERR_INVALID_ARGUMENT",
        message,
      });
    await assert.rejects(differentiateModel("/nowhere.onnx"), { code: "ERR_MODEL_NOT_FOUND" });
    const signal = AbortSignal.abort();
    await assert.rejects(differentiateModel(bytes, { signal }), { code: "ERR_ABORTED" });
  });
});
