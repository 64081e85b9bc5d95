/** Kinds of a thing (latents, energies, stages): each is defined in a file of its own, and found by name. */

/** A kind, and the factory that callers know it by. */
export interface Kind {
  /** Of what the factory makes, and in files. */
  readonly kind: string;
  readonly make: (...args: never[]) => unknown;
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

/** The kinds of an index. */
export class Kinds<K extends Kind> {
  private readonly byKind: ReadonlyMap<unknown, K>;
  /** The factories, in words: "energy.cosine(), energy.prior()". */
  readonly known: string;

  /** @param prefix what callers have the factories in */
  constructor(prefix: string, index: Readonly<Record<string, K>>) {
    this.byKind = new Map(Object.values(index).map((kind) => [kind.kind, kind]));
    this.known = Object.keys(index)
      .map((name) => `${prefix}.${name}()`)
      .join(", ");
  }

  all(): K[] {
    return [...this.byKind.values()];
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
