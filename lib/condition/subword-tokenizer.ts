/** Texts to numbers by HuggingFace's tokenizer.json: byte-level BPE, WordPiece, Unigram and what else its library knows. */
import { ArgumentError, FileError, describe, invalid } from "../base/errors.js";
import { tensor, type Tensor } from "../base/tensor.js";
import type { EncodedText, EncodeOptions, LoadedTokenizer } from "./encoded-text.js";

/** What of the library is used. */
interface Encoder {
  encode(
    text: string,
    options: { add_special_tokens: boolean; return_token_type_ids: boolean },
  ): { ids: (number | undefined)[]; tokens: string[]; token_type_ids?: number[] };
}

/** What of a file says how long rows are. */
interface Settings {
  /** The most numbers that a text may have; undefined for any. */
  readonly most: number | undefined;
  readonly cutsLeft: boolean;
  /** Numbers of every row; undefined for as many as the longest text has. */
  readonly length: number | undefined;
  readonly multipleOf: number;
  readonly padsLeft: boolean;
  readonly pad: number;
  readonly padType: number;
  /** What stands for anything that is not in the vocabulary; undefined where nothing does. */
  readonly unknown: string | undefined;
}

type Json = Readonly<Record<string, unknown>>;

/** Whether a tokenizer's JSON is HuggingFace's. */
export function isSubwordFile(value: Json): boolean {
  return value["kind"] === undefined && isObject(value["model"]) && "vocab" in value["model"];
}

/**
 * @param name what messages call the file
 * @throws FileError ERR_FILE_INVALID for a file that is not sound, or of a kind that the library does not know
 */
export async function subwordTokenizer(value: Json, name: string): Promise<LoadedTokenizer> {
  const fail = (what: string, cause?: unknown): FileError =>
    new FileError("ERR_FILE_INVALID", `${name}: not a sound tokenizer: ${what}`, { cause });
  const added = list(value["added_tokens"]).filter(isObject);
  const settings = settingsOf(value, added, fail);
  const vocabulary = vocabularyOf((value["model"] as Json)["vocab"], added, fail);
  const { Tokenizer } = await import("@huggingface/tokenizers");
  let encoder: Encoder;
  try {
    const parts = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
    encoder = new Tokenizer({ ...parts, ...value, added_tokens: added }, {}) as Encoder;
  } catch (error) {
    throw fail((error as Error).message, error);
  }
  return new Subwords(vocabulary, encoder, settings);
}

function settingsOf(value: Json, added: readonly Json[], fail: (what: string) => FileError): Settings {
  const model = value["model"] as Json;
  const padding = isObject(value["padding"]) ? value["padding"] : {};
  const truncation = isObject(value["truncation"]) ? value["truncation"] : {};
  const whole = (key: string, given: unknown): number | undefined => {
    if (given === undefined || given === null) return undefined;
    if (!Number.isSafeInteger(given) || (given as number) < 0)
      throw fail(`${key}: expected a whole number, got ${describe(given)}`);
    return given as number;
  };
  const strategy = padding["strategy"];
  const fixed = isObject(strategy) ? whole("padding.strategy.Fixed", strategy["Fixed"]) : undefined;
  const named = (token: unknown): number | undefined =>
    whole("added_tokens", added.find(({ content }) => content === token)?.["id"]);
  const unknown = model["unk_token"];
  return {
    most: whole("truncation.max_length", truncation["max_length"]),
    cutsLeft: truncation["direction"] === "Left",
    length: fixed,
    multipleOf: whole("padding.pad_to_multiple_of", padding["pad_to_multiple_of"]) ?? 1,
    padsLeft: padding["direction"] === "Left",
    pad:
      whole("padding.pad_id", padding["pad_id"]) ??
      ["<pad>", "[PAD]", "<|endoftext|>", "</s>"].map(named).find((id) => id !== undefined) ??
      0,
    padType: whole("padding.pad_type_id", padding["pad_type_id"]) ?? 0,
    unknown: typeof unknown === "string" && unknown !== "" ? unknown : undefined,
  };
}

/** Tokens by their numbers. */
function vocabularyOf(
  vocab: unknown,
  added: readonly Json[],
  fail: (what: string) => FileError,
): readonly string[] {
  const tokens: string[] = [];
  const entries: [unknown, unknown][] = Array.isArray(vocab)
    ? (vocab as unknown[]).map((entry, id) => [(entry as unknown[] | null)?.[0], id])
    : Object.entries(vocab as Json);
  for (const [token, id] of [
    ...entries,
    ...added.map(({ content, id }) => [content, id]),
  ] as typeof entries) {
    if (typeof token !== "string" || !Number.isInteger(id) || (id as number) < 0 || (id as number) >= 2 ** 24)
      throw fail(
        `vocab: expected tokens with numbers below 2^24, got ${describe(token)} with ${describe(id)}`,
      );
    tokens[id as number] = token;
  }
  return tokens;
}

