/** What a kind of energy has to say of itself. Each kind is one file of this folder, and a line in list.ts. */
import type { Builder } from "../../onnx/index.js";
import type { Factory, FamilyKind } from "../../options/family.js";
import type { EncoderKind } from "../encoder-kind.js";

/** What the rows of a condition are: a distribution over classes, a direction of length 1, or any vector. */
export type ConditionKind = "probabilities" | "unit" | "raw";

interface Value {
  readonly kind: string;
}

/** What an energy is a function of. */
interface Reading {
  /** [N, F], the encoder's output. */
  readonly output: string;
  /** [N, F] */
  readonly condition: string;
  /** What the output means. */
  readonly kind: EncoderKind;
  /** Of all terms together. */
  readonly conditionKind: ConditionKind;
}

/** An encoder that an energy shall look at. */
interface LookedAt {
  readonly name: string;
  /** Numbers of a row of its output. */
  readonly size: number;
  readonly kind: EncoderKind;
  /** Whether a caller said so. */
  readonly kindGiven: boolean;
  /** The operator that its output comes from, where that is known. */
  readonly maker: string | null | undefined;
  readonly conditionKind: ConditionKind;
}

/** A term on the encoder's output. */
interface Term<E> {
  /** What it takes; null for any. All terms of a sum share one condition. */
  readonly condition: ConditionKind | null;
  /** Linear in the condition: energies of several conditions are the energy of their sum. */
  readonly linear: boolean;
  /** Its graph: E [N]. Or a model of the caller's. */
  emit?(b: Builder, reading: Reading, energy: E): string;
  /** An ONNX model: (output [N, …], condition [N, m]) → [N] or [N, 1]. */
  model?(energy: E): Uint8Array;
  /** @throws ArgumentError where it makes no sense of the encoder's output */
  checkFits?(encoder: LookedAt): void;
}

export interface EnergyKind<
  E extends Value = Value,
  Stored = unknown,
  Spec = Value,
  Make extends Factory<E> = Factory<E>,
> extends FamilyKind<Make> {
  readonly kind: E["kind"];
  /** On the command line, `--energy word`; absent where it cannot be said there. */
  readonly word?: string;
  /** Checks a value that came from a caller. @throws ArgumentError */
  check(name: string, value: E): E;
  /** Absent for a weight of the prior. */
  readonly term?: Term<E>;
  /** How much of −log p(z) it adds, where it has no term. */
  prior?(energy: E): number;
  /** As files remember it: JSON. */
  describe(energy: E): Stored;
  /** Absent where a file does not hold all of it, and callers give it again. @throws ArgumentError */
  restore?(stored: Stored): E;
  /** What a configuration describes. @throws ArgumentError, FileError */
  build(spec: Spec): E | Promise<E>;
}

export function defineEnergy<E extends Value, Make extends Factory<E>, Stored, Spec>(
  own: EnergyKind<E, Stored, Spec, Make>,
): EnergyKind<E, Stored, Spec, Make> {
  return own;
}

/** The inner products of rows [N, F]: [N]. */
export function dot(b: Builder, p: string, q: string): string {
  return b.sum(b.op("Mul", [p, q]), [1], false);
}
