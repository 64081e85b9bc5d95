/** The text demo's models in both formats: int64 words, and several outputs. */
import assert from "node:assert/strict";
import { loadModel, loadTokenizer, tensor, textEncoder } from "../../lib/index.js";
import { assertClose, seeded } from "../support/numbers.js";
import { demoFile, needsTorch } from "../support/torch.js";

describe("torchscript: the text demo's models", function () {
  this.timeout(120_000);
  before(function () {
    needsTorch(this);
  });

  it("text-encoder: texts become the embeddings of the ONNX export", async () => {
    const tokenizer = await loadTokenizer(demoFile("text-tokenizer.json"));
    using torch = await loadModel(demoFile("text-encoder.pt"), {
      inputShapes: { tokens: [null, tokenizer.length] },
    });
    using onnx = await loadModel(demoFile("text-encoder.onnx"));
    assert.deepEqual(torch.inputs, [{ name: "tokens", shape: [null, tokenizer.length], type: "int64" }]);
    const texts = ["a thick red seven on a blue background", "7", "white background, a thin black zero"];
    const [a, b] = [
      await textEncoder({ model: torch, tokenizer })(texts),
      await textEncoder({ model: onnx, tokenizer })(texts),
    ];
    assert.deepEqual(a.shape, b.shape);
    assertClose(a.data, b.data, 1e-5, "embeddings");
  });

  it("attribute-classifier: all four outputs equal those of the ONNX export, in their order", async () => {
    using torch = await loadModel(demoFile("attribute-classifier.pt"));
    using onnx = await loadModel(demoFile("attribute-classifier.onnx"));
    const x = tensor(seeded(3).normals(5 * 3072), [5, 3, 32, 32]);
    const [a, b] = [await torch.run(x), await onnx.run(x)];
    assert.equal(torch.outputs.length, 4);
    for (const [i, { name }] of onnx.outputs.entries())
      assertClose(a[torch.outputs[i]!.name]!.data, b[name]!.data, 1e-5, name);
  });
});
