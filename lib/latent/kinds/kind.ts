/** What a kind of prior has to say of itself. Each kind is one file of this folder, and a line in a list. */
import type { Safetensors } from "../../base/safetensors.js";
import type { Tensor } from "../../base/tensor.js";
import type { Model } from "../../model/interface.js";
import type { NativeLatentGroup, NativeRowMap } from "../../native/types/pipeline.js";
import type { NativePrior } from "../../native/types/prior.js";
import { integer, number, option } from "../../options/describe.js";
import type { Factory, FamilyKind } from "../../options/family.js";
import type { Moments } from "../moments.js";

/** How many numbers a latent may have. */
export const size = integer({ min: 1, max: 2 ** 24 });
export const dim = option(size, "numbers of a latent", { otherwise: "what the generator's input has" });
export const std = option(number({ above: 0 }), "standard deviation", { default: 1 });

interface Value {
  readonly kind: string;
  readonly dim: number;
}

/** A density that is the same in each of `dim` dimensions, which are independent. */
export interface Density {
  readonly dim: number;
  /** The standard deviation of a dimension. */
  readonly std: number;
  /** Mean, deviation, low and high of a dimension as the addon has them among others: see NativePrior.elements. */
  readonly element: readonly [mean: number, std: number, low: number, high: number];
  /** The whole as the addon has it alone. */
  readonly native: NativePrior;
}

/** Opens a mapping network: draws [n, base.dim] → [n, dim]. */
export type OpenMapping = (mapping: Model, base: Density, dim: number) => Promise<NativeRowMap>;

/** How a prior's numbers come about. */
export interface Draws {
  /** What is drawn. */
  readonly base: Density;
  /** What is made of that, [n, base.dim] → [n, dim]; absent where it is the prior itself. */
  readonly made?: Pick<NativeLatentGroup, "table" | "rows" | "map">;
  /** With `made`: mean and deviation of each dimension; absent where they must be estimated. */
  readonly moments?: (signal?: AbortSignal) => Promise<Moments>;
}

/** Mapping networks of a file's latent: one for all, or by the generator's inputs. */
export type Mappings = Model | Readonly<Record<string, Model>> | undefined;

/** What a file has beside the description of a prior, and what its reader gave. */
interface Beside {
  readonly path: string;
  /** The generator's input whose prior it is; null where that is the only one. */
  readonly input: string | null;
  readonly tensors: Safetensors;
  /** The name of one of the prior's tensors. */
  tensorName(name: string): string;
  readonly mappings: Mappings;
}

/** What a configuration's prior is for. */
export interface Surroundings {
  /** Numbers that the generator's input takes. */
  readonly size: number;
  readonly mapping: Model | undefined;
  /** The same for one input of several. */
  of(input: string): Surroundings;
}

/** A prior on the command line: `--latent word:…`. */
interface Spelling<Spec> {
  readonly word: string;
  /** For the help. */
  readonly syntax: string;
  /** Options from what comes behind the word, between colons; null where it means nothing. */
  read(parts: readonly string[]): Omit<Spec, "kind"> | null;
  /** `--latent-bound`, for priors that have one. */
  readonly bound?: {
    /** Absent where it is another's. */
    readonly help?: string;
    /** The options that it changes; undefined where this one has no bound. */
    set(spec: Spec, bound: number): Partial<Omit<Spec, "kind">> | undefined;
  };
}

/** A prior over one input of a generator. */
export interface GroupKind<
  L extends Value = Value,
  Stored = unknown,
  Spec = { kind: string },
  Make extends Factory<L> = Factory<L>,
> extends FamilyKind<Make> {
  readonly kind: L["kind"];
  /** Checks the options of a value that came from a caller or a file. @throws ArgumentError */
  check(name: string, value: L): L;
  /** The half-width of the support around 0; undefined where there is none. */
  bound(latent: L): number | undefined;
  /** @throws what opening a mapping network throws */
  draws(latent: L, open: OpenMapping): Draws | Promise<Draws>;
  /** Whether one draw goes into every layer of an input [batch, layers, dim]. */
  readonly layered?: boolean;
  /** Whether it is of use only with a mapping network. */
  readonly needsMapping?: boolean;
  /** What moves it by default in samplers that need no density. */
  readonly rule?: "sgld" | "adam" | "kept";
  /** How many classes its one number stands for: see labels.ts. It is then "kept". */
  classes?(latent: L): number;

  /** As files remember it: JSON. */
  describe(latent: L): Stored | Promise<Stored>;
  /** @throws any error where a description is not as expected */
  checkDescription(name: string, stored: Stored): Stored;
  /** What a file must hold beside the description, by names of the prior's own. */
  tensors?(latent: L): Record<string, Tensor>;
  /**
   * @throws FileError ERR_FILE_INVALID for a missing or damaged tensor, ERR_FILE_MISMATCH for another mapping network;
   *   ArgumentError where one is needed and not given
   */
  restore(stored: Stored, beside: Beside): L | Promise<L>;

  /** What a configuration describes. @throws ArgumentError, FileError */
  build(spec: Spec, surroundings: Surroundings): L | Promise<L>;
  readonly spelling: Spelling<Spec>;
}

/** A prior that has a density, and whose files and configuration hold no more than its own options. */
export interface FactorisedKind<
  L extends Value = Value,
  Spec = { kind: string },
  Make extends Factory<L> = Factory<L>,
> extends GroupKind<L, L, Spec, Make> {
  density(latent: L): Density;
  draws(latent: L): Draws;
  restore(stored: L): L;
  build(spec: Spec, surroundings: Pick<Surroundings, "size">): L;
}

type Told = "draws" | "describe" | "checkDescription" | "restore";

/** The kind of a factorised prior: what it is drawn from and what files remember follow from its density and check. */
export function defineFactorised<L extends Value, Make extends Factory<L>, Spec>(
  own: Omit<FactorisedKind<L, Spec, Make>, Told>,
): FactorisedKind<L, Spec, Make> {
  return {
    ...own,
    draws: (latent) => ({ base: own.density(latent) }),
    describe: (latent) => latent,
    checkDescription: (name, stored) => own.check(name, stored),
    restore: (stored) => stored,
  };
}

/** The kind of a prior that is made of another one. */
export function defineLatent<L extends Value, Make extends Factory<L>, Stored, Spec>(
  own: GroupKind<L, Stored, Spec, Make>,
): GroupKind<L, Stored, Spec, Make> {
  return own;
}

/** `[DIM[:NUMBER]]` of a command line: the latter above 0. */
export function readNumbers(parts: readonly string[]): { dim?: number; second?: number } | null {
  const [dim, second] = parts.map(Number);
  if (
    parts.length > 2 ||
    (dim !== undefined && !(Number.isSafeInteger(dim) && dim >= 1)) ||
    (second !== undefined && !(second > 0 && Number.isFinite(second)))
  )
    return null;
  return { ...(dim === undefined ? {} : { dim }), ...(second === undefined ? {} : { second }) };
}
