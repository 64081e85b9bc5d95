import assert from "node:assert/strict";
import {
  loadModel,
  loadTokenizer,
  tensor,
  textEncoder,
  type Model,
  type TextEncoder,
  type TextEncoderOptions,
  type LoadedTokenizer,
} from "../../lib/index.js";
import { Builder, DataType, emptyGraph, encodeModel } from "../../lib/onnx/index.js";
import { close, rejects, tinyEncoder } from "../support/tiny.js";

const words = {
  kind: "words",
  length: 4,
  pad: 0,
  unknown: 1,
  vocabulary: ["<pad>", "<unknown>", "a", "red", "x", "y", "seven"],
};

/** Word numbers [N, L] to the sum of those of a row and its negative [N, 2]; or to that and another output. */
function sums(outputs = 1): Uint8Array {
  const b = new Builder(emptyGraph("text"));
  const ids = b.input("tokens", DataType.INT64, ["batch", 4]);
  const sum = b.op("MatMul", [
    b.op("Cast", [ids], { to: DataType.FLOAT }),
    b.constant(Float32Array.from([1, -1, 1, -1, 1, -1, 1, -1]), [4, 2], DataType.FLOAT),
  ]);
  b.output("embedding", sum);
  if (outputs > 1) b.output("again", b.op("Neg", [sum]));
  for (const output of b.graph.outputs) output.dims = ["batch", 2];
  return encodeModel(b.graph);
}

describe("the text encoder", () => {
  let model: Model;
  let tokenizer: LoadedTokenizer;
  let encode: TextEncoder;
  before(async () => {
    [model, tokenizer] = await Promise.all([
      loadModel(sums()),
      loadTokenizer(Buffer.from(JSON.stringify(words))),
    ]);
    encode = textEncoder({ model, tokenizer });
  });
  after(() => model?.dispose());

  it("gives one embedding for one text and rows for several", async () => {
    const one = await encode("a seven");
    assert.deepEqual(one.shape, [2]);
    close(one.data, [2 + 6, -2 - 6], 1e-6);
    const many = await encode(["a seven", "red"]);
    assert.deepEqual(many.shape, [2, 2]);
    close(many.data, [8, -8, 3, -3], 1e-6);
    assert.deepEqual((await encode(["red"])).shape, [1, 2]);
  });

  it("refuses words it does not know, unless told otherwise", async () => {
    await rejects(
      encode("a crimson seven on"),
      "ERR_INVALID_ARGUMENT",
      /^text: expected words that the tokenizer knows, got "crimson", "on" in "a crimson seven on"/,
    );
    const told: string[][] = [];
    const telling = textEncoder({ model, tokenizer, unknownWords: (words) => told.push([...words]) });
    close((await telling("crimson on red")).data, [1 + 1 + 3, -5], 1e-6);
    assert.deepEqual(told, [["crimson", "on"]]);
    const quiet = textEncoder({ model, tokenizer, unknownWords: "ignore" });
    close((await quiet("crimson on red")).data, [5, -5], 1e-6);
    await rejects(quiet(""), "ERR_INVALID_ARGUMENT", /at least one word/);
    await rejects(encode("a a a a a"), "ERR_INVALID_ARGUMENT", /at most 4 words/);
  });

  it("stops for a signal, and refuses options it does not know", async () => {
    await rejects(encode("a seven", { signal: AbortSignal.abort() }), "ERR_ABORTED");
    await rejects(encode("a seven", { speed: 1 } as never), "ERR_INVALID_ARGUMENT", /unknown option "speed"/);
  });

  it("refuses what is no model, no tokenizer and no way with unknown words", async () => {
    const bad: [unknown, RegExp][] = [
      [undefined, /^options.model: expected a Model from loadModel\(\), got undefined/],
      [null, /^options: expected an object/],
      [{ tokenizer }, /^options.model: expected a Model from loadModel\(\), got undefined/],
      [{ model }, /^options.tokenizer: expected a tokenizer from loadTokenizer\(\), got undefined/],
      [{ model, tokenizer, unknownWords: "skip" }, /^options.unknownWords: .* got "skip"/],
      [{ model, tokenizer, words: 1 }, /unknown option "words"/],
    ];
    for (const [options, message] of bad)
      await rejects(() => textEncoder(options as TextEncoderOptions), "ERR_INVALID_ARGUMENT", message);
    using two = await loadModel(sums(2));
    await rejects(
      () => textEncoder({ model: two, tokenizer }),
      "ERR_SHAPE_MISMATCH",
      /^options\.output: expected the output with a text's embedding, .* has several: embedding \[\?, 2\], again \[\?, 2\]/,
    );
  });

  it("says that a model of images reads no words", async () => {
    using images = await loadModel(tinyEncoder());
    await rejects(
      textEncoder({ model: images, tokenizer })("a seven"),
      "ERR_SHAPE_MISMATCH",
      /expected the shape/,
    );
  });

  it("refuses embeddings that are none", async () => {
    const giving = (data: number[], shape: number[]): TextEncoder =>
      textEncoder({
        model: {
          name: "m.onnx",
          inputs: [{ name: "tokens", shape: [null, null], type: "int64" }],
          outputs: [{ name: "embedding", shape: [null, 2], type: "float32" }],
          run: async () => ({ embedding: tensor(data, shape) }),
        } as unknown as Model,
        tokenizer,
      });
    await rejects(
      giving([1, Number.NaN], [1, 2])("a seven"),
      "ERR_RUN_FAILED",
      /m\.onnx: .*got NaN at index 1/,
    );
    await rejects(giving([1, 2, 3, 4], [2, 2])("a seven"), "ERR_RUN_FAILED", /\[1, m\].* got \[2, 2\]/);
    await rejects(giving([1, 2], [2])(["a", "seven"]), "ERR_RUN_FAILED", /\[2, m\].* got \[2\]/);
  });
});
