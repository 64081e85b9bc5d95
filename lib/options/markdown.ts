/** Options as tables of a page. */
import { defaultWords, resolved, type Option, type Properties, type Shape } from "./describe.js";
import { optionFlags } from "./flags.js";
import { limitWords } from "./words.js";

/**
 * A row an option: its name, its values, what holds where it is left out, what it is, and its flag among those that a
 * command has.
 */
export function optionTable(properties: Properties, flags: ReadonlySet<string>): string {
  const rows = Object.entries(properties).map(([name, option]) => [
    `\`${name}\`${option.mode === "required" ? " (required)" : ""}`,
    values(option.shape),
    code(defaultWords(option) ?? ""),
    said(option),
    optionFlags({ [name]: { ...option, file: undefined } })
      .filter((flag) => flags.has(flag.name))
      .map((flag) => `\`--${flag.name}\``)
      .join(),
  ]);
  const lines = [["option", "values", "default", "what", "flag"], Array<string>(5).fill("---"), ...rows];
  return lines.map((cells) => `| ${cells.map(cell).join(" | ")} |`).join("\n");
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

/** Values that are code stand as code. */
function code(words: string): string {
  return /^("[^"]*"|\[.*\]|true|false|-?[\d.e-]+)$/.test(words) ? `\`${words}\`` : words;
}

function said(option: Option): string {
  const elsewhere = option.file ? ` In a file: ${option.file.not}.` : "";
  return `${option.is}.${option.more ? ` ${option.more}` : ""}${elsewhere}`.replaceAll(
    /\{@link (\w+(?:\.\w+)?)\}/g,
    "`$1`",
  );
}

/** "a number > 0 or `"auto"`", for people. */
function values(shape: Shape): string {
  const { form } = resolved(shape);
  switch (form.is) {
    case "number": {
      const { whole, ...limits } = form;
      return [whole ? "whole number" : "number", limitWords(limits).join(" and ")].filter(Boolean).join(" ");
    }
    case "boolean":
      return "`true`, `false`";
    case "null":
      return "`null`";
    case "text":
      return form.words === "a text that is not empty" ? "text" : form.words;
    case "path":
      return "path";
    case "words":
      return form.words.map((word) => `\`"${word}"\``).join(", ");
    case "constant":
      return `\`${JSON.stringify(form.value)}\``;
    case "list":
      return form.words ?? `list: ${values(form.items)}`;
    case "record":
      return form.words === "an object" ? `by name: ${values(form.values)}` : form.words;
    case "object":
      return "object";
    case "either":
      return [...new Set(form.of.map(values))].join(" or ");
    case "byHand":
      return `\`${form.type}\``;
    case "named":
      return ""; // resolved
  }
}
