/** What a person reads about an option: in editors, in the help and on the page. */
import { defaultWords, isDerived, type Option } from "./describe.js";

/** "Steps T. Each costs one gradient. Default 20." */
export function sentences(option: Option): string {
  const parts = [`${capital(option.is)}.`, option.more, defaultSentence(option)];
  return parts.filter(Boolean).join(" ");
}

function defaultSentence(option: Option): string | undefined {
  const words = defaultWords(option);
  if (words === undefined) return undefined;
  return `Default${isPlain(option) ? "" : ":"} ${words}.`;
}

/** " (default 4)", " (default: translator)", for a line of help. */
export function defaultInHelp(words: string | undefined): string {
  if (words === undefined) return "";
  return /^[\d[]/.test(words) ? ` (default ${words})` : ` (default: ${words.replaceAll('"', "")})`;
}

/** Whether the default is a value, and not said in words. */
function isPlain({ default: given }: Option): boolean {
  return given !== undefined && !isDerived(given);
}

/** With a capital, but for symbols such as λ and names such as `learningRate`. */
function capital(phrase: string): string {
  return /^([a-z]{2}|a )/.test(phrase) ? phrase[0]!.toUpperCase() + phrase.slice(1) : phrase;
}
