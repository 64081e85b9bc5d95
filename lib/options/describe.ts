/**
 * Options as data. A shape says what values there are, an option adds its sentence and what holds where it is left out; from
 * them come TypeScript's types here, and beside this file the checks, the JSON Schema, the command line's flags and the page.
 *
 *     const langevin = object({ clip: option(number({ min: 0 }), "norm to which the gradient is clipped", { default: 1 }) });
 *     type LangevinOptions = TypeOf<typeof langevin>; // { clip?: number }
 *     check(langevin, given, { name: "options" }); // { clip: number }
 *
 * Types are written down here and not taken from a library of schemas: that is a page, where loading such a library costs
 * every process that runs from source half a second.
 */

declare const value: unique symbol;
declare const inFile: unique symbol;

/** What values there are: T to the library, F in a configuration file (never: not there). */
export interface Shape<out T = unknown, out F = unknown> {
  readonly form: Form;
  readonly [value]?: T;
  readonly [inFile]?: F;
}

/** Limits of a number; each is optional. */
export interface Limits {
  /** Smallest allowed value. */
  readonly min?: number;
  /** Largest allowed value. */
  readonly max?: number;
  /** Values must lie above this one. */
  readonly above?: number;
  /** Values must lie below this one. */
  readonly below?: number;
}

export type Form =
  | ({ readonly is: "number"; readonly whole: boolean } & Limits)
  | { readonly is: "boolean" }
  | { readonly is: "null" }
  /** A text that is not empty; `pattern` of a whole text, `words` what it is. */
  | { readonly is: "text"; readonly words: string; readonly pattern?: RegExp; readonly type?: string }
  | { readonly is: "path" }
  | { readonly is: "words"; readonly words: readonly string[] }
  | { readonly is: "constant"; readonly value: string | number | boolean }
  | {
      readonly is: "list";
      readonly items: Shape;
      readonly least: number;
      readonly most: number;
      readonly words?: string;
    }
  /** Values of one shape under names that the caller chooses. */
  | { readonly is: "record"; readonly values: Shape; readonly words: string }
  | { readonly is: "object"; readonly properties: Properties; readonly rules: readonly Rule[] }
  /** Alternatives that differ in their JSON type, in the value of `kind`, or in the keys that they require. */
  | { readonly is: "either"; readonly of: readonly Shape[] }
  /** A definition of its own in the JSON Schema; a function, for it may contain itself. */
  | { readonly is: "named"; readonly name: string; readonly shape: () => Shape }
  | ByHand;

/** What no shape describes, such as functions, tensors and models: checked by hand. */
interface ByHand {
  readonly is: "byHand";
  /** TypeScript's name of the type. */
  readonly type: string;
  /** Gives the value back, or a copy. @throws ArgumentError */
  readonly check: (name: string, value: unknown) => unknown;
  /** How a configuration file says it, where it can. */
  readonly file?: Shape;
}

/** What members must be to each other; they are checked, with their defaults. @throws ArgumentError */
type Rule = (
  members: Readonly<Record<string, unknown>>,
  name: (member: string) => string,
  given: Readonly<Record<string, unknown>>,
) => void;

/**
 * required: must be given; filled: has a default; open: what holds where it is left out is found where it is used, and
 * `otherwise` says so.
 */
export type Mode = "required" | "filled" | "open";

/** A default that depends on other options. */
export interface Derived<T = unknown> {
  /** What the options that it depends on come to; they are written down as its parameter's type. */
  readonly from: (members: never) => T;
  readonly words: string;
}

/** How the command line says it, where that is not `--the-name VALUE`. */
interface Flag {
  readonly name?: string;
  readonly short?: string;
  /** What stands for the value in the help. */
  readonly value?: string;
  /** Words of the command line for values. */
  readonly words?: Readonly<Record<string, string | number | boolean>>;
}

