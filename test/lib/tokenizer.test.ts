import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { loadTokenizer, type LoadedTokenizer } from "../../lib/index.js";
import { rejects, withFolder } from "../support/tiny.js";

const sound = {
  kind: "words",
  length: 5,
  pad: 0,
  unknown: 1,
  vocabulary: ["<pad>", "<unknown>", "a", "red", "7"],
};
const bytes = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const load = (change: object = {}): Promise<LoadedTokenizer> => loadTokenizer(bytes({ ...sound, ...change }));

describe("the tokenizer", () => {
  it("gives each word its number and fills the row up", async () => {
    const { ids, unknown } = (await load()).encode("A red, RED 7!");
    assert.deepEqual(ids, { data: Float32Array.of(2, 3, 3, 4, 0), shape: [1, 5] });
    assert.deepEqual(unknown, []);
    assert.deepEqual(
      (await load({ pad: 1, unknown: 0 })).encode("red sky").ids.data,
      Float32Array.of(3, 0, 1, 1, 1),
    );
  });

  it("takes several texts, and tells each unknown word once", async () => {
    const { ids, unknown } = (await load()).encode(["crimson 7 über", "red", "Über-red"]);
    assert.deepEqual(ids, {
      data: Float32Array.of(1, 4, 1, 0, 0, 3, 0, 0, 0, 0, 1, 3, 0, 0, 0),
      shape: [3, 5],
    });
    assert.deepEqual(unknown, ["crimson", "über"]);
  });

  it("takes a text of exactly its length and no longer one", async () => {
    const tokenizer = await load();
    assert.deepEqual(tokenizer.encode("a a a a a").ids.data, new Float32Array(5).fill(2));
    await rejects(
      () => tokenizer.encode(["red", "a a a a a a"]),
      "ERR_INVALID_ARGUMENT",
      /^text\[1\]: expected at most 5 words.* got 6: "a a a a a a"/,
    );
  });

  for (const [name, text, message] of [
    ["an empty text", "", /^text: expected a text with at least one word, got ""/],
    ["a text without a word", " … !", /at least one word, got " … !"/],
    ["an empty text among others", ["red", ""], /^text\[1\]: expected a text/],
    ["no texts", [], /at least one text, got none/],
    ["a number", 7, /^text: expected a string or an array of strings, got 7/],
    ["a number among texts", ["red", 7], /^text\[1\]: expected a string, got 7/],
    ["a hole among texts", new Array<string>(1), /^text\[0\]: expected a string, got undefined/],
    ["nothing", undefined, /got undefined/],
  ] as [string, never, RegExp][])
    it(`refuses ${name}`, async () => {
      const tokenizer = await load();
      await rejects(() => tokenizer.encode(text), "ERR_INVALID_ARGUMENT", message);
    });

  it("comes from a path and from a URL", () =>
    withFolder(async (folder) => {
      const path = join(folder, "words.json");
      await writeFile(path, bytes(sound));
      for (const source of [path, pathToFileURL(path)]) {
        const tokenizer = await loadTokenizer(source);
        assert.deepEqual([tokenizer.length, tokenizer.vocabulary], [5, sound.vocabulary]);
      }
    }));

  it("says which file cannot be read, and what was given instead of one", async () => {
    await withFolder(async (folder) => {
      await rejects(
        loadTokenizer(join(folder, "no.json")),
        "ERR_IO",
        /no\.json: cannot be read: no such file/,
      );
      await rejects(loadTokenizer(folder), "ERR_IO", /it is a folder/);
    });
    await rejects(loadTokenizer(new URL("https://example.org/t.json")), "ERR_INVALID_ARGUMENT", /a file URL/);
    await rejects(loadTokenizer("" as never), "ERR_INVALID_ARGUMENT", /^source: expected a path/);
    await rejects(loadTokenizer(undefined as never), "ERR_INVALID_ARGUMENT", /got undefined/);
  });

  for (const [name, json, message] of [
    ["no JSON", "{", /expected JSON/],
    ["an array", "[]", /expected an object, got an array/],
    ["null", "null", /expected an object, got null/],
    [
      "another kind",
      { ...sound, kind: "bpe" },
      /kind: expected "words", or HuggingFace's tokenizer\.json.* got "bpe"/,
    ],
    ["a key that nobody knows", { ...sound, merges: [] }, /it has "merges"/],
    ["no vocabulary", { ...sound, vocabulary: undefined }, /vocabulary: expected an array/],
    [
      "a vocabulary of one",
      { ...sound, vocabulary: ["a"] },
      /vocabulary: expected an array of 2 … .* length 1/,
    ],
    ["a number as a word", { ...sound, vocabulary: ["a", 2] }, /vocabulary\[1\]: expected a word, got 2/],
    ["an empty word", { ...sound, vocabulary: ["a", ""] }, /vocabulary\[1\]: expected a word, got ""/],
    [
      "a word twice",
      { ...sound, vocabulary: ["a", "b", "a"] },
      /vocabulary\[2\]: "a" is there already, at 0/,
    ],
    ["no length", { ...sound, length: 0 }, /length: expected a whole number of 1 … 65536, got 0/],
    ["half a length", { ...sound, length: 2.5 }, /length: .* got 2.5/],
    ["a pad beyond the vocabulary", { ...sound, pad: 5 }, /pad: expected a whole number of 0 … 4, got 5/],
    ["no number for unknown words", { ...sound, unknown: undefined }, /unknown: .* got undefined/],
    ["pad and unknown in one", { ...sound, pad: 1 }, /pad and unknown: expected two numbers, got 1 twice/],
  ] as [string, unknown, RegExp][])
    it(`does not come from ${name}`, () =>
      rejects(
        loadTokenizer(typeof json === "string" ? Buffer.from(json) : bytes(json)),
        "ERR_FILE_INVALID",
        message,
      ));
});
