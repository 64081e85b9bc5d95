/** The demo models in both formats: the same numbers, through libtorch and through the differentiated graph. */
import assert from "node:assert/strict";
import { loadModel, tensor, type Model } from "../../lib/index.js";
import { assertClose, seeded } from "../support/numbers.js";
import { demoFile, needsTorch } from "../support/torch.js";

describe("torchscript: the demo models", function () {
  this.timeout(120_000);
  before(function () {
    needsTorch(this);
  });

  for (const [name, output] of [
    ["gan-generator", "image"],
    ["vae-decoder", "image"],
    ["classifier", "logits"],
    ["image-encoder", "embedding"],
  ] as const)
    it(`${name}: run and vjp equal those of the ONNX export, for batches of 1, 7 and 64`, async () => {
      using torch = await loadModel(demoFile(`${name}.pt`));
      using onnx = await loadModel(demoFile(`${name}.onnx`));
      assert.equal(torch.format, "torchscript");
      assert.deepEqual(torch.inputs, onnx.inputs);
      assert.deepEqual(torch.outputs, [{ ...onnx.outputs[0], name: "output" }]);
      const [input] = onnx.inputs;
      const row = input!.shape.slice(1) as number[];
      for (const n of [1, 7, 64]) {
        const random = seeded(n);
        const count = (shape: readonly (number | null)[]): number =>
          shape.slice(1).reduce<number>((p, q) => p * q!, n);
        const x = tensor(random.normals(count(input!.shape)), [n, ...row]);
        const shape = [n, ...(onnx.outputs[0]!.shape.slice(1) as number[])];
        const seed = tensor(random.normals(count(shape)), shape);
        const compute = async (model: Model) => ({ y: await model.run(x), ...(await model.vjp(x, seed)) });
        const [a, b] = [await compute(torch), await compute(onnx)];
        assert.deepEqual(a.y["output"]!.shape, b.y[output]!.shape);
        assertClose(a.y["output"]!.data, b.y[output]!.data, 1e-5, `output, ${n} rows`);
        assertClose(a.outputs["output"]!.data, b.y[output]!.data, 1e-5, `output of vjp, ${n} rows`);
        const gradient = a.gradients[input!.name]!;
        assert.deepEqual(gradient.shape, x.shape);
        assertClose(gradient.data, b.gradients[input!.name]!.data, 1e-5, `gradient, ${n} rows`);
      }
    });
});