export interface Option<out T = unknown, out F = unknown, out M extends Mode = Mode> {
  readonly shape: Shape<T, F>;
  readonly mode: M;
  /** A phrase: what it is. */
  readonly is: string;
  /** Sentences: what one should know besides. */
  readonly more?: string;
  /** Of a filled option. */
  readonly default?: unknown;
  /** Of an open option: what holds where it is left out. */
  readonly otherwise?: string;
  /** false: not on the command line. */
  readonly flag: Flag | false;
  /** false: not in a configuration file, with the reason. */
  readonly file?: { readonly not: string };
}

export type Properties = Readonly<Record<string, Option>>;

export interface ObjectShape<P extends Properties = Properties> extends Shape<Members<P>, MembersInFile<P>> {
  readonly form: { readonly is: "object"; readonly properties: P; readonly rules: readonly Rule[] };
}

type Flat<T> = { [K in keyof T]: T[K] } & {};
type With<P extends Properties, M extends Mode> = {
  [K in keyof P]: P[K]["mode"] extends M ? K : never;
}[keyof P];
type Value<O> = O extends Option<infer T, unknown> ? T : never;
type FileValue<O> = O extends Option<unknown, infer F> ? F : never;
type Filed<P extends Properties> = { [K in keyof P]: [FileValue<P[K]>] extends [never] ? never : K }[keyof P];

type Members<P extends Properties> = Flat<
  { [K in With<P, "required">]: Value<P[K]> } & { [K in With<P, "filled" | "open">]?: Value<P[K]> }
>;
type MembersInFile<P extends Properties> = Flat<
  { [K in Extract<With<P, "required">, Filed<P>>]: FileValue<P[K]> } & {
    [K in Extract<With<P, "filled" | "open">, Filed<P>>]?: FileValue<P[K]>;
  }
>;

/** What callers pass. */
export type TypeOf<S> = S extends Shape<infer T, unknown> ? T : never;
/** The same in a configuration file. */
export type FileTypeOf<S> = S extends Shape<unknown, infer F> ? F : never;
/** With the defaults. */
export type Checked<S> =
  S extends ObjectShape<infer P>
    ? Flat<
        { readonly [K in With<P, "required" | "filled">]: Value<P[K]> } & {
          readonly [K in With<P, "open">]?: Value<P[K]>;
        }
      >
    : TypeOf<S>;

export const number = (limits: Limits = {}): Shape<number, number> => ({
  form: { is: "number", whole: false, ...limits },
});
export const integer = (limits: Limits = {}): Shape<number, number> => ({
  form: { is: "number", whole: true, ...limits },
});
export const boolean = (): Shape<boolean, boolean> => ({ form: { is: "boolean" } });
export const nothing = (): Shape<null, null> => ({ form: { is: "null" } });
/** A text that is not empty. `type` is TypeScript's name, where there is a narrower one than string. */
export const text = <T extends string = string>(
  words = "a text that is not empty",
  pattern?: RegExp,
  type?: string,
): Shape<T, T> => ({
  form: { is: "text", words, ...(pattern ? { pattern } : {}), ...(type ? { type } : {}) },
});
/** In a configuration file relative to its folder. */
export const path = (): Shape<string, string> => ({ form: { is: "path" } });
export const words = <const W extends readonly string[]>(...list: W): Shape<W[number], W[number]> => ({
  form: { is: "words", words: list },
});
export const constant = <const T extends string | number | boolean>(only: T): Shape<T, T> => ({
  form: { is: "constant", value: only },
});
/** `words` say what it is, where its items' do not. */
export const list = <T, F>(
  items: Shape<T, F>,
  { least = 1, most = Infinity, words }: { least?: number; most?: number; words?: string } = {},
): Shape<readonly T[], readonly F[]> => ({
  form: { is: "list", items, least, most, ...(words === undefined ? {} : { words }) },
});
/** Two of them. */
export const pair = <T, F>(items: Shape<T, F>, what: string): Shape<readonly [T, T], readonly [F, F]> =>
  ({ form: { is: "list", items, least: 2, most: 2, words: what } }) as Shape as Shape<
    readonly [T, T],
    readonly [F, F]
  >;
