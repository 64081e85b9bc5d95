/** Plain Langevin dynamics: momentum SGD with noise. */
import { ArgumentError } from "../../base/errors.js";
import {
  groupBound,
  groupClasses,
  groupRule,
  isProduct,
  latentBound,
  latentGroups,
} from "../../latent/latent.js";
import type { NativeUpdateGroup } from "../../native/types/sampling.js";
import { number, object, option, record, words, type Checked, type TypeOf } from "../../options/describe.js";
import { defineSampler, type SamplerContext } from "../definition.js";
import { fidelity, start, stepCount } from "./common.js";

const atLeast0 = number({ min: 0 });
const rate = number({ above: 0 });
const momentumShape = number({ min: 0, below: 1 });
/** Of Adam. */
const adam = { learningRate: 5e-3, noise: 0 };
const samplers = "the sampler's";

/** @internal */
export const groupUpdate = object(
  {
    rule: option(words("sgld", "adam", "fixed"), "how the numbers move", {
      more: '"sgld": momentum SGD with noise; "adam": Adam (0.9, 0.999); "fixed": not at all.',
      otherwise: '"sgld", for tables and the translator\'s auxiliary group "adam", for labels "fixed"',
    }),
    learningRate: option(rate, "learning rate", {
      otherwise: `${samplers}, for "adam" ${adam.learningRate}`,
    }),
    momentum: option(momentumShape, 'momentum, of "sgld" alone', { otherwise: samplers }),
    noise: option(atLeast0, "standard deviation of the noise", {
      otherwise: `${samplers}, for "adam" ${adam.noise}`,
    }),
    clip: option(atLeast0, "norm to which the group's gradient is clipped in each chain; 0 switches it off", {
      otherwise: samplers,
    }),
    bound: option(atLeast0, "numbers are clamped to ±bound; 0 switches it off", {
      otherwise: `${samplers}, else the group's own, if it has one`,
    }),
  },
  ({ rule, momentum }, name) => {
    if (momentum !== undefined && rule !== undefined && rule !== "sgld")
      throw new ArgumentError(
        `${name("momentum")}: expected none with the rule ${String(rule)}, got ${String(momentum)}`,
      );
  },
);

/** How the numbers of one group of a latent.product() move. What is left out is the sampler's. */
export type GroupUpdate = TypeOf<typeof groupUpdate>;

/** @internal */
export const updateOptions = object({
  steps: option(stepCount, "steps T", { default: 50 }),
  learningRate: option(rate, "η (`lr_latent` in the paper's code)", {
    more: "The paper uses 5 for BigGAN.",
    default: 0.1,
  }),
  momentum: option(momentumShape, "momentum", { default: 0.99 }),
  noise: option(atLeast0, "σ of the noise added in each step (`sgld_noise_std` in the paper's code)", {
    default: 0.01,
  }),
  clip: option(atLeast0, "norm to which each chain's gradient is clipped; 0 switches it off", { default: 1 }),
  bound: option(atLeast0, "latents are clamped to ±bound after each step; 0 switches it off", {
    otherwise: "the prior's bound, if it has one",
  }),
  fidelity: { ...fidelity, more: "" },
  groups: option(
    record(groupUpdate, "update rules by the generator's inputs"),
    "rules of a latent.product()'s groups, by the generator's inputs",
    { more: "Each group's gradient is clipped by its own norm.", otherwise: samplers },
  ),
});

/** @internal */
export const langevinOptions = object({ ...updateOptions.form.properties, start });

/** Options of plain Langevin dynamics (momentum SGD with noise). */
export type LangevinOptions = TypeOf<typeof langevinOptions>;

/**
 * Options as the addon takes them: with the prior's bound, and rules of all groups.
 * @internal
 */
export function nativeUpdate<T extends Checked<typeof updateOptions>>(
  options: T,
  context: SamplerContext,
): Readonly<Record<string, unknown>> {
  return {
    bound: latentBound(context.prior) ?? 0,
    ...options,
    groups: updateGroups(options, context),
  };
}

/** Rules of a latent's groups, in their order; none where one rule moves all of it. */
function updateGroups(
  o: Checked<typeof updateOptions>,
  { prior, auxiliary }: SamplerContext,
): NativeUpdateGroup[] | undefined {
  const groups = latentGroups(prior);
  const given = o.groups ?? {};
  for (const name of Object.keys(given))
    if (!groups.some((group) => group.name === name))
      throw new ArgumentError(
        `groups: expected ${isProduct(prior) ? `some of ${groups.map((group) => group.name).join(", ")}` : "none, for the latent is no product"}, got ${name}`,
      );
  if (!isProduct(prior) && groups.every(({ latent }) => groupRule(latent) === "sgld")) return undefined;
  return groups.map(({ name, latent: group }) => {
    const own = (name === null ? undefined : given[name]) ?? {};
    if (groupClasses(group) !== undefined && (own.rule ?? "fixed") !== "fixed")
      throw new ArgumentError(
        `groups.${name}.rule: expected "fixed" or nothing, for a label has no steps, got "${own.rule}"`,
      );
    const usual = groupRule(group);
    const rule =
      usual === "kept"
        ? usual
        : (own.rule ?? (name !== null && name === auxiliary && usual === "sgld" ? "adam" : usual));
    return {
      size: group.dim,
      rule,
      learningRate: own.learningRate ?? (rule === "adam" ? adam.learningRate : o.learningRate),
      momentum: own.momentum ?? o.momentum,
      noise: own.noise ?? (rule === "adam" ? adam.noise : o.noise),
      clip: own.clip ?? o.clip,
      bound: own.bound ?? o.bound ?? groupBound(group) ?? 0,
    };
  });
}

/** @internal */
export const langevin = defineSampler({
  kind: "langevin",
  is: "Momentum SGD with noise on one latent a chain, without an accept step.",
  options: langevinOptions,
  start: (options) => options.start,
  kernel: "langevin",
  priorWeight: 0,
  native: nativeUpdate,
});
