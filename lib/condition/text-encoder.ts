/** Texts as conditions: a tokenizer and a model that turns its numbers into embeddings. */
import { checkFunction, shapeText } from "../base/check.js";
import { Decisions, type DecisionListener } from "../base/decisions.js";
import { check } from "../options/check.js";
import { ArgumentError, ModelError, describe, invalid } from "../base/errors.js";
import {
  byHand,
  integer,
  object,
  option,
  path,
  required,
  text,
  words,
  type TypeOf,
} from "../options/describe.js";
import { abortable } from "../native/job.js";
import { runOptions, type Model, type RunOptions } from "../model/interface.js";
import { checkTensor, type Tensor } from "../base/tensor.js";
import { OnnxModel } from "../model/model.js";
import { rowLength, textFeeds, textInputs, textOutput } from "./text-inputs.js";
import type { EncodedText, Tokenizer } from "./encoded-text.js";

/** @internal */
export const textEncoderOptions = object({
  model: required(byHand<Model>("Model", checkModel), "turns the tokenizer's numbers into embeddings", {
    more:
      "Its inputs are the numbers [B, length], and where it has more, by their names, a mask, segments and positions; an output are " +
      "embeddings [B, m] in the space of the image encoder. What only its other outputs need is left out.",
  }),
  tokenizer: required(byHand<Tokenizer, string>("Tokenizer", checkTokenizer, path()), "its tokenizer", {
    more: "A file is HuggingFace's tokenizer.json, or one by words.",
  }),
  output: option(text("an output's name"), "which output of the model is the embedding", {
    otherwise: "found out, and told where there are several",
  }),
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
  maxLength: option(integer({ min: 1, max: 65_536 }), "the most numbers that the model reads of a text", {
    otherwise: "what the model's input or the tokenizer's file says",
  }),
  longTexts: option(words("cut", "error"), "what to do with a text that is longer than the model reads", {
    more: 'A tokenizer.json\'s: "cut" leaves its end out, and warns of it. One by words refuses it.',
    default: "cut",
  }),
  onDecision: option(
    byHand<DecisionListener>("DecisionListener", checkFunction),
    "called with what was decided where no option said it",
    { otherwise: "a line on standard error" },
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
 * @throws ArgumentError for options of a wrong type; code ERR_SHAPE_MISMATCH for a model with inputs that are nothing of a
 *   text's, or several outputs of which none is the likeliest
 */
export function textEncoder(options: TextEncoderOptions): TextEncoder {
  const { model, tokenizer, unknownWords, output, maxLength, longTexts, onDecision } = check(
    textEncoderOptions,
    options,
    { name: "options", prefix: "options." },
  );
  const chosen = textOutput(model, output);
  const inputs = model.inputs.map(({ name }) => name);
  // With images beside: what is left of those is known when the file is read again.
  if (!(model instanceof OnnxModel)) textInputs(model, inputs);
  if (chosen.reason !== null)
    new Decisions(onDecision).add({
      option: "textEncoder.output",
      value: JSON.stringify(chosen.name),
      reason: chosen.reason,
      certain: true,
    });
  let used: Promise<Model> | undefined;
  const usedModel = (): Promise<Model> => {
    used ??= usedPart(model, chosen.name).catch((error: unknown) => {
      used = undefined;
      throw error;
    });
    return used;
  };

  return async (texts, given) => {
    const o = check(runOptions, given, { name: "options", prefix: "options." });
    const part = await abortable("encoding texts", usedModel(), o.signal);
    const parts = textInputs(
      part,
      part.inputs.map(({ name }) => name),
    );
    const encoded = tokenizer.encode(texts, { length: rowLength(part, parts), most: maxLength });
    const { unknown, cut = [] } = encoded;
    const quoted = describe(typeof texts === "string" ? texts : texts.join("; "));
    if (unknown.length > 0) {
      if (unknownWords === "error")
        throw new ArgumentError(
          `text: expected words that the tokenizer knows, got ${unknown.map(describe).join(", ")} in ${quoted}; its vocabulary ` +
            "lists them all",
        );
      if (unknownWords !== "ignore") unknownWords(unknown);
    }
    if (cut.length > 0) tellCut(typeof texts === "string" ? [texts] : texts, cut, encoded, longTexts);
    const result = await part.run(textFeeds(parts, encoded), o);
    return checked(result[chosen.name]!, typeof texts === "string" ? null : texts.length, model.name);
  };
}

/** The model without inputs that the output does not need. */
async function usedPart(model: Model, output: string): Promise<Model> {
  if (!(model instanceof OnnxModel) || model.inputs.length < 2) return model;
  const needed = (await model.neededInputs())[output]!;
  return needed.length < model.inputs.length ? model.adapted({ outputs: [output] }) : model;
}

/** @throws ArgumentError where a text is not to be cut */
function tellCut(
  texts: readonly string[],
  cut: readonly number[],
  { ids }: EncodedText,
  longTexts: "cut" | "error",
): void {
  const told = cut.map((i) => describe(texts[i])).join(", ");
  const most = `the ${ids.shape[1]} tokens that the text encoder reads`;
  if (longTexts === "error") throw new ArgumentError(`text: expected at most ${most}, got more in ${told}`);
  process.emitWarning(`text: what goes beyond ${most} was cut off of ${told}`, "Tr0nWarning");
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
