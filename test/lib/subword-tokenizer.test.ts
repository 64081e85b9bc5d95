/** HuggingFace's tokenizer.json, and text encoders with masks, segments and several outputs. Files are small ones of our own; the numbers are by hand. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loadTokenizer, tensor, textEncoder, type Decision, type LoadedTokenizer } from "../../lib/index.js";
import { Builder, DataType, emptyGraph, encodeModel, type Dim } from "../../lib/onnx/index.js";
import { tr0n as line, workplace } from "../support/cli.js";
import { numbers } from "../support/numbers.js";
import { close, rejects } from "../support/tiny.js";
import { keeper } from "../support/keeper.js";

const vocabulary = (tokens: readonly string[]): Record<string, number> =>
  Object.fromEntries(tokens.map((token, id) => [token, id]));
const special = (content: string, id: number): object => ({
  ...{ id, content, special: true, single_word: false, lstrip: false, rstrip: false, normalized: false },
});
const template = (before: string, after: string, ids: Record<string, number>): object => ({
  type: "TemplateProcessing",
  single: [
    { SpecialToken: { id: before, type_id: 0 } },
    { Sequence: { id: "A", type_id: 0 } },
    { SpecialToken: { id: after, type_id: 0 } },
  ],
  pair: [],
  special_tokens: Object.fromEntries(
    Object.entries(ids).map(([id, n]) => [id, { id, ids: [n], tokens: [id] }]),
  ),
});

/** As CLIP's: lower case, words ending in </w>, pieces by merges. */
const clip = {
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: [special("<|startoftext|>", 0), special("<|endoftext|>", 1)],
  normalizer: { type: "Lowercase" },
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [
      { type: "Split", pattern: { Regex: "\\s+" }, behavior: "Removed", invert: false },
      { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  },
  post_processor: template("<|startoftext|>", "<|endoftext|>", { "<|startoftext|>": 0, "<|endoftext|>": 1 }),
  decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    type: "BPE",
    dropout: null,
    unk_token: "<|endoftext|>",
    continuing_subword_prefix: "",
    end_of_word_suffix: "</w>",
    fuse_unk: false,
    vocab: vocabulary([
      "<|startoftext|>",
      "<|endoftext|>",
      "a",
      "d",
      "o",
      "g",
      "a</w>",
      "g</w>",
      "do",
      "dog</w>",
      "s</w>",
      "s",
      "dog",
    ]),
    merges: ["d o", "do g</w>", "do g"],
  },
};

/** As BERT's. */
const bert = {
  version: "1.0",
  truncation: { max_length: 6, strategy: "LongestFirst", stride: 0, direction: "Right" },
  padding: {
    strategy: { Fixed: 8 },
    direction: "Right",
    pad_to_multiple_of: null,
    pad_id: 0,
    pad_type_id: 0,
    pad_token: "[PAD]",
  },
  added_tokens: ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map(special),
  normalizer: {
    type: "BertNormalizer",
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: "BertPreTokenizer" },
  post_processor: template("[CLS]", "[SEP]", { "[CLS]": 2, "[SEP]": 3 }),
  decoder: { type: "WordPiece", prefix: "##", cleanup: true },
  model: {
    type: "WordPiece",
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
    vocab: vocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "##dish", "dog", "##s", "a"]),
  },
};

/** As T5's or SigLIP's: pieces of the likeliest split. */
const unigram = {
  version: "1.0",
  truncation: null,
  padding: {
    strategy: "BatchLongest",
    direction: "Left",
    pad_to_multiple_of: 4,
    pad_id: 0,
    pad_type_id: 0,
    pad_token: "<pad>",
  },
  added_tokens: [special("<pad>", 0), special("</s>", 1)],
  normalizer: null,
  pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
  post_processor: {
    ...template("</s>", "</s>", { "</s>": 1 }),
    single: [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "</s>", type_id: 0 } }],
  },
  decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
  model: {
    type: "Unigram",
    unk_id: 2,
    vocab: [
      ["<pad>", 0],
      ["</s>", 0],
      ["<unk>", 0],
      ["▁red", -1],
      ["▁dog", -1],
      ["s", -2],
      ["▁", -3],
      ["d", -5],
      ["og", -5],
    ],
  },
};

