import assert from "node:assert/strict";
import {
  Builder,
  cutGradient,
  DataType,
  differentiateGraph,
  emptyGraph,
  type Graph,
} from "../../lib/onnx/index.js";
import { session, toTensor, type Feed } from "../support/operators.js";

type Values = Record<string, { data: ArrayLike<number> }>;

async function run(graph: Graph, feeds: object): Promise<Values> {
  const opened = await session(graph);
  return (await opened.run(feeds as never)) as unknown as Values;
}

/** Runs the two parts as a pipeline does and compares with the graph in one piece. */
async function check(graph: Graph, x: Feed, cotangent: Feed): Promise<{ saved: readonly string[] }> {
  const differentiated = differentiateGraph(graph, { wrt: ["x"], outputs: ["y"] });
  const feeds = { x: toTensor(x), grad_y: toTensor(cotangent) };
  const whole = await run(differentiated, feeds);
  const { forward, backward, saved } = cutGradient(differentiated, ["grad_y"], ["grad_x"]);
  assert.deepEqual(
    forward.inputs.map(({ name }) => name),
    ["x"],
  );
  assert.deepEqual(
    backward.outputs.map(({ name }) => name),
    ["grad_x"],
  );
  const values: Values = { ...(await run(forward, { x: feeds.x })) };
  values["x"] = feeds.x as never;
  const given = Object.fromEntries(saved.map((name) => [name, values[name]]));
  const back = await run(backward, { ...given, grad_y: feeds.grad_y });
  assert.deepEqual(values["y"]!.data, whole["y"]!.data);
  assert.deepEqual(back["grad_x"]!.data, whole["grad_x"]!.data);
  return { saved };
}

function graphOf(body: (b: Builder, x: string) => string): Graph {
  const b = new Builder(emptyGraph("cut"));
  const x = b.input("x", DataType.FLOAT, ["batch", 3]);
  b.output("y", body(b, x));
  return b.graph;
}

describe("cutting a differentiated graph", () => {
  const x: Feed = { dims: [2, 3], data: [0.5, -1, 2, 0, 1.5, -0.25] };
  const cotangent: Feed = { dims: [2, 3], data: [1, 2, -1, 0.5, 3, -2] };
  const weight = (b: Builder): string =>
    b.constant([1, 2, 0.5, -1, 0.25, 3, 1, 1, -2], [3, 3], DataType.FLOAT);

  it("hands over values in between", async () => {
    const { saved } = await check(
      graphOf((b, input) => b.op("Sin", [b.op("MatMul", [input, weight(b)])])),
      x,
      cotangent,
    );
    assert.ok(saved.length >= 1);
  });

  it("hands over the input and the output themselves", async () => {
    const square = await check(
      graphOf((b, input) => b.op("Mul", [input, input])),
      x,
      cotangent,
    );
    assert.deepEqual(square.saved, ["x"]);
    const exponential = graphOf((b, input) => b.op("Exp", [input]));
    exponential.nodes = [{ ...exponential.nodes[0]!, outputs: ["y"] }];
    const { saved } = await check(exponential, x, cotangent);
    assert.deepEqual(saved, ["y"]);
  });

  it("hands over nothing where the map is linear", async () => {
    const { saved } = await check(
      graphOf((b, input) => b.op("MatMul", [input, weight(b)])),
      x,
      cotangent,
    );
    assert.deepEqual(saved, []);
  });

  it("gives zeros where nothing depends on the input", async () => {
    await check(
      graphOf((b, input) => b.filledLike(2, input)),
      x,
      cotangent,
    );
  });
});
