/** Options on the command line: names, help, and reading their texts. */
import { invalid } from "../base/errors.js";
import { checkValue } from "./check.js";
import { defaultWords, resolved, type Option, type Properties, type Shape, type TypeOf } from "./describe.js";
import { defaultInHelp } from "./sentences.js";
import { expected } from "./words.js";

/** How a flag stands in the table of a command. */
export interface FlagSpec {
  readonly type: "string" | "boolean";
  readonly short?: string;
  /** What stands for the value in the help, e.g. "FILE". */
  readonly value?: string;
  readonly help: string;
  /** Needed, unless a configuration file says it. */
  readonly required?: boolean;
  /** May be given several times. */
  readonly multiple?: boolean;
}

/** A flag that stands for an option. */
export interface OptionFlag {
  /** Without dashes. */
  readonly name: string;
  /** The option's name and what it is. */
  readonly key: string;
  readonly option: Option;
  readonly spec: FlagSpec;
  /** @throws ArgumentError naming the flag, what was expected and what came */
  read(text: string | boolean): unknown;
}

declare const options: unique symbol;

/** Flags of some options, whose values have the options' types. */
export interface OptionFlags<out P extends Properties = Properties> extends ReadonlyArray<OptionFlag> {
  readonly [options]?: P;
}

/** The values of {@link OptionFlags} that a line has. */
export type FlagValues<P extends Properties> = { [K in keyof P]?: TypeOf<P[K]["shape"]> };

/** The flags of those options that a text can say. */
export function optionFlags<P extends Properties>(properties: P): OptionFlags<P> {
  return Object.entries(properties).flatMap(([key, option]) => {
    const flag = optionFlag(key, option);
    return flag ? [flag] : [];
  });
}

/** For a command's table. */
export function flagTable(flags: readonly OptionFlag[]): Record<string, FlagSpec> {
  return Object.fromEntries(flags.map(({ name, spec }) => [name, spec]));
}

function optionFlag(key: string, option: Option): OptionFlag | undefined {
  const { flag } = option;
  if (flag === false || option.file !== undefined) return undefined;
  const shape = said(option.shape);
  if (!shape) return undefined;
  const given = flag.name ?? key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const short = flag.short === undefined ? {} : { short: flag.short };
  if (shape.form.is === "boolean") {
    const off = option.default === true;
    return {
      name: off ? `no-${given}` : given,
      key,
      option,
      spec: { type: "boolean", ...short, help: `${off ? "do not " : ""}${option.is}` },
      read: () => !off,
    };
  }
  const { words } = flag;
  return {
    name: given,
    key,
    option,
    spec: {
      type: "string",
      ...short,
      value: flag.value ?? valueName(shape),
      help: flagHelp(option),
      ...(option.mode === "required" ? { required: true } : {}),
    },
    read(text) {
      const wrong = (what: string): Error => invalid(`--${given}`, what, text);
      if (text === "") throw wrong("a value");
      if (words) {
        if (!Object.hasOwn(words, String(text))) throw wrong(`one of ${Object.keys(words).join(", ")}`);
        return words[String(text)];
      }
      try {
        return checkValue(shape, parsed(shape, String(text)), `--${given}`);
      } catch {
        throw wrong(onLine(shape));
      }
    },
  };
}

/** What of a shape a text can say; undefined for nothing. */
function said(shape: Shape): Shape | undefined {
  const { form } = resolved(shape);
  switch (form.is) {
    case "number":
    case "boolean":
    case "text":
    case "path":
    case "words":
      return resolved(shape);
    case "list":
      return simple(form.items) ? resolved(shape) : undefined;
    case "either":
      return form.of.every((one) => simple(one) || resolved(one).form.is === "boolean")
        ? resolved(shape)
        : undefined;
    case "byHand":
      return form.file && said(form.file);
    default:
      return undefined;
  }
}

function simple(shape: Shape): boolean {
  return ["number", "text", "path", "words"].includes(resolved(shape).form.is);
}

/** A text as the value that it may stand for; whether it does is checked then. */
function parsed(shape: Shape, text: string): unknown {
  const { form } = resolved(shape);
  switch (form.is) {
    case "number":
      return decimal.test(text) ? Number(text) : text;
    case "list":
      return text.split(",").flatMap((part) => items(form.items, part.trim()));
    case "either": {
      const word = form.of.find((one) => {
        const inner = resolved(one).form;
        return inner.is === "words" && inner.words.includes(text);
      });
      return word || !form.of.some((one) => resolved(one).form.is === "number")
        ? text
        : parsed(numbers, text);
    }
    default:
      return text;
  }
}

const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const numbers: Shape = { form: { is: "number", whole: false } };

/** One part of a list; whole numbers may be a range, "0-9". */
function items(shape: Shape, text: string): unknown[] {
  const { form } = resolved(shape);
  const [, first, last] =
    (form.is === "number" && form.whole && /^(\d{1,6})\s*-\s*(\d{1,6})$/.exec(text)) || [];
  if (first === undefined || Number(last) < Number(first)) return [parsed(shape, text)];
  return Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => Number(first) + i);
}

function valueName(shape: Shape): string {
  const { form } = resolved(shape);
  switch (form.is) {
    case "number":
      return form.whole ? "N" : "X";
    case "path":
      return "FILE";
    case "list":
      return "LIST";
    case "either":
      return valueName(form.of.find((one) => resolved(one).form.is === "number") ?? numbers);
    default:
      return "NAME";
  }
}

/** What was expected, without the quotes that texts have elsewhere. */
function onLine(shape: Shape): string {
  const { form } = resolved(shape);
  if (form.is === "list") return `${itemsName(form.items)} separated by commas`;
  return expected(shape).replaceAll('"', "");
}

function itemsName(items: Shape): string {
  const { form } = resolved(items);
  return form.is === "number" ? (form.whole ? "whole numbers such as 7, 0,1,2 or 0-9," : "numbers") : "names";
}

/** "steps T (default 20)"; `fallback` is what holds where it is left out. */
export function flagHelp(option: Option, fallback = defaultWords(option)): string {
  const { flag, shape, default: given } = option;
  const list = flag && flag.words ? Object.keys(flag.words) : wordsOf(said(shape) ?? shape);
  const named = (flag && flag.words) || {};
  const word = Object.keys(named).find((name) => named[name] === given);
  return `${option.is}${list.length > 0 ? `: ${list.join(", ")}` : ""}${defaultInHelp(word ?? fallback)}`;
}

function wordsOf(shape: Shape): readonly string[] {
  const { form } = resolved(shape);
  return form.is === "words" ? form.words : [];
}
