/**
 * Single operators held to PyTorch: those that have no float64 kernel, for which finite differences are blunt, and kinks
 * and ties, which PyTorch decides (scripts/fixtures/onnx/rules.py).
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Attributes } from "../../lib/onnx/builder.js";
import { Builder, differentiateGraph, emptyGraph, type Graph } from "../../lib/onnx/index.js";
import { rules } from "../../lib/onnx/rules/index.js";
import { float32Only } from "../support/float32-only.js";
import {
  assertClose,
  newestOpset,
  runGraph,
  toTensor,
  unpack,
  type Feed,
  type Packed,
} from "../support/operators.js";

interface Fixture {
  name: string;
  op: string;
  opset: number;
  attributes: Attributes;
  /** null: left out. */
  inputs: (Packed | null)[];
  output: Packed;
  seed: Packed;
  /** By the input's position; the others are not differentiated. */
  gradients: Record<string, Packed>;
  /** What is multiplied with the gradients, and the gradients of that sum; "seed" for the seed's. */
  directions?: Record<string, Packed>;
  second?: Record<string, Packed>;
}

const file = new URL("../fixtures/onnx/rules.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(file, "utf8")) as { cases: Fixture[] };

function model(fixture: Fixture): { graph: Graph; feeds: Record<string, Feed> } {
  const b = new Builder(emptyGraph(fixture.op, fixture.opset));
  const feeds: Record<string, Feed> = {};
  const inputs = fixture.inputs.map((packed, i) => {
    if (packed === null) return null;
    const feed = unpack(packed);
    // What is not differentiated is a constant, as in most models.
    const elemType = { float32: 1, int64: 7, bool: 9 }[packed.type];
    if (!(String(i) in fixture.gradients)) return b.constant(feed.data, feed.dims, elemType);
    feeds[`x${i}`] = feed;
    return b.input(
      `x${i}`,
      elemType,
      feed.dims.map((size, axis) => (axis === 0 && feed.dims.length > 1 ? `n${i}` : size)),
    );
  });
  b.output("y", b.op(fixture.op, inputs, fixture.attributes));
  b.graph.outputs[0]!.elemType = 1;
  return { graph: b.graph, feeds };
}

describe("onnx rules: PyTorch's gradients of single operators", () => {
  it("every operator without float64 is among them", () => {
    const tested = new Set(cases.map(({ op }) => op));
    const missing = [...rules.keys()].filter(
      (op) => float32Only(op, newestOpset) !== null && !tested.has(op),
    );
    assert.deepEqual(missing, []);
  });

  for (const fixture of cases)
    it(fixture.name, async () => {
      const { graph, feeds } = model(fixture);
      const live = Object.keys(fixture.gradients);
      const wrt = live.map((i) => `x${i}`);
      const gradient = differentiateGraph(graph, { wrt });
      const result = await runGraph(gradient, { ...feeds, grad_y: unpack(fixture.seed) });
      assertClose(result.y!.data, toTensor(unpack(fixture.output)).data as Float32Array, 1e-5, "y");
      for (const i of live)
        assertClose(
          result[`grad_x${i}`]!.data,
          unpack(fixture.gradients[i]!).data,
          2e-5,
          `gradient of input ${i}`,
        );
      if (!fixture.second) return;
      const second = differentiateGraph(gradient, {
        wrt: [...wrt, "grad_y"],
        outputs: wrt.map((name) => `grad_${name}`),
        prefix: "second_",
      });
      const directions = Object.entries(fixture.directions!).map(([i, v]) => [
        `second_grad_x${i}`,
        unpack(v),
      ]);
      const twice = await runGraph(second, {
        ...feeds,
        grad_y: unpack(fixture.seed),
        ...(Object.fromEntries(directions) as Record<string, Feed>),
      });
      for (const [i, expected] of Object.entries(fixture.second)) {
        const name = i === "seed" ? "second_grad_y" : `second_x${i}`;
        assertClose(twice[name]!.data, unpack(expected).data, 5e-5, `gradient of the gradient, ${name}`);
      }
    });
});
