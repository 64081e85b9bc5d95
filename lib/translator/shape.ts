/** What a translator network looks like: its sizes, and the tensors that files name. */
import { checkBoolean, checkChoice, checkInteger, checkNumber } from "../base/check.js";
import { ArgumentError, Tr0nError } from "../base/errors.js";

/** The sizes that define a translator, all filled in. */
export interface TranslatorShape {
  /** m, numbers of a condition. */
  readonly condition: number;
  /** d, numbers of a latent. */
  readonly latent: number;
  /** K, components of the mixture. */
  readonly components: number;
  /** h, hidden width. */
  readonly hidden: number;
  /** Residual blocks. */
  readonly depth: number;
  /** Component means are bound·tanh(·); 0 leaves them unbounded. */
  readonly bound: number;
  /** Size of a second, regressed latent y; 0: none. */
  readonly auxiliary: number;
  /** Standard deviations [d] for all components, or [K, d]. */
  readonly stds: Stds;
  /** A point for each condition in the place of a density. */
  readonly deterministic: boolean;
  /** Whether the tensors of the heads are called z_… or w_…, as in the paper's code for generators with a mapping network. */
  readonly space: Space;
}

export type Stds = "shared" | "component";
export type Space = "z" | "w";

/** More parameters than this are refused before anything is allocated: 4 GB with the optimiser's state. */
const maxParameters = 2 ** 28;
const size = { min: 1, max: 2 ** 20 };
/** Names of the options that {@link checkShape} reads. */
export const shapeNames = [
  "condition",
  "latent",
  "components",
  "hidden",
  "depth",
  "bound",
  "auxiliary",
  "stds",
  "deterministic",
  "space",
] as const;

/** @throws ArgumentError; Tr0nError ERR_OUT_OF_MEMORY for a network that is too large */
export function checkShape(o: Partial<Record<keyof TranslatorShape, unknown>>): TranslatorShape {
  const condition = checkInteger("condition", o.condition ?? Number.NaN, 0, size);
  const deterministic = checkBoolean("deterministic", o.deterministic, false);
  const shape: TranslatorShape = {
    condition,
    latent: checkInteger("latent", o.latent ?? Number.NaN, 0, { min: 1, max: 2 ** 24 }),
    ...checkArchitecture("", o, { components: deterministic ? 1 : 10, hidden: 4 * condition }),
    auxiliary: checkInteger("auxiliary", o.auxiliary, 0, { min: 0, max: 2 ** 20 }),
    bound: checkNumber("bound", o.bound, 0, { min: 0 }),
    deterministic,
  };
  if (deterministic && (shape.components > 1 || shape.stds === "component"))
    throw new ArgumentError(
      `components: a deterministic translator has one head and no stds, so expected 1 and "shared", got ${shape.components} ` +
        `and "${shape.stds}"`,
    );
  const parameters = parameterCount(shape);
  if (parameters > maxParameters)
    throw new Tr0nError(
      "ERR_OUT_OF_MEMORY",
      `translator: expected at most ${maxParameters} parameters, got ${parameters} (condition ${condition}, hidden ${shape.hidden}, ` +
        `components ${shape.components}, latent ${shape.latent}); choose a smaller \`hidden\``,
    );
  return shape;
}

/** The part of a shape that does not depend on the models. @throws ArgumentError */
export function checkArchitecture(
  prefix: string,
  o: Partial<Record<keyof TranslatorShape, unknown>>,
  defaults: { components: number; hidden: number },
): Pick<TranslatorShape, "components" | "hidden" | "depth" | "stds" | "space"> {
  return {
    components: checkInteger(`${prefix}components`, o.components, defaults.components, { min: 1, max: 4096 }),
    hidden: checkInteger(`${prefix}hidden`, o.hidden, defaults.hidden, size),
    depth: checkInteger(`${prefix}depth`, o.depth, 1, { min: 1, max: 64 }),
    stds: checkChoice(`${prefix}stds`, o.stds, "shared", ["shared", "component"]),
    space: checkChoice(`${prefix}space`, o.space, "z", ["z", "w"]),
  };
}

/** The number of parameters of a translator. */
export function parameterCount(s: TranslatorShape): number {
  const linear = (inputs: number, outputs: number): number => (inputs + 1) * outputs;
  return (
    linear(s.condition, s.hidden) +
    s.depth * linear(s.hidden, s.hidden) +
    linear(s.hidden, s.components * s.latent) +
    (s.deterministic
      ? 0
      : linear(s.hidden, s.components) + (s.stds === "component" ? s.components : 1) * s.latent) +
    (s.auxiliary > 0 ? linear(s.hidden, s.auxiliary) : 0)
  );
}

/** A parameter's name in files, from the network's own, which is that of z-space. */
export function spacedName(name: string, space: Space): string {
  return space === "z" ? name : name.replace(/^z_/, "w_");
}
