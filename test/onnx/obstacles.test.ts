/** An operator that tr0n knows nothing of is reported itself, and not what stands behind it. */
import assert from "node:assert/strict";
import {
  Builder,
  DataType,
  differentiateGraph,
  emptyGraph,
  gradientObstacles,
  type Node,
} from "../../lib/onnx/index.js";

/** x → an operator of `domain` → `behind`. */
function graphWith(opType: string, domain: string, behind: (b: Builder, value: string) => string): Builder {
  const b = new Builder(emptyGraph("obstacle"));
  if (domain !== "") b.graph.opsets.set(domain, 3);
  const x = b.input("x", DataType.FLOAT, ["n", 4]);
  const node: Node = {
    opType,
    domain,
    name: "stranger",
    overload: "",
    inputs: [x],
    outputs: ["strange"],
    attributes: new Map(),
  };
  b.append(node);
  b.output("y", behind(b, "strange"));
  b.graph.outputs[0]!.elemType = DataType.FLOAT;
  return b;
}

const norm = (b: Builder, value: string): string =>
  b.op("LayerNormalization", [b.op("Sigmoid", [value]), b.constant([1, 1, 1, 1], [4], DataType.FLOAT)], {
    axis: -1,
  });
const pool = (b: Builder, value: string): string =>
  b.op("LpPool", [value], { kernel_shape: [2], auto_pad: "SAME_UPPER" });

describe("onnx: operators that nobody knows", () => {
  for (const [opType, domain, advice] of [
    ["Hedge", "", /\(opset 18\).*with other operators or with fixed sizes/],
    ["Hedge", "own.things", /\(opset 3\).*"own.things" is no domain of standard operators/],
    ["Inverse", "com.microsoft", /\(opset 3\).*as it was before ONNX Runtime or its tools optimized it/],
    ["Conv", "com.microsoft.nchwc", /\(opset 3\).*one kind of machine.*"extended"/],
  ] as const)
    for (const behind of [norm, pool])
      it(`${domain}.${opType} before one that needs a shape (${behind.name})`, () => {
        const { graph } = graphWith(opType, domain, behind);
        const found = gradientObstacles(graph);
        assert.deepEqual(
          found.map(({ opType, domain, node }) => [opType, domain, node]),
          [[opType, domain, "stranger"]],
        );
        assert.match(
          found[0]!.message,
          new RegExp(`^${domain === "" ? "" : `${domain}.`}${opType} node "stranger"`),
        );
        assert.match(found[0]!.message, advice);
        assert.throws(() => differentiateGraph(graph), {
          code: "ERR_NO_GRADIENT",
          message: found[0]!.message,
        });
      });

  it("one beside the gradient's path, which makes a size", () => {
    const b = new Builder(emptyGraph("beside"));
    b.graph.opsets.set("own", 1);
    const [x, i] = [b.input("x", DataType.FLOAT, ["n", 4]), b.input("i", DataType.INT64, [2])];
    const node = { opType: "Sizes", domain: "own", name: "sizes", overload: "", inputs: [i], outputs: ["s"] };
    b.append({ ...node, attributes: new Map() });
    const shaped = b.op("Reshape", [x, "s"]);
    b.output("y", b.op("LayerNormalization", [shaped, b.constant([1], [1], DataType.FLOAT)]));
    const [first, ...others] = gradientObstacles(b.graph, { wrt: ["x"] });
    assert.equal(others.length, 0);
    assert.equal(first!.node, "sizes");
    assert.match(
      first!.message,
      /own.Sizes node "sizes" \(opset 1\) makes values of unknown shape, which the gradient of LayerNorm/,
    );
  });

  it("an input without a shape is still named", () => {
    const b = new Builder(emptyGraph("input"));
    const x = b.input("x", DataType.FLOAT, null);
    b.output("y", norm(b, x));
    assert.throws(() => differentiateGraph(b.graph), {
      message: /the model does not declare the shape of "x"/,
    });
  });
});
