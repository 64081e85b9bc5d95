/** Texts to the numbers that a text encoder reads: by words, or by HuggingFace's tokenizer.json. */
import { fileURLToPath } from "node:url";
import { reason } from "../base/atomic-write.js";
import { checkPath } from "../base/check.js";
import { ArgumentError, FileError, describe, invalid } from "../base/errors.js";
import { kindOfAny } from "../base/file-kinds.js";
import { readWholeFile } from "../base/read-file.js";
import { tensor } from "../base/tensor.js";
import type { EncodedText, LoadedTokenizer } from "./encoded-text.js";
import { isSubwordFile, subwordTokenizer } from "./subword-tokenizer.js";

/** A tokenizer by words. A word is a run of letters and digits, taken in lower case; everything else separates words. */
export interface WordTokenizer extends LoadedTokenizer {
  readonly kind: "words";
  /** The largest number of words in a text, and the numbers in a row. */
  readonly length: number;
  /** The words; a word's number is its index. */
  readonly vocabulary: readonly string[];
}

/** Ids travel as float32, which has no whole numbers beyond. */
const mostWords = 2 ** 24;
const mostLength = 65_536;

/**
 * Reads a tokenizer from JSON: HuggingFace's tokenizer.json (byte-level BPE as of CLIP, WordPiece, Unigram), or tr0n's own by
 * words, `{ "kind": "words", "length", "pad", "unknown", "vocabulary": [words] }`. A word's number
 * is its index in the vocabulary; `pad` is the number that fills a row, `unknown` the number of words that are not in the
 * vocabulary.
 *
 * @param source a path, a file URL, or the JSON's bytes
 * @throws FileError ERR_IO when it cannot be read, ERR_FILE_INVALID when it is not such JSON; ArgumentError
 */
export async function loadTokenizer(source: string | URL | Uint8Array): Promise<LoadedTokenizer> {
  const { name, bytes } = await read(source);
  const fail = (what: string, cause?: unknown): FileError =>
    new FileError("ERR_FILE_INVALID", `${name}: not a sound tokenizer: ${what}`, { cause });
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (error) {
    const kind = kindOfAny(bytes);
    throw fail(`expected JSON, such as a tokenizer.json${kind ? `, got ${kind.is}` : ""}`, error);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value))
    throw fail(`expected an object, got ${describe(value)}`);
  if (isSubwordFile(value as Record<string, unknown>))
    return subwordTokenizer(value as Record<string, unknown>, name);
  const { kind, length, pad, unknown, vocabulary, ...rest } = value as Record<string, unknown>;
  if (kind !== "words")
    throw fail(
      `kind: expected "words", or HuggingFace's tokenizer.json, which has a "model" with a "vocab", got ${describe(kind)}`,
    );
  for (const key of Object.keys(rest))
    throw fail(`it has ${describe(key)}, which this version does not know`);
  if (!Array.isArray(vocabulary) || vocabulary.length < 2 || vocabulary.length > mostWords)
    throw fail(`vocabulary: expected an array of 2 … ${mostWords} words, got ${describe(vocabulary)}`);
  const numbers = new Map<string, number>();
  for (const [number, word] of (vocabulary as unknown[]).entries()) {
    if (typeof word !== "string" || word === "")
      throw fail(`vocabulary[${number}]: expected a word, got ${describe(word)}`);
    if (numbers.has(word))
      throw fail(`vocabulary[${number}]: ${describe(word)} is there already, at ${numbers.get(word)}`);
    numbers.set(word, number);
  }
  const whole = (key: string, given: unknown, low: number, high: number): number => {
    if (!Number.isInteger(given) || (given as number) < low || (given as number) > high)
      throw fail(`${key}: expected a whole number of ${low} … ${high}, got ${describe(given)}`);
    return given as number;
  };
  const last = vocabulary.length - 1;
  const settings = {
    length: whole("length", length, 1, mostLength),
    pad: whole("pad", pad, 0, last),
    unknown: whole("unknown", unknown, 0, last),
  };
  if (settings.pad === settings.unknown)
    throw fail(`pad and unknown: expected two numbers, got ${settings.pad} twice`);
  return new Words(vocabulary as string[], numbers, settings);
}

/** Runs of letters and digits, in lower case. */
function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

class Words implements WordTokenizer {
  readonly kind = "words";
  readonly length: number;

  constructor(
    readonly vocabulary: readonly string[],
    private readonly numbers: ReadonlyMap<string, number>,
    private readonly settings: { readonly length: number; readonly pad: number; readonly unknown: number },
  ) {
    this.length = settings.length;
  }

  encode(texts: string | readonly string[]): EncodedText {
    const list: readonly unknown[] = typeof texts === "string" ? [texts] : texts;
    if (!Array.isArray(list)) throw invalid("text", "a string or an array of strings", texts);
    if (list.length === 0) throw new ArgumentError("text: expected at least one text, got none");
    const { length, pad } = this.settings;
    const ids = new Float32Array(list.length * length).fill(pad);
    const unknown = new Set<string>();
    for (let row = 0; row < list.length; row++) {
      const name = typeof texts === "string" ? "text" : `text[${row}]`;
      const text = list[row];
      if (typeof text !== "string") throw invalid(name, "a string", text);
      const words = wordsOf(text);
      if (words.length === 0) throw invalid(name, "a text with at least one word", text);
      if (words.length > length)
        throw new ArgumentError(
          `${name}: expected at most ${length} words, for the text encoder reads no more, got ${words.length}: ${describe(text)}`,
        );
      words.forEach((word, i) => {
        const number = this.numbers.get(word);
        if (number === undefined) unknown.add(word);
        ids[row * length + i] = number ?? this.settings.unknown;
      });
    }
    return { ids: tensor(ids, [list.length, length]), unknown: [...unknown] };
  }
}

async function read(source: unknown): Promise<{ name: string; bytes: Uint8Array }> {
  if (source instanceof Uint8Array) return { name: "the tokenizer given as bytes", bytes: source };
  let path: unknown = source;
  if (source instanceof URL) {
    if (source.protocol !== "file:") throw invalid("source", "a path, a file URL or bytes", source.href);
    path = fileURLToPath(source);
  }
  checkPath("source", path);
  try {
    return { name: path, bytes: await readWholeFile(path) };
  } catch (error) {
    throw new FileError("ERR_IO", `${path}: cannot be read: ${reason(error)}`, { cause: error });
  }
}
