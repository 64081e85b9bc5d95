/** Any condition, images and texts among them, as rows. What needs a model is run here; the rest is condition.ts. */
import { checkNumber, checkOptions } from "../base/check.js";
import { conditionRows, type Condition, type WeightedCondition } from "./condition.js";
import type { ConditionRows } from "./rows.js";
import { weightedSum } from "./composition.js";
import { encodeImages } from "./encode-image.js";
import { ArgumentError, describe, invalid } from "../base/errors.js";
import type { Objective } from "../objective/objective.js";
import { isTensor, type Tensor } from "../base/tensor.js";
import { encodeTexts, type TextFunction } from "./text-encoder.js";

/** What a condition is read for. */
interface ConditionContext {
  readonly objective: Objective;
  readonly textEncoder: TextFunction | undefined;
}

const forms = ["class", "embedding", "image", "text", "all"] as const;

/**
 * The rows of a condition. Plain ones are read, and copied, before this returns.
 *
 * @throws ArgumentError naming the part; what the encoders throw; AbortError
 */
export async function readCondition(
  name: string,
  value: unknown,
  context: ConditionContext,
  signal: AbortSignal,
): Promise<ConditionRows> {
  const { objective, textEncoder } = context;
  const { conditionSize, conditionKind } = objective;
  const form = formOf(name, value);
  const plain = (label: string, rows: Tensor): Promise<ConditionRows> =>
    conditionRows(label, rows, conditionSize, conditionKind, signal);
  switch (form) {
    case "image": {
      const label = `${name}.image`;
      return plain(label, await encodeImages(objective, label, (value as { image: unknown }).image, signal));
    }
    case "text": {
      const label = `${name}.text`;
      const { text } = value as { text: unknown };
      return plain(label, await encodeTexts(label, text, textEncoder, conditionSize, signal));
    }
    case "all":
      return readAll(`${name}.all`, (value as { all: unknown }).all, context, signal);
    default:
      return conditionRows(name, value, conditionSize, conditionKind, signal);
  }
}

async function readAll(
  name: string,
  parts: unknown,
  context: ConditionContext,
  signal: AbortSignal,
): Promise<ConditionRows> {
  if (!Array.isArray(parts) || parts.length === 0)
    throw invalid(name, "an array of at least one condition", parts);
  const { linear, condition } = context.objective.flat;
  if (!linear)
    throw new ArgumentError(
      `${name}: conditions can be added where the energy is linear in them, which is with cosine() and crossEntropy(); ` +
        "squaredError() and energies from fromOnnx() are not",
    );
  const read = (parts as unknown[]).map(async (part, index) => {
    const label = `${name}[${index}]`;
    if (part === null || typeof part !== "object" || !("condition" in part))
      return { rows: await readCondition(label, part, context, signal), weight: 1 };
    const o = checkOptions(label, part as WeightedCondition, ["condition", "weight"]);
    const weight = checkNumber(`${label}.weight`, o.weight, 1);
    return { rows: await readCondition(`${label}.condition`, o.condition, context, signal), weight };
  });
  return weightedSum(name, await Promise.all(read), condition);
}

/** Which of the forms an object has; undefined for a tensor. */
function formOf(name: string, value: unknown): (typeof forms)[number] | undefined {
  const expected = `a Tensor or one of ${forms.map((form) => `{ ${form} }`).join(", ")}`;
  if (value === null || typeof value !== "object" || Array.isArray(value))
    throw invalid(name, expected, value);
  if (isTensor(value)) return undefined;
  const keys = Object.keys(value as Condition);
  const unknown = keys.find((key) => !(forms as readonly string[]).includes(key));
  if (unknown !== undefined)
    throw new ArgumentError(`${name}: expected ${expected}, got the key ${describe(unknown)}`);
  if (keys.length !== 1)
    throw new ArgumentError(`${name}: expected ${expected}, got ${keys.join(" and ") || "none"}`);
  return keys[0] as (typeof forms)[number];
}