const load = (value: object): Promise<LoadedTokenizer> => loadTokenizer(Buffer.from(JSON.stringify(value)));
const rows = ({ data, shape }: { data: Float32Array; shape: readonly number[] }): number[][] =>
  Array.from({ length: shape[0]! }, (_, i) => [...data.subarray(i * shape[1]!, (i + 1) * shape[1]!)]);

describe("tokenizer.json", () => {
  it("byte-level BPE: merges, ends of words, marks around the text, rows as long as the longest", async () => {
    const tokenizer = await load(clip);
    assert.equal(tokenizer.kind, "subwords");
    assert.equal(tokenizer.length, null);
    assert.equal(tokenizer.vocabulary[9], "dog</w>");
    const { ids, mask, unknown, cut } = tokenizer.encode(["A dog", "dogs"]);
    assert.deepEqual(rows(ids), [
      [0, 6, 9, 1],
      [0, 12, 10, 1],
    ]);
    assert.deepEqual(rows(mask!), [
      [1, 1, 1, 1],
      [1, 1, 1, 1],
    ]);
    assert.deepEqual([unknown, cut], [[], []]);
    // The number that fills rows up is the end's, where the file names none.
    const wide = tokenizer.encode("a", { length: 5 });
    assert.deepEqual([rows(wide.ids), rows(wide.mask!)], [[[0, 6, 1, 1, 1]], [[1, 1, 1, 0, 0]]]);
  });

  it("WordPiece: the file's own length and filling, segments, and a cut that leaves the marks", async () => {
    const tokenizer = await load(bert);
    assert.equal(tokenizer.length, 8);
    const { ids, mask, types, cut } = tokenizer.encode(["Reddish dogs", "a red dog a red dog"]);
    assert.deepEqual(rows(ids), [
      [2, 4, 5, 6, 7, 3, 0, 0],
      [2, 8, 4, 6, 8, 3, 0, 0],
    ]);
    assert.deepEqual(rows(mask!)[0], [1, 1, 1, 1, 1, 1, 0, 0]);
    assert.deepEqual(rows(types!), [new Array(8).fill(0), new Array(8).fill(0)]);
    assert.deepEqual(cut, [1]);
    assert.deepEqual(tokenizer.encode("a blue dog, red").unknown, ["blue", "dog,"]);
    const left = await load({ ...bert, truncation: { ...bert.truncation, direction: "Left" } });
    assert.deepEqual(rows(left.encode("a red dog a red dog").ids), [[2, 6, 8, 4, 6, 3, 0, 0]]);
    assert.deepEqual(rows(tokenizer.encode("a red dog", { length: 4 }).ids), [[2, 8, 4, 3]]);
  });

  it("Unigram: the likeliest pieces, filled up on the left to a multiple", async () => {
    const tokenizer = await load(unigram);
    const { ids, mask } = tokenizer.encode(["red dogs", "red"]);
    assert.deepEqual(rows(ids), [
      [3, 4, 5, 1],
      [0, 0, 3, 1],
    ]);
    assert.deepEqual(rows(mask!), [
      [1, 1, 1, 1],
      [0, 0, 1, 1],
    ]);
  });

  it("refuses files that are not sound, and texts that nothing is known of", async () => {
    const broken: [object, RegExp][] = [
      [
        { ...clip, model: { ...clip.model, vocab: { a: -1 } } },
        /vocab: expected tokens with numbers below 2\^24, got "a" with -1/,
      ],
      [{ ...clip, normalizer: { type: "Magic" } }, /not a sound tokenizer: .*Magic/],
      [
        { ...bert, truncation: { max_length: -2 } },
        /truncation\.max_length: expected a whole number, got -2/,
      ],
      [{ model: 7 }, /kind: expected "words", or HuggingFace's tokenizer\.json/],
    ];
    for (const [file, message] of broken) await rejects(load(file), "ERR_FILE_INVALID", message);
    const plain = await load({ ...clip, post_processor: null, model: { ...clip.model, unk_token: null } });
    assert.deepEqual(plain.encode("a xyz").unknown, ["xyz"]);
    await rejects(
      () => plain.encode("xyz"),
      "ERR_INVALID_ARGUMENT",
      /^text: expected a text of which the tokenizer knows something/,
    );
    const tokenizer = await load(bert);
    await rejects(
      () => tokenizer.encode(["a", 7 as never]),
      "ERR_INVALID_ARGUMENT",
      /^text\[1\]: expected a string, got 7/,
    );
    await rejects(() => tokenizer.encode([]), "ERR_INVALID_ARGUMENT", /at least one text/);
    await rejects(
      () => tokenizer.encode("a", { length: 1 }),
      "ERR_INVALID_ARGUMENT",
      /^text: expected at most 1 tokens/,
    );
  });
});

const width = 5;

/** Sums of rows of a table where the mask says so, with segments and positions; a mean, all tokens, and with images logits. */
function towers(length: Dim = "length", images = true): Uint8Array {
  const b = new Builder(emptyGraph("clip"));
  const dims: Dim[] = ["texts", length];
  const ids = b.input("input_ids", DataType.INT64, dims);
  const mask = b.input("attention_mask", DataType.INT64, dims);
  const types = b.input("token_type_ids", DataType.INT64, dims);
  const positions = b.input("position_ids", DataType.INT64, dims);
  const table = (name: string, seed: number): string =>
    b.op("Gather", [b.constant(numbers(seed, 20 * width), [20, width], DataType.FLOAT), name]);
  const all = b.op("Add", [b.op("Add", [table(ids, 1), table(types, 2)]), table(positions, 3)]);
  const weights = b.op("Unsqueeze", [b.op("Cast", [mask], { to: DataType.FLOAT }), b.ints([2])]);
  const text = b.op("ReduceSum", [b.op("Mul", [all, weights]), b.ints([1])], { keepdims: 0 });
  b.output("last_hidden_state", all);
  b.output("text_embeds", text);
  if (images) {
    const pixels = b.input("pixel_values", DataType.FLOAT, ["images", 3, 4, 4]);
    const image = b.op("MatMul", [
      b.op("Flatten", [pixels]),
      b.constant(numbers(4, 48 * width), [48, width], DataType.FLOAT),
    ]);
    b.output("image_embeds", image);
    b.output("logits_per_image", b.op("MatMul", [image, b.op("Transpose", [text], { perm: [1, 0] })]));
  }
  return encodeModel(b.graph);
}

/** The embedding of one row of tokens, in float64. */
function expected(ids: readonly number[]): number[] {
  const [one, two, three] = [1, 2, 3].map((seed) => numbers(seed, 20 * width));
  return Array.from({ length: width }, (_, k) =>
    ids.reduce((sum, id, i) => sum + one![id * width + k]! + two![k]! + three![i * width + k]!, 0),
  );
}

describe("text encoders of several inputs and outputs", function () {
  this.timeout(60_000);
  const { load: open, closeAll } = keeper();
  after(closeAll);

  it("get mask, segments and positions by their names, and leave the images' tower out", async () => {
    const decisions: Decision[] = [];
    const tokenizer = await load(clip);
    const model = await open(towers());
    const encode = textEncoder({ model, tokenizer, onDecision: (told) => decisions.push(told) });
    const { data, shape } = await encode(["a dog", "a"]);
    assert.deepEqual(shape, [2, width]);
    close(data.subarray(0, width), expected([0, 6, 9, 1]), 1e-5);
    close(data.subarray(width), expected([0, 6, 1]), 1e-5);
    assert.equal(decisions.length, 1);
    assert.equal(decisions[0]!.value, '"text_embeds"');
    const chosen = textEncoder({ model, tokenizer, output: "text_embeds", onDecision: () => assert.fail() });
    close((await chosen("a")).data, expected([0, 6, 1]), 1e-5);
  });

  it("fill rows up to the model's length, and warn where a text is cut", async () => {
    const model = await open(towers(3, false));
    const tokenizer = await load(clip);
    const warnings: string[] = [];
    const listener = (warning: Error): void => void warnings.push(warning.message);
    process.on("warning", listener);
    const quiet = { model, tokenizer, onDecision: () => undefined };
    close((await textEncoder(quiet)("a dog")).data, expected([0, 6, 1]), 1e-5);
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", listener);
    assert.ok(
      warnings.includes(
        'text: what goes beyond the 3 tokens that the text encoder reads was cut off of "a dog"',
      ),
      warnings.join("\n"),
    );
    await rejects(
      textEncoder({ ...quiet, longTexts: "error" })("a dog"),
      "ERR_INVALID_ARGUMENT",
      /^text: expected at most the 3 tokens .* got more in "a dog"$/,
    );
    const open3 = await open(towers());
    close(
      (await textEncoder({ ...quiet, model: open3, maxLength: 4 })("a dog a dog")).data,
      expected([0, 6, 9, 1]),
      1e-5,
    );
  });

  it("say what they cannot take", async () => {
    const tokenizer = await load(clip);
    const b = new Builder(emptyGraph("text"));
    const ids = b.input("input_ids", DataType.INT64, ["N", 4]);
    const scale = b.input("scale", DataType.FLOAT, []);
    b.output("y", b.op("Mul", [b.op("Cast", [ids], { to: DataType.FLOAT }), scale]));
    b.graph.outputs[0]!.dims = ["N", 4];
    const bytes = encodeModel(b.graph);
    const model = await open(bytes);
    await rejects(
      textEncoder({ model, tokenizer })("a"),
      "ERR_SHAPE_MISMATCH",
      /has the inputs input_ids, scale, and scale is none of a text's numbers .*\{ inputs: \{ "scale": 0 \} \}/,
    );
    const fixed = await open(bytes, { inputs: { scale: 2 } });
    close((await textEncoder({ model: fixed, tokenizer })("a dog")).data, [0, 12, 18, 2], 1e-6);
    await rejects(
      () => textEncoder({ model: fixed, tokenizer, output: "z" }),
      "ERR_INVALID_ARGUMENT",
      /^options\.output: .* has no output "z"; it has y \[\?, 4\]/,
    );
    const plain = { encode: () => ({ ids: tensor([1, 2], [1, 2]), unknown: [] }) };
    await rejects(
      textEncoder({ model: await open(towers()), tokenizer: plain, onDecision: () => undefined })("a"),
      "ERR_INVALID_ARGUMENT",
      /^options\.tokenizer: the model's input attention_mask takes a mask/,
    );
  });

  it("work on the command line", async () => {
    const place = await workplace();
    try {
      const b = new Builder(emptyGraph("text"));
      const ids = b.input("input_ids", DataType.INT64, ["N", "length"]);
      const mask = b.input("attention_mask", DataType.INT64, ["N", "length"]);
      const rows = b.op("Gather", [
        b.constant(numbers(1, 40), [20, 2], DataType.FLOAT),
        b.op("Mul", [ids, mask]),
      ]);
      b.output("text_embeds", b.op("ReduceSum", [rows, b.ints([1])], { keepdims: 0 }));
      b.output("hidden", rows);
      await writeFile(place.path("t.onnx"), encodeModel(b.graph));
      await writeFile(place.path("tokenizer.json"), JSON.stringify(clip));
      const common = [...place.models, "--energy", "cosine", "--device", "cpu", "--seed", "1"];
      const trained = await line([
        "train",
        ...common,
        "-n",
        "300",
        "--epochs",
        "1",
        "-o",
        place.path("x.safetensors"),
      ]);
      assert.equal(trained.code, 0, trained.error);
      const sampled = await line([
        ...["sample", ...place.models, "--translator", place.path("x.safetensors"), "--device", "cpu"],
        ...[
          "--text-encoder",
          place.path("t.onnx"),
          "--tokenizer",
          place.path("tokenizer.json"),
          "--text",
          "a dog",
        ],
        ...[
          "--count",
          "1",
          "--latents",
          place.path("l.safetensors"),
          "--json",
          "-o",
          join(place.path("."), "x.png"),
        ],
      ]);
      assert.equal(sampled.code, 0, sampled.error);
      const { decisions } = sampled.json() as { decisions: Decision[] };
      assert.ok(
        decisions.some(({ option, value }) => option === "textEncoder.output" && value === '"text_embeds"'),
      );
    } finally {
      await place.remove();
    }
  });
});
