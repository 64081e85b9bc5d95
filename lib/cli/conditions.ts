/** The options that say what is wanted of a sample. */
import type { Condition } from "../condition/condition.js";
import { buildCondition } from "../config/build.js";
import type { ConditionSpec, RunConfig } from "../config/config.js";
import { condition } from "../config/document.js";
import { checkFile } from "../options/check.js";
import { ArgumentError } from "../base/errors.js";
import { isTensor } from "../base/tensor.js";
import type { Arguments } from "./arguments.js";
import type { OptionSpec } from "./command.js";
import { UsageError } from "./errors.js";
import { need } from "./models.js";

export const conditionOptions = {
  class: { type: "string", value: "LIST", help: "classes: 7, 0,1,2 or 0-9; a row of the picture each" },
  text: { type: "string", value: "TEXT", help: "a sentence; several options make rows", multiple: true },
  "text-encoder": { type: "string", value: "FILE", help: "model for --text: words → condition" },
  tokenizer: { type: "string", value: "FILE", help: "its tokenizer, JSON" },
  image: { type: "string", value: "FILE", help: "like this image, as the encoder sees it", multiple: true },
  embedding: { type: "string", value: "FILE", help: "JSON: the encoder's numbers, one list or several" },
  condition: {
    type: "string",
    value: "JSON",
    help: 'any, as in a configuration: {"all": [{"text": "…"}, {"condition": {"image": "x.png"}, "weight": -0.5}]}',
  },
} as const satisfies Record<string, OptionSpec>;

/** The text encoder of the line over that of a configuration. @throws UsageError */
export function readTextEncoder(args: Arguments, run: RunConfig): RunConfig["textEncoder"] {
  const [model, tokenizer] = [args.text("text-encoder"), args.text("tokenizer")];
  if (model === undefined && tokenizer === undefined) return run.textEncoder;
  const before = run.textEncoder;
  return {
    ...(model === undefined
      ? { ...before!, model: need(args, before?.model, "text-encoder", "textEncoder") }
      : { model }),
    tokenizer: tokenizer ?? need(args, before?.tokenizer, "tokenizer", "textEncoder"),
  };
}

/** The one condition of the line, or else of the configuration. @throws UsageError */
export function readCondition(args: Arguments, run: RunConfig): ConditionSpec {
  const names = ["class", "text", "image", "embedding", "condition"] as const;
  const given = names.filter((name) => args.has(name));
  const spec = run.sample?.condition;
  if (given.length === 0 && spec) return spec;
  const [name] = given;
  if (name === undefined || given.length > 1)
    throw new UsageError(
      `expected one of ${names.map((option) => `--${option}`).join(", ")}, got ${given.map((option) => `--${option}`).join(" and ") || "none"}`,
      args.command,
    );
  switch (name) {
    case "class":
      return { class: args.classes("class")! };
    case "text":
      return { text: args.texts("text")! };
    case "image":
      return { image: args.texts("image")! };
    case "embedding":
      return { embedding: args.required("embedding") };
    case "condition": {
      const text = args.required("condition");
      try {
        return checkFile(condition, JSON.parse(text), undefined, "condition");
      } catch (error) {
        if (error instanceof ArgumentError || error instanceof SyntaxError)
          throw new UsageError(`--condition: ${error.message}`, args.command);
        throw error;
      }
    }
  }
}

/** @throws UsageError for texts without a text encoder; FileError for embeddings that cannot be read */
export async function openCondition(
  args: Arguments,
  run: RunConfig,
  spec: ConditionSpec,
): Promise<Condition> {
  if (!run.textEncoder && hasText(spec))
    throw new UsageError(
      `text needs --text-encoder and --tokenizer${args.has("config") ? `, or "textEncoder" in ${args.text("config")}` : ""}`,
      args.command,
    );
  return buildCondition(spec);
}

function hasText(spec: ConditionSpec): boolean {
  if ("all" in spec) return spec.all.some((part) => hasText("condition" in part ? part.condition : part));
  return "text" in spec;
}

/** Rows of a condition. */
export function conditionCount(condition: Condition): number {
  if (isTensor(condition)) return condition.shape.length === 2 ? condition.shape[0]! : 1;
  if ("all" in condition)
    return Math.max(
      ...condition.all.map((part) => conditionCount("condition" in part ? part.condition : part)),
    );
  if ("embedding" in condition) return conditionCount(condition.embedding);
  const [value] = Object.values(condition) as [unknown];
  return Array.isArray(value) ? value.length : 1;
}
