/** Shapes in words: what a message says was expected. */
import { describe } from "../base/errors.js";
import type { Form, Limits, Shape } from "./describe.js";

export function limitWords({ min, above, below, max }: Limits): string[] {
  return [
    min === undefined ? [] : `≥ ${min}`,
    above === undefined ? [] : `> ${above}`,
    below === undefined ? [] : `< ${below}`,
    max === undefined || max === Number.MAX_SAFE_INTEGER ? [] : `≤ ${max}`,
  ].flat();
}

/** "an integer ≥ 1 and ≤ 64", 'true, false or "pilot"'. */
export function expected(shape: Shape): string {
  const { form } = shape;
  if (form.is === "path") return "a path: a string that is not empty";
  if (form.is === "words") return `one of ${form.words.map(describe).join(", ")}`;
  return list(alternatives(shape));
}

function list(given: readonly string[]): string {
  const parts = [...new Set(given)];
  // Parts that are long themselves, such as "an object with x and y", are not set apart by commas.
  if (parts.some((part) => part.includes(" with "))) return parts.join(" or ");
  return parts.length === 1 ? parts[0]! : `${parts.slice(0, -1).join(", ")} or ${parts.at(-1)!}`;
}

function alternatives({ form }: Shape): string[] {
  switch (form.is) {
    case "either":
      return form.of.flatMap(alternatives);
    case "named":
      return alternatives(form.shape());
    case "boolean":
      return ["true", "false"];
    case "words":
      return form.words.map(describe);
    default:
      return [one(form)];
  }
}

function one(form: Exclude<Form, { is: "either" | "named" | "boolean" | "words" }>): string {
  switch (form.is) {
    case "number": {
      const kind = form.whole ? "an integer" : "a finite number";
      return [kind, limitWords(form).join(" and ")].filter(Boolean).join(" ");
    }
    case "null":
      return "null";
    case "text":
    case "record":
      return form.words;
    case "path":
      return "a path";
    case "constant":
      return describe(form.value);
    case "list":
      return form.words ?? "a list";
    case "object": {
      const needed = Object.entries(form.properties)
        .filter(([, { mode }]) => mode === "required")
        .map(([name, { shape }]) => (shape.form.is === "constant" ? `${name} ${one(shape.form)}` : name));
      return needed.length > 0 ? `an object with ${needed.join(" and ")}` : "an object";
    }
    case "byHand":
      return form.file ? expected(form.file) : form.type;
  }
}
