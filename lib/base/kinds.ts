/** Kinds of a thing (latents, energies, stages): each is defined in a file of its own, and found by name. */

export type Factory<T = unknown> = (...args: never[]) => T;

/** A kind, and the factory that callers know it by. */
export interface Kind<Make extends Factory = Factory> {
  /** Of what the factory makes, and in files. */
  readonly kind: string;
  readonly make: Make;
}

type Index = Readonly<Record<string, Kind>>;

/** What the factories of an index make. */
export type Made<T extends Index> = ReturnType<T[keyof T]["make"]>;

/** The factories of an index, under its names. */
export type Factories<T extends Index> = { readonly [K in keyof T]: T[K]["make"] };

export function factories<T extends Index>(index: T): Factories<T> {
  return Object.fromEntries(
    Object.entries(index).map(([name, { make }]) => [name, make]),
  ) as unknown as Factories<T>;
}

/** "a, b or c" */
export function either(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

/** The kinds of an index. */
export class Kinds<K extends Kind> {
  private readonly byKind: ReadonlyMap<unknown, K>;

  /** @param prefix what callers have the factories in */
  constructor(
    private readonly prefix: string,
    private readonly index: Readonly<Record<string, K>>,
  ) {
    this.byKind = new Map(Object.values(index).map((kind) => [kind.kind, kind]));
  }

  all(): K[] {
    return [...this.byKind.values()];
  }

  /** The names of factories. */
  names(of: (kind: K) => boolean = () => true): string[] {
    return Object.entries(this.index).flatMap(([name, kind]) => (of(kind) ? [name] : []));
  }

  /** The factories, in words: "energy.cosine(), energy.prior()". */
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
