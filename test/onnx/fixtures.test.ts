/** Gradients of small PyTorch networks, held to PyTorch's own (scripts/fixtures/onnx/make.py). */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { decodeModel, differentiate, differentiateGraph, inspectGraph } from "../../lib/onnx/index.js";
import { assertClose, head, runGraph, unpack, type Expected } from "../support/operators.js";

const folder = new URL("../fixtures/onnx/", import.meta.url);
const { cases } = JSON.parse(readFileSync(new URL("expected.json", folder), "utf8")) as {
  cases: Record<string, Expected>;
};

describe("onnx: gradients of PyTorch networks", () => {
  for (const [name, expected] of Object.entries(cases)) {
    const bytes = readFileSync(new URL(`${name}.onnx`, folder));
    const feeds = Object.fromEntries(
      Object.entries(expected.inputs).map(([key, value]) => [key, unpack(value)]),
    );

    it(`${name}: outputs and gradients`, async () => {
      const result = await runGraph(differentiate(bytes), { ...feeds, grad_y: unpack(expected.seed) });
      assertClose(result.y!.data, unpack(expected.output).data, 2e-5, `${name}: y`);
      for (const [input, gradient] of Object.entries(expected.gradients))
        assertClose(result[`grad_${input}`]!.data, unpack(gradient).data, 5e-5, `${name}: grad_${input}`);
    });

    it(`${name}: the batch stays free`, async () => {
      const one = Object.fromEntries(Object.entries(feeds).map(([key, feed]) => [key, head(feed, 1)]));
      const graph = differentiateGraph(decodeModel(bytes));
      for (const value of [...graph.inputs, ...graph.outputs])
        assert.equal(typeof value.dims?.[0], "string", `the first dimension of ${value.name}`);
      const result = await runGraph(graph, { ...one, grad_y: head(unpack(expected.seed), 1) });
      for (const [input, gradient] of Object.entries(expected.gradients))
        assertClose(
          result[`grad_${input}`]!.data,
          head(unpack(gradient), 1).data,
          5e-5,
          `${name}: grad_${input}`,
        );
    });

    it(`${name}: a baked-in seed of ones`, async () => {
      const graph = differentiateGraph(decodeModel(bytes), { seed: "ones", keepOutputs: false });
      assert.deepEqual(
        graph.inputs.map((input) => input.name),
        Object.keys(expected.inputs),
      );
      const ones = unpack(expected.seed);
      const [baked, fed] = [
        await runGraph(graph, feeds),
        await runGraph(differentiate(bytes), {
          ...feeds,
          grad_y: { ...ones, data: new Float32Array(ones.data.length).fill(1) },
        }),
      ];
      assert.deepEqual(
        Object.keys(baked).sort(),
        Object.keys(expected.gradients)
          .map((key) => `grad_${key}`)
          .sort(),
      );
      for (const key of Object.keys(baked))
        assertClose(baked[key]!.data, fed[key]!.data, 1e-6, `${name}: ${key}`);
    });

    it(`${name}: every operator on the way has a rule`, () => {
      const summary = inspectGraph(decodeModel(bytes));
      assert.deepEqual(summary.withoutGradient, []);
      assert.ok(summary.opset >= 9 && summary.operators.length > 0);
    });
  }
});
