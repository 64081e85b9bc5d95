/**
 * Families of kinds that callers make by functions with arguments of their own: latents, energies, stages. Each kind is one
 * file, which a list of exports has a line for.
 */
import { constant, object, required, type FileTypeOf, type ObjectShape, type Shape } from "./describe.js";

export type Factory<T = unknown> = (...args: never[]) => T;

/** A kind, and the function that callers know it by. */
export interface FamilyKind<Make extends Factory = Factory> {
  /** Of what the function makes, and in files. */
  readonly kind: string;
  /** What it is, in a phrase. */
  readonly is: string;
  /** What a configuration file says of one beside its kind. */
  readonly options: ObjectShape;
  readonly make: Make;
}

type List = Readonly<Record<string, Pick<FamilyKind, "kind" | "make">>>;

/** What the functions of a list make. */
export type Made<T extends List> = ReturnType<T[keyof T]["make"]>;

/** The functions of a list, under its names. */
export type Factories<T extends List> = { readonly [K in keyof T]: T[K]["make"] };

/** What a configuration file has for a kind with these options. */
export type Spec<K extends string, O> = { kind: K } & FileTypeOf<O>;

/** The same for any of a list. */
export type Specs<T extends Readonly<Record<string, { build(spec: never, ...rest: never[]): unknown }>>> =
  Parameters<T[keyof T]["build"]>[0];

export function factories<T extends List>(list: T): Factories<T> {
  return Object.fromEntries(sorted(list).map(([name, { make }]) => [name, make])) as unknown as Factories<T>;
}

/** By name: modules list their exports in any order. */
function sorted<T>(list: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(list).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** "a, b or c" */
export function orWords(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

/** The kinds of a list. In a configuration file one is an S. */
export class Family<K extends FamilyKind, S = unknown> {
  private readonly entries: readonly (readonly [string, K])[];
  private readonly byKind: ReadonlyMap<unknown, K>;
  /** How a configuration file says one: `{ kind, …options }`. */
  readonly inFile: readonly Shape<unknown, S>[];

  /** @param prefix what callers have the functions in */
  constructor(
    private readonly prefix: string,
    list: Readonly<Record<string, K>>,
  ) {
    this.entries = sorted(list);
    this.byKind = new Map(this.entries.map(([, kind]) => [kind.kind, kind]));
    this.inFile = this.all().map(
      ({ kind, is, options }) =>
        object({ kind: required(constant(kind), is), ...options.form.properties }) as Shape as Shape<
          unknown,
          S
        >,
    );
  }

  all(): K[] {
    return [...this.byKind.values()];
  }

  /** The names of functions. */
  names(of: (kind: K) => boolean = () => true): string[] {
    return this.entries.flatMap(([name, kind]) => (of(kind) ? [name] : []));
  }

  /** The functions, in words: "energy.cosine(), energy.prior()". */
  get known(): string {
    return this.names()
      .map((name) => `${this.prefix}.${name}()`)
      .join(", ");
  }

  /** The kind of a value that anybody may have made; undefined where it has none of these. */
  find(value: unknown): K | undefined {
    return this.byKind.get((value as { kind?: unknown } | null | undefined)?.kind);
  }

  /** The kind of a value that was checked. */
  of(value: { readonly kind: string }): K {
    const kind = this.find(value);
    if (!kind) throw new TypeError(`unknown kind ${JSON.stringify(value.kind)}; known are ${this.known}`);
    return kind;
  }
}