export const record = <T, F>(
  values: Shape<T, F>,
  what = "an object",
): Shape<Record<string, T>, Record<string, F>> => ({
  form: { is: "record", values, words: what },
});
export const object = <const P extends Properties>(properties: P, ...rules: Rule[]): ObjectShape<P> => ({
  form: { is: "object", properties, rules },
});
export const either = <S extends readonly Shape[]>(
  ...of: S
): Shape<TypeOf<S[number]>, FileTypeOf<S[number]>> => ({ form: { is: "either", of } });
export const named = <T, F>(name: string, shape: () => Shape<T, F>): Shape<T, F> => ({
  form: { is: "named", name, shape },
});
/** One or a list. */
export const oneOrMore = <T, F>(item: Shape<T, F>): Shape<T | readonly T[], F | readonly F[]> =>
  either(item, list(item));

/** Checked by `check`, which gives the value back; in a configuration file as `file` has it, or not at all. */
export const byHand = <T, F = never>(
  type: string,
  check: (name: string, given: unknown) => T | void,
  file?: Shape<unknown, F>,
): Shape<T, F> => ({ form: { is: "byHand", type, check, ...(file ? { file } : {}) } });

interface Said {
  more?: string;
  flag?: Flag | false;
}

/** An option that may be left out. */
export function option<T, F>(
  shape: Shape<T, F>,
  is: string,
  said: Said & { default: NoInfer<T> | Derived<NoInfer<T>> },
): Option<T, F, "filled">;
export function option<T, F>(
  shape: Shape<T, F>,
  is: string,
  said?: Said & { otherwise?: string },
): Option<T, F, "open">;
export function option(shape: Shape, is: string, said: Said & { default?: unknown } = {}): Option {
  return { flag: {}, ...said, shape, is, mode: said.default === undefined ? "open" : "filled" };
}

/** An option that must be given. */
export const required = <T, F>(
  shape: Shape<T, F>,
  is: string,
  said: Said = {},
): Option<T, F, "required"> => ({
  flag: {},
  ...said,
  shape,
  is,
  mode: "required",
});

/** The same option with another default. */
export const withDefault = <T, F>(
  from: Option<T, F>,
  is: NoInfer<T> | Derived<NoInfer<T>>,
): Option<T, F, "filled"> => ({ ...from, otherwise: undefined, mode: "filled", default: is });

/** The same option, which a configuration file does not have. */
export const notInFile = <T, M extends Mode>(
  from: Option<T, unknown, M>,
  reason: string,
): Option<T, never, M> => ({ ...from, file: { not: reason } }) as Option<T, never, M>;

/** All of it may be left out, as in a section of a configuration file that the command line completes. */
export function partial<P extends Properties>(
  shape: ObjectShape<P>,
): ObjectShape<{ [K in keyof P]: Option<Value<P[K]>, FileValue<P[K]>, "open" | "filled"> }> {
  const entries = Object.entries(shape.form.properties).map(([name, one]) => [
    name,
    one.mode === "required" ? { ...one, mode: "open" } : one,
  ]);
  return { form: { ...shape.form, properties: Object.fromEntries(entries) as never } };
}

export function isDerived(of: unknown): of is Derived {
  return typeof of === "object" && of !== null && typeof (of as Derived).from === "function";
}

/** What a shape comes to where it stands for another. */
export function resolved(shape: Shape): Shape {
  return shape.form.is === "named" ? resolved(shape.form.shape()) : shape;
}

/** What holds where the option is left out, in words; undefined where it must be given or nothing is said. */
export function defaultWords({ default: given, otherwise }: Option): string | undefined {
  if (given === undefined) return otherwise;
  return isDerived(given) ? given.words : JSON.stringify(given);
}