/** A text as numbers. */
interface Row {
  readonly ids: readonly number[];
  readonly types: readonly number[];
  readonly cut: boolean;
}

class Subwords implements LoadedTokenizer {
  readonly kind = "subwords";
  readonly length: number | null;

  constructor(
    readonly vocabulary: readonly string[],
    private readonly encoder: Encoder,
    private readonly settings: Settings,
  ) {
    this.length = settings.length ?? settings.most ?? null;
  }

  encode(texts: string | readonly string[], options: EncodeOptions = {}): EncodedText {
    const given: readonly unknown[] = typeof texts === "string" ? [texts] : texts;
    if (!Array.isArray(given)) throw invalid("text", "a string or an array of strings", texts);
    if (given.length === 0) throw new ArgumentError("text: expected at least one text, got none");
    const { settings } = this;
    const limits = [options.length, options.most, settings.most].filter((x) => x !== undefined);
    const most = limits.length > 0 ? Math.min(...limits) : Infinity;
    const unknown = new Set<string>();
    const rows = given.map((text, i) => {
      const name = typeof texts === "string" ? "text" : `text[${i}]`;
      if (typeof text !== "string") throw invalid(name, "a string", text);
      return this.row(name, text, most, unknown);
    });
    const longest = Math.max(1, ...rows.map(({ ids }) => ids.length));
    const length =
      options.length ??
      Math.max(settings.length ?? 0, Math.ceil(longest / settings.multipleOf) * settings.multipleOf);
    const { padsLeft, pad, padType } = settings;
    const filled = (part: (row: Row) => readonly number[], fill: number): Tensor => {
      const data = new Float32Array(rows.length * length).fill(fill);
      rows.forEach((row, i) => data.set(part(row), i * length + (padsLeft ? length - row.ids.length : 0)));
      return tensor(data, [rows.length, length]);
    };
    return {
      ids: filled(({ ids }) => ids, pad),
      mask: filled(({ ids }) => ids.map(() => 1), 0),
      types: filled(({ types }) => types, padType),
      unknown: [...unknown],
      cut: rows.flatMap(({ cut }, i) => (cut ? [i] : [])),
    };
  }

  private row(name: string, text: string, most: number, unknown: Set<string>): Row {
    const { ids, types } = this.numbers(text, true);
    for (const word of text.split(/\s+/u)) if (word !== "" && this.isUnknown(word)) unknown.add(word);
    const known = (id: number | undefined): number => {
      if (id === undefined)
        throw new ArgumentError(
          `${name}: the tokenizer has no number for a part of ${describe(text)}, and none for what it does not know`,
        );
      return id;
    };
    const own = this.numbers(text, false).ids;
    if (ids.length === 0)
      throw new ArgumentError(
        `${name}: expected a text of which the tokenizer knows something, got ${describe(text)}`,
      );
    if (ids.length <= most) return { ids: ids.map(known), types, cut: false };
    // What stands before and behind the text stays.
    const around = ids.length - own.length;
    const before = this.before(ids, own);
    const room = most - around;
    if (before === null || room < 0)
      throw new ArgumentError(
        `${name}: expected at most ${most} tokens, for the text encoder reads no more, got ${ids.length}: ${describe(text)}`,
      );
    const first = before + (this.settings.cutsLeft ? own.length - room : 0);
    const keep = <T>(all: readonly T[]): T[] => [
      ...all.slice(0, before),
      ...all.slice(first, first + room),
      ...all.slice(before + own.length),
    ];
    return { ids: keep(ids).map(known), types: keep(types), cut: true };
  }

  /** How many numbers stand before those of the text itself; null where they are not among them. */
  private before(ids: readonly (number | undefined)[], own: readonly (number | undefined)[]): number | null {
    for (let at = 0; at + own.length <= ids.length; at++)
      if (own.every((id, i) => id === ids[at + i])) return at;
    return null;
  }

  private numbers(text: string, special: boolean): { ids: (number | undefined)[]; types: number[] } {
    const encoded = this.encoder.encode(text, { add_special_tokens: special, return_token_type_ids: true });
    return { ids: encoded.ids, types: encoded.token_type_ids ?? encoded.ids.map(() => 0) };
  }

  /** Whether nothing of a word is in the vocabulary, or something is not. */
  private isUnknown(word: string): boolean {
    const { ids, tokens } = this.encoder.encode(word, {
      add_special_tokens: false,
      return_token_type_ids: false,
    });
    const { unknown } = this.settings;
    return ids.length === 0 || ids.includes(undefined) || (unknown !== undefined && tokens.includes(unknown));
  }
}

function isObject(value: unknown): value is Json {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
