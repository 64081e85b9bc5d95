/** Families of which one is chosen by its `kind`, each kind with options of its own: samplers, and what is like them. */
import {
  constant,
  defaultWords,
  either,
  object,
  required,
  type Checked,
  type ObjectShape,
  type Shape,
  type TypeOf,
} from "./describe.js";
import { flagHelp, optionFlags, type FlagSpec, type OptionFlag } from "./flags.js";

export interface Kind<K extends string = string, O extends ObjectShape = ObjectShape> {
  readonly kind: K;
  /** What it does, in sentences. */
  readonly is: string;
  readonly options: O;
}

type Registry = Readonly<Record<string, Kind>>;

/** Plain data: a kind with its options, defaults filled in. */
export type Chosen<R extends Registry> = {
  [K in keyof R]: { readonly kind: K; readonly options: Checked<R[K]["options"]> };
}[keyof R];

/** The functions that make them, by kind. */
export type Makers<R extends Registry, C> = {
  readonly [K in keyof R]: (options?: TypeOf<R[K]["options"]>) => C;
};

/** What a configuration file has of one. */
export type KindSpec<R extends Registry> = { kind: keyof R & string } & Record<string, unknown>;

/** How a configuration file chooses one: `{ kind, …options }`. */
export function kindsInFile<R extends Registry>(kinds: R): Shape<unknown, KindSpec<R>> {
  const one = ({ kind, options }: Kind): Shape =>
    object({ kind: required(constant(kind), "which"), ...options.form.properties });
  return either(...Object.values(kinds).map(one)) as never;
}

/** The flags of a kind's options, by their names on the line. */
export function kindFlags({ options }: Kind): Map<string, OptionFlag> {
  return new Map(optionFlags(options.form.properties).map((flag) => [flag.name, flag]));
}

/** All kinds' flags for a command's table: each says of which kinds it is, and its defaults where they differ. */
export function kindsTable(kinds: Registry): Record<string, FlagSpec> {
  const all = Object.values(kinds);
  const table: Record<string, FlagSpec> = {};
  for (const kind of all)
    for (const [name, { spec }] of kindFlags(kind)) {
      if (Object.hasOwn(table, name)) continue;
      const having = all.flatMap((other) => {
        const option = kindFlags(other).get(name)?.option;
        return option ? [{ kind: other.kind, option, fallback: defaultWords(option) }] : [];
      });
      const whose = having.length === all.length ? "" : `${having.map((one) => one.kind).join(", ")}: `;
      const differ = having.some(({ fallback }) => fallback !== having[0]!.fallback);
      // What several have is said in the fewest words of theirs.
      const [{ option }] = having.toSorted((a, b) => a.option.is.length - b.option.is.length) as [
        (typeof having)[0],
      ];
      const help = differ
        ? flagHelp(option, `of ${having.map((one) => `${one.kind} ${one.fallback}`).join("; of ")}`)
        : flagHelp(option);
      table[name] = { ...spec, help: `${whose}${help}` };
    }
  return table;
}
