/** The text demo's own models: they agree with PyTorch and with each other. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  loadModel,
  loadTokenizer,
  tensor,
  textEncoder,
  type Model,
  type Tensor,
  type TextEncoder,
  type LoadedTokenizer,
} from "../../lib/index.js";
import { close } from "../support/tiny.js";

const file = (name: string): URL => new URL(`../../models/${name}`, import.meta.url);
const cases = JSON.parse(
  readFileSync(new URL("../fixtures/text/captions.json", import.meta.url), "utf8"),
) as { text: string; ids: number[]; embedding: number[] }[];

/** A vertical white bar on black, and a red ring on yellow: a one and a zero. */
function pictures(): Tensor {
  const pixels = new Float32Array(2 * 3 * 32 * 32).fill(-1);
  for (let y = 0; y < 32; y++)
    for (let x = 0; x < 32; x++) {
      const bar = Math.abs(x - 15.5) < 2 && y > 5 && y < 26;
      const radius = Math.hypot((x - 15.5) / 7, (y - 15.5) / 10);
      const ring = radius > 0.78 && radius < 1.1;
      for (let c = 0; c < 3; c++) {
        pixels[c * 1024 + y * 32 + x] = bar ? 0.88 : -0.88;
        pixels[3072 + c * 1024 + y * 32 + x] = (ring ? [0.72, -0.76, -0.76] : [0.9, 0.72, -0.76])[c]!;
      }
    }
  return tensor(pixels, [2, 3, 32, 32]);
}

describe("the text demo's models", () => {
  let model: Model;
  let tokenizer: LoadedTokenizer;
  let encode: TextEncoder;
  before(async () => {
    [model, tokenizer] = await Promise.all([
      loadModel(file("text-encoder.onnx")),
      loadTokenizer(file("text-tokenizer.json")),
    ]);
    encode = textEncoder({ model, tokenizer });
  });
  after(() => model?.dispose());

  it("are told words by the numbers that their training used", () => {
    assert.ok(cases.length > 20);
    for (const { text, ids } of cases) assert.deepEqual([...tokenizer.encode(text).ids.data], ids, text);
    assert.deepEqual(tokenizer.encode("a crimson 7 on teal").unknown, ["crimson", "teal"]);
  });

  it("gives the embeddings that PyTorch gives, of one text and of several", async () => {
    const known = cases.filter(({ text }) => tokenizer.encode(text).unknown.length === 0);
    assert.ok(known.length > 20);
    const many = await encode(known.map(({ text }) => text));
    const m = model.outputs[0]!.shape[1]!;
    assert.deepEqual(many.shape, [known.length, m]);
    close(
      many.data,
      known.flatMap(({ embedding }) => embedding),
      1e-5,
    );
    for (const { text, embedding } of known.slice(0, 3)) {
      const one = await encode(text);
      assert.deepEqual(one.shape, [m]);
      close(one.data, embedding, 1e-5, text);
    }
  });

  it("gives unit vectors in the space of the image encoder: a picture lies nearest to its own caption", async () => {
    using images = await loadModel(file("image-encoder.onnx"));
    const { embedding } = await images.run(pictures());
    const texts = await encode([
      "a white one on a black background",
      "a red zero on a yellow background",
      "a yellow zero on a red background",
      "a black one on a white background",
      "a white seven on a black background",
    ]);
    const m = texts.shape[1]!;
    const row = (data: Float32Array, i: number): Float32Array => data.subarray(i * m, (i + 1) * m);
    const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
    for (let i = 0; i < 5; i++) assert.ok(Math.abs(dot(row(texts.data, i), row(texts.data, i)) - 1) < 1e-5);
    for (let image = 0; image < 2; image++) {
      const scores = [0, 1, 2, 3, 4].map((i) => dot(row(embedding!.data, image), row(texts.data, i)));
      assert.equal(
        scores.indexOf(Math.max(...scores)),
        image,
        `scores ${scores.map((s) => s.toFixed(3)).join(" ")}`,
      );
    }
  });
  it("takes a word that nobody knows for what it is", async () => {
    const { text, embedding } = cases.find((known) => known.text === "a crimson 7 on teal")!;
    close((await textEncoder({ model, tokenizer, unknownWords: "ignore" })(text)).data, embedding, 1e-5);
  });

  it("judge every attribute by an output of its own", async () => {
    using judge = await loadModel(file("attribute-classifier.onnx"));
    assert.deepEqual(
      judge.outputs.map(({ name, shape }) => [name, shape]),
      [
        ["digit", [null, 10]],
        ["stroke", [null, 8]],
        ["background", [null, 8]],
        ["thickness", [null, 3]],
      ],
    );
    const { stroke, background } = await judge.run(pictures());
    const best = (scores: Float32Array): number => scores.indexOf(Math.max(...scores));
    const rows = (scores: Float32Array): number[] => [best(scores.subarray(0, 8)), best(scores.subarray(8))];
    // red, green, blue, yellow, magenta, cyan, white, black
    assert.deepEqual(rows(stroke!.data), [6, 0]);
    assert.deepEqual(rows(background!.data), [7, 3]);
  });
});
