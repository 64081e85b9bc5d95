/** What tokenizers give, and what they are asked. */
import type { Tensor } from "../base/tensor.js";

/** Texts as numbers. */
export interface EncodedText {
  /** [B, length], a row for each text, filled up: whole numbers for a model's int64 input. */
  readonly ids: Tensor;
  /** [B, length]: 1 for numbers of the text, 0 for those that fill a row up. */
  readonly mask?: Tensor;
  /** [B, length]: which segment of the text a number belongs to. */
  readonly types?: Tensor;
  /** Texts whose rest does not fit into a row and was cut off, by their place among the texts. */
  readonly cut?: readonly number[];
  /** The words that the tokenizer does not know, each once, in the order of the texts. */
  readonly unknown: readonly string[];
}

/** What a model reads. */
export interface EncodeOptions {
  /** Numbers of a row, where that is fixed. */
  readonly length?: number;
  /** The most numbers that a row may have. */
  readonly most?: number;
}

/** Turns texts into numbers. {@link loadTokenizer} makes one; an object of your own with this method works as well. */
export interface Tokenizer {
  /**
   * The numbers of one or several texts, a row for each.
   *
   * @throws ArgumentError for texts it cannot take, naming them
   */
  encode(texts: string | readonly string[], options?: EncodeOptions): EncodedText;
}

/** A tokenizer out of a file. */
export interface LoadedTokenizer extends Tokenizer {
  /** "words": one of tr0n's own files; "subwords": HuggingFace's tokenizer.json. */
  readonly kind: "words" | "subwords";
  /** Numbers of a row, or the most there can be; null where the file does not say. */
  readonly length: number | null;
  /** What there are numbers for; a number is its index. */
  readonly vocabulary: readonly string[];
}
