import { ArgumentError } from "../base/errors.js";
import type { Properties } from "../options/describe.js";
import type { FlagValues, OptionFlags } from "../options/flags.js";
import { UsageError } from "./errors.js";

/** The values of one command line, read with their types. Every complaint is a UsageError that names the option. */
export class Arguments {
  constructor(
    readonly command: string,
    private readonly values: Readonly<Record<string, unknown>>,
    readonly positionals: readonly string[],
  ) {}

  has(name: string): boolean {
    return this.values[name] !== undefined;
  }

  flag(name: string): boolean {
    return this.values[name] === true;
  }

  text(name: string): string | undefined {
    const value = this.values[name];
    if (value === "") throw this.wrong(name, "a value", value);
    return value as string | undefined;
  }

  /** One value, or several of an option that was given several times. */
  texts(name: string): string | string[] | undefined {
    const values = this.values[name] as string[] | undefined;
    if (values?.includes("")) throw this.wrong(name, "a value", "");
    return values?.length === 1 ? values[0] : values;
  }

  /** For options that readLine() has checked to be there. */
  required(name: string): string {
    const value = this.text(name);
    if (value === undefined) throw new UsageError(`--${name} is missing`, this.command);
    return value;
  }

  number(name: string, limits: { above?: number; atLeast?: number } = {}): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    const { above = -Infinity, atLeast = -Infinity } = limits;
    if (!Number.isFinite(value) || value <= above || value < atLeast) {
      const limit =
        limits.above !== undefined
          ? ` above ${above}`
          : limits.atLeast !== undefined
            ? ` of at least ${atLeast}`
            : "";
      throw this.wrong(name, `a number${limit}`, text);
    }
    return value;
  }

  integer(name: string, least: number, most = Number.MAX_SAFE_INTEGER): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^[+-]?\d+$/.test(text) ? Number(text) : NaN;
    if (!Number.isSafeInteger(value) || value < least || value > most) {
      const limit =
        most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `between ${least} and ${most}`;
      throw this.wrong(name, `a whole number ${limit}`, text);
    }
    return value;
  }

  choice<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (!(choices as readonly string[]).includes(text))
      throw this.wrong(name, `one of ${choices.join(", ")}`, text);
    return text as T;
  }

  /** "a,b" → ["a", "b"]. */
  list(name: string): string[] | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const parts = text.split(",").map((part) => part.trim());
    if (parts.some((part) => part === "")) throw this.wrong(name, "names separated by commas", text);
    return parts;
  }

  /** "7", "0,1,2" and "0-9", mixed as one likes. */
  classes(name: string): number[] | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const classes: number[] = [];
    for (const part of text.split(",")) {
      const match = /^\s*(\d{1,6})(?:\s*-\s*(\d{1,6}))?\s*$/.exec(part);
      const first = Number(match?.[1]);
      const last = Number(match?.[2] ?? match?.[1]);
      if (!match || last < first) throw this.wrong(name, "classes such as 7, 0,1,2 or 0-9", text);
      for (let c = first; c <= last; c++) classes.push(c);
    }
    return classes;
  }

  /** What the line has of options, by their names. */
  options<P extends Properties>(flags: OptionFlags<P>): FlagValues<P> {
    const given: Record<string, unknown> = {};
    for (const { name, key, read } of flags) {
      const value = this.values[name];
      if (value === undefined) continue;
      try {
        given[key] = read(value as string | boolean);
      } catch (error) {
        if (!(error instanceof ArgumentError)) throw error;
        throw new UsageError(error.message, this.command);
      }
    }
    return given as FlagValues<P>;
  }

  wrong(name: string, expected: string, got: unknown): UsageError {
    return new UsageError(`--${name}: expected ${expected}, got ${JSON.stringify(got)}`, this.command);
  }
}
