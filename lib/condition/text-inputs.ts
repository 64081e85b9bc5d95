/** Which inputs of a model take what of a tokenizer, and which of its outputs are embeddings. */
import { shapeText } from "../base/check.js";
import { ArgumentError } from "../base/errors.js";
import { tensor, type Tensor } from "../base/tensor.js";
import type { Model } from "../model/interface.js";
import type { EncodedText } from "./encoded-text.js";

/** What a tokenizer has for a model. */
type Part = "ids" | "mask" | "types" | "positions";

const patterns: readonly [Part, RegExp][] = [
  ["mask", /mask/i],
  ["types", /type|segment/i],
  ["positions", /position/i],
  ["ids", /ids|token|text/i],
];

/** What each input of a model takes. @throws ArgumentError ERR_SHAPE_MISMATCH for one that is nothing of a text's */
export function textInputs(model: Model, inputs: readonly string[]): ReadonlyMap<string, Part> {
  const [only, ...others] = inputs;
  if (only !== undefined && others.length === 0) return new Map([[only, "ids"]]);
  const parts = new Map<string, Part>();
  for (const name of inputs) {
    const part = patterns.find(([, pattern]) => pattern.test(name))?.[0];
    if (part === undefined || [...parts.values()].includes(part))
      throw new ArgumentError(
        `options.model: ${model.name} has the inputs ${inputs.join(", ")}, and ${name} is none of a text's numbers (input_ids), ` +
          `their mask (attention_mask), segments (token_type_ids) or positions (position_ids). Fix it, with a value of yours: ` +
          `loadModel(…, { inputs: { ${JSON.stringify(name)}: 0 } })`,
        { code: "ERR_SHAPE_MISMATCH" },
      );
    parts.set(name, part);
  }
  if (![...parts.values()].includes("ids"))
    throw new ArgumentError(
      `options.model: expected an input for a text's numbers (input_ids) in ${model.name}, got ${inputs.join(", ") || "none"}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  return parts;
}

/** Numbers of a row of the model's input, where that is fixed. */
export function rowLength(model: Model, parts: ReadonlyMap<string, Part>): number | undefined {
  const input = model.inputs.find(({ name }) => parts.get(name) === "ids");
  return input?.shape.length === 2 ? (input.shape[1] ?? undefined) : undefined;
}

/** @throws ArgumentError where the tokenizer does not give what an input takes */
export function textFeeds(
  parts: ReadonlyMap<string, Part>,
  { ids, mask, types }: EncodedText,
): Record<string, Tensor> {
  const [rows = 0, length = 0] = ids.shape;
  const given: Record<Part, Tensor | undefined> = {
    ids,
    mask,
    types,
    positions: tensor(
      Float32Array.from({ length: rows * length }, (_, i) => i % length),
      [rows, length],
    ),
  };
  return Object.fromEntries(
    [...parts].map(([name, part]) => {
      const value = given[part];
      if (!value)
        throw new ArgumentError(
          `options.tokenizer: the model's input ${name} takes ${part === "mask" ? "a mask" : "segments"}, which this tokenizer does not give`,
        );
      return [name, value];
    }),
  );
}

/** An output, and why it was chosen where nobody said it. */
interface ChosenOutput {
  readonly name: string;
  readonly reason: string | null;
}

/** Names that exports give the embedding of a whole text, likeliest first. */
const embeddingNames = ["text_embeds", "sentence_embedding", "pooler_output"];

/** The output that is one vector a text. @throws ArgumentError ERR_SHAPE_MISMATCH where it cannot be told */
export function textOutput(model: Model, wanted: string | undefined): ChosenOutput {
  const list = model.outputs.map(({ name, shape }) => `${name} ${shapeText(shape)}`).join(", ");
  if (wanted !== undefined) {
    if (!model.outputs.some(({ name }) => name === wanted))
      throw new ArgumentError(
        `options.output: ${model.name} has no output ${JSON.stringify(wanted)}; it has ${list}`,
      );
    return { name: wanted, reason: null };
  }
  const [only, ...others] = model.outputs;
  if (only && others.length === 0) return { name: only.name, reason: null };
  const vectors = model.outputs.filter(({ shape, type }) => shape.length === 2 && type.startsWith("float"));
  const named = embeddingNames.find((name) => vectors.some((vector) => vector.name === name));
  if (named !== undefined)
    return { name: named, reason: `of the outputs ${list} its name says that it is the embedding of a text` };
  if (vectors.length === 1)
    return { name: vectors[0]!.name, reason: `of the outputs ${list} only this one is a vector a text` };
  throw new ArgumentError(
    `options.output: expected the output with a text's embedding, for ${model.name} has several: ${list}; got none`,
    { code: "ERR_SHAPE_MISMATCH" },
  );
}
