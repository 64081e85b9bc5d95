/** What a translator network looks like: its sizes, and the tensors that files name. */
import { ArgumentError, Tr0nError } from "../base/errors.js";
import {
  boolean,
  integer,
  number,
  object,
  option,
  required,
  withDefault,
  words,
  type Checked,
  type TypeOf,
} from "../options/describe.js";

const size = integer({ min: 1, max: 2 ** 20 });

/** @internal */
export const stdsShape = words("shared", "component");

export type Stds = TypeOf<typeof stdsShape>;

/** Weights of a head of full rank from which on it has a rank by default: 64 MiB of them. */
const mostFullWeights = 2 ** 24;
/** Below a quarter of most hidden widths nothing was gained by more: see docs/large-systems.md. */
const usualRank = 256;
const otherwiseRank = "0, or 256 where a head of full rank had more than 2^24 weights";

/** The default. */
function rankFor(s: { components: number; hidden: number; latent: number }): number {
  return s.hidden * s.components * s.latent > mostFullWeights && s.latent > usualRank ? usualRank : 0;
}

/**
 * What callers choose of a network. What depends on the models or the loss is left open.
 *
 * @internal
 */
export const architecture = {
  components: option(integer({ min: 1, max: 4096 }), "K, components of the mixture", {
    otherwise: "10",
    flag: { value: "K" },
  }),
  hidden: option(size, "h, hidden width", { otherwise: "4 × the condition's size" }),
  depth: option(integer({ min: 1, max: 64 }), "residual blocks", { more: "The paper has one.", default: 1 }),
  rank: option(
    integer({ min: 0, max: 2 ** 20 }),
    "numbers of a component's code, of which a shared basis makes its mean",
    {
      more: "The head then has h·K·r + r·d weights in the place of h·K·d, which latents of ten thousands of numbers need. 0: means of full rank.",
      otherwise: otherwiseRank,
    },
  ),
  stds: option(stdsShape, "standard deviations, one vector of all components or one of each", {
    default: "shared",
  }),
};
/** @internal */
export const logStdShape = number({ min: -20, max: 20 });

/**
 * What callers choose of a network that is there.
 *
 * @internal
 */
export function architectureOf(from: Partial<Pick<TranslatorShape, keyof typeof architecture>>) {
  const names = Object.keys(architecture) as (keyof typeof architecture)[];
  return Object.fromEntries(names.map((name) => [name, from[name]])) as Partial<
    Pick<TranslatorShape, keyof typeof architecture>
  >;
}

const boundShape = number({ min: 0 });
/** @internal */
export const boundOption = option(
  boundShape,
  "component means stay within ±bound, as bound·tanh(·); 0: free",
);

/** @internal */
export const translatorShape = object(
  {
    condition: required(size, "m, numbers of a condition"),
    latent: required(integer({ min: 1, max: 2 ** 24 }), "d, numbers of a latent"),
    ...architecture,
    components: withDefault(architecture.components, {
      from: ({ deterministic }: { deterministic: boolean }) => (deterministic ? 1 : 10),
      words: "10, or 1 where it is deterministic",
    }),
    hidden: withDefault(architecture.hidden, {
      from: ({ condition }: { condition: number }) => 4 * condition,
      words: "4m",
    }),
    rank: withDefault(architecture.rank, { from: rankFor, words: otherwiseRank }),
    bound: withDefault(boundOption, 0),
    auxiliary: option(integer({ min: 0, max: 2 ** 20 }), "size of a second, regressed latent y; 0: none", {
      default: 0,
    }),
    deterministic: option(boolean(), "a point for each condition in the place of a density", {
      more: "That point is `means` with K = 1, trained by mean squared error.",
      default: false,
    }),
  },
  ({ deterministic, components, stds, rank, latent }) => {
    if (Number(rank) >= Number(latent))
      throw new ArgumentError(
        `rank: expected a number below the latent's size ${String(latent)}, or 0 for means of full rank, got ${String(rank)}`,
      );
    if (deterministic && (components !== 1 || stds === "component"))
      throw new ArgumentError(
        `components: a deterministic translator has one head and no stds, so expected 1 and "shared", got ${String(components)} ` +
          `and "${String(stds)}"`,
      );
  },
);

/** The sizes that define a translator, all filled in. */
export type TranslatorShape = Checked<typeof translatorShape>;

/** More parameters than this are refused before anything is allocated: 4 GB with the optimiser's state. */
const maxParameters = 2 ** 28;

/** @throws Tr0nError ERR_OUT_OF_MEMORY for a network that is too large */
export function checkParameters(shape: TranslatorShape): void {
  const parameters = parameterCount(shape);
  if (parameters > maxParameters)
    throw new Tr0nError(
      "ERR_OUT_OF_MEMORY",
      `translator: expected at most ${maxParameters} parameters, got ${parameters} (condition ${shape.condition}, hidden ${shape.hidden}, ` +
        `components ${shape.components}, latent ${shape.latent}); choose a smaller \`hidden\` or a \`rank\``,
    );
}

/** The number of parameters of a translator. */
export function parameterCount(s: TranslatorShape): number {
  const linear = (inputs: number, outputs: number): number => (inputs + 1) * outputs;
  return (
    linear(s.condition, s.hidden) +
    s.depth * linear(s.hidden, s.hidden) +
    (s.rank > 0
      ? linear(s.hidden, s.components * s.rank) + linear(s.rank, s.latent)
      : linear(s.hidden, s.components * s.latent)) +
    (s.deterministic
      ? 0
      : linear(s.hidden, s.components) + (s.stds === "component" ? s.components : 1) * s.latent) +
    (s.auxiliary > 0 ? linear(s.hidden, s.auxiliary) : 0)
  );
}
