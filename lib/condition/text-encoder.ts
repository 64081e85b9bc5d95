/** Texts as conditions: a tokenizer and a model that turns its numbers into embeddings. */
import { shapeText } from "../base/check.js";
import { check } from "../options/check.js";
import { ArgumentError, ModelError, describe, invalid } from "../base/errors.js";
import { byHand, object, option, path, required, words, type TypeOf } from "../options/describe.js";
import { abortable } from "../native/job.js";
import { runOptions, type Model, type RunOptions } from "../model/interface.js";
import { checkTensor, type Tensor } from "../base/tensor.js";
import type { EncodedText, Tokenizer } from "./tokenizer.js";

/** @internal */
export const textEncoderOptions = object({
  model: required(byHand<Model>("Model", checkModel), "turns word numbers into embeddings", {
    more: "It has one input, word numbers [B, length], and one output, embeddings [B, m] in the space of the image encoder.",
  }),
  tokenizer: required(byHand<Tokenizer, string>("Tokenizer", checkTokenizer, path()), "its tokenizer"),
  unknownWords: option(
    byHand<UnknownWords, "error" | "ignore">(
      '"error" | "ignore" | ((words: readonly string[]) => void)',
      checkUnknownWords,
      words("error", "ignore"),
    ),
    "what to do with a text that has words unknown to the tokenizer",
    {
      more:
        '"error" refuses it. "ignore" gives the model the number of unknown words. A function is called with the words, and the ' +
        "model gets that number, too.",
      default: "error",
    },
  ),
});

type UnknownWords = "error" | "ignore" | ((words: readonly string[]) => void);

export type TextEncoderOptions = TypeOf<typeof textEncoderOptions>;

function checkModel(name: string, value: unknown): void {
  if (typeof (value as Model | null | undefined)?.run !== "function")
    throw invalid(name, "a Model from loadModel()", value);
}

function checkTokenizer(name: string, value: unknown): void {
  if (typeof (value as Tokenizer | null | undefined)?.encode !== "function")
    throw invalid(name, "a tokenizer from loadTokenizer()", value);
}

function checkUnknownWords(name: string, value: unknown): void {
  if (value !== "error" && value !== "ignore" && typeof value !== "function")
    throw invalid(name, `"error", "ignore" or a function`, value);
}

/** Turns one text into an embedding [m], several into [B, m]. Either is a condition. */
export type TextEncoder = (texts: string | readonly string[], options?: RunOptions) => Promise<Tensor>;

/**
 * Turns texts into embeddings [B, m] in the space of the image encoder: a function from {@link textEncoder}, or any other,
 * such as one that asks a server.
 */
export type TextFunction = (texts: string[], options?: RunOptions) => Promise<Tensor>;

/**
 * Makes a function from texts to embeddings out of a model and a tokenizer. The caller still has to dispose of the model.
 *
 * The function throws ArgumentError for a text that is empty, too long, or has words that the tokenizer does not know;
 * what {@link Model.run} throws; and ModelError ERR_RUN_FAILED when the model's output is not m finite numbers for each text.
 *
 * @throws ArgumentError for options of a wrong type; code ERR_SHAPE_MISMATCH for a model with more than one input or output
 */
export function textEncoder(options: TextEncoderOptions): TextEncoder {
  const { model, tokenizer, unknownWords } = check(textEncoderOptions, options, {
    name: "options",
    prefix: "options.",
  });
  if (model.inputs.length !== 1 || model.outputs.length !== 1)
    throw new ArgumentError(
      `options.model: expected one input and one output, got ${model.inputs.length} and ${model.outputs.length} (${model.name})`,
      { code: "ERR_SHAPE_MISMATCH" },
    );

  return async (texts, given) => {
    const o = check(runOptions, given, { name: "options", prefix: "options." });
    const { ids, unknown }: EncodedText = tokenizer.encode(texts);
    if (unknown.length > 0) {
      if (unknownWords === "error")
        throw new ArgumentError(
          `text: expected words that the tokenizer knows, got ${unknown.map(describe).join(", ")} in ${describe(
            typeof texts === "string" ? texts : texts.join("; "),
          )}; its vocabulary lists them all`,
        );
      if (unknownWords !== "ignore") unknownWords(unknown);
    }
    const result = await model.run({ [model.inputs[0]!.name]: ids }, o);
    const embedding = result[model.outputs[0]!.name]!;
    return checked(embedding, typeof texts === "string" ? null : texts.length, model.name);
  };
}

/** The model's output as [m], or as [count, m]. */
function checked(embedding: Tensor, count: number | null, model: string): Tensor {
  const { data, shape } = embedding;
  const rows = count ?? 1;
  if (shape.length !== 2 || shape[0] !== rows || shape[1] === 0)
    throw new ModelError(
      "ERR_RUN_FAILED",
      `${model}: expected an embedding of the shape [${rows}, m] for ${rows} texts, got ${shapeText(shape)}`,
    );
  try {
    checkTensor("its output", embedding, { finite: true });
  } catch (error) {
    throw new ModelError("ERR_RUN_FAILED", `${model}: ${(error as Error).message}`, { cause: error });
  }
  return count === null ? { data, shape: [shape[1]!] } : embedding;
}

/** @throws ArgumentError unless it is a function or undefined. */
function checkTextFunction(name: string, value: unknown): TextFunction | undefined {
  if (value !== undefined && typeof value !== "function")
    throw invalid(name, "what textEncoder() gives, or a function from texts to a Tensor", value);
  return value as TextFunction | undefined;
}

/** @internal */
export const textFunction = byHand<TextFunction>(
  "TextFunction",
  checkTextFunction as (name: string, value: unknown) => TextFunction,
);

/**
 * What a text encoder says about a text or several, [B, size].
 *
 * @throws ArgumentError for anything but texts, without an encoder, or when it gives anything but size finite numbers a
 *   text; what the encoder throws; AbortError
 */
export async function encodeTexts(
  name: string,
  value: unknown,
  encode: TextFunction | undefined,
  size: number,
  signal: AbortSignal,
): Promise<Tensor> {
  const texts: unknown[] = Array.isArray(value) ? [...(value as unknown[])] : [value];
  if (texts.length === 0) throw new ArgumentError(`${name}: expected at least one text, got none`);
  const wrong = texts.findIndex((text) => typeof text !== "string" || text.trim() === "");
  if (wrong >= 0)
    throw invalid(
      Array.isArray(value) ? `${name}[${wrong}]` : name,
      "a text, or an array of texts",
      texts[wrong],
    );
  if (encode === undefined)
    throw new ArgumentError(
      `${name}: needs a text encoder; give the option textEncoder to Tr0n.create or Tr0n.load`,
    );
  const given = await abortable("encoding texts", encode(texts as string[], { signal }), signal);
  const label = "textEncoder's result";
  checkTensor(label, given, { finite: true });
  const n = texts.length;
  const { shape } = given;
  if (shape.at(-1) !== size || given.data.length !== n * size || shape.length > 2)
    throw new ArgumentError(
      `${label}: expected the shape [${n}, ${size}] for ${n} texts, because the encoder's output has ${size} numbers, got ${shapeText(shape)}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  return { data: given.data, shape: [n, size] };
}
