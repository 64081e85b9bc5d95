import assert from "node:assert/strict";
import { Builder, DataType, differentiateGraph, emptyGraph, readNumbers } from "../../lib/onnx/index.js";
import { assertClose, runGraph } from "../support/operators.js";

describe("onnx: building graphs", () => {
  it("equal constants are stored once, equal nodes emitted once", () => {
    const b = new Builder(emptyGraph("once"));
    const x = b.input("x", DataType.FLOAT, ["n"]);
    assert.equal(b.ints([1, 2]), b.ints([1, 2]));
    assert.notEqual(b.scalar(0, x), b.scalar(-0, x));
    assert.notEqual(b.constant([1], [1], DataType.FLOAT), b.constant([1], [], DataType.FLOAT));
    assert.equal(b.op("Exp", [x]), b.op("Exp", [x]));
    assert.notEqual(b.op("Elu", [x], { alpha: 1 }), b.op("Elu", [x], { alpha: 2 }));
    assert.equal(b.graph.nodes.length, 3);
    assert.deepEqual(Array.from(readNumbers(b.graph.initializers.get(b.ints([1, 2]))!)!), [1, 2]);
  });

  it("names never collide, whatever the graph holds already", () => {
    const graph = emptyGraph("names");
    const first = new Builder(graph);
    const x = first.input("Exp:0", DataType.FLOAT, [2]);
    first.op("Exp", [x]);
    const second = new Builder(graph);
    const made = second.op("Exp", [second.op("Exp", [x])]);
    const names = graph.nodes.flatMap((node) => node.outputs);
    assert.equal(new Set([x, ...names]).size, names.length + 1);
    assert.ok(names.includes(made));
  });

  it("a constant takes the type of what it stands beside, known or not", async () => {
    const b = new Builder(emptyGraph("types"));
    const x = b.input("x", DataType.DOUBLE, [2]);
    assert.equal(b.shapes.elemType(b.scalar(2, x)), DataType.DOUBLE);
    const unknown = b.op("Hedge", [b.op("Reshape", [x, b.ints([1, 2, 1])])]);
    assert.equal(b.graph.nodes.length, 2);
    b.scalar(2, unknown);
    assert.equal(b.graph.nodes.at(-1)!.opType, "CastLike");
  });

  it("ranks that nobody knows are summed back at run time", async () => {
    const b = new Builder(emptyGraph("ranks"));
    const x = b.input("x", DataType.FLOAT, null);
    const c = b.input("c", DataType.FLOAT, null);
    b.output("y", b.op("Mul", [x, c]));
    const graph = differentiateGraph(b.graph);
    const feeds = {
      x: { dims: [2, 3], data: [1, 2, 3, 4, 5, 6] },
      c: { dims: [3], data: [1, 10, 100] },
      grad_y: { dims: [2, 3], data: [1, 1, 1, 2, 2, 2] },
    };
    const result = await runGraph(graph, feeds);
    assert.deepEqual([...result.grad_c!.dims], [3]);
    assertClose(result.grad_c!.data, [9, 12, 15], 1e-6, "grad_c");
    assertClose(result.grad_x!.data, [1, 10, 100, 2, 20, 200], 1e-6, "grad_x");
    const swapped = await runGraph(graph, { x: feeds.c, c: feeds.x, grad_y: feeds.grad_y });
    assertClose(swapped.grad_x!.data, [9, 12, 15], 1e-6, "grad_x");
    const same = await runGraph(graph, {
      x: { dims: [1], data: [2] },
      c: { dims: [1], data: [3] },
      grad_y: { dims: [1], data: [1] },
    });
    assert.deepEqual([...same.grad_x!.data, ...same.grad_c!.data], [3, 2]);
  });
});
