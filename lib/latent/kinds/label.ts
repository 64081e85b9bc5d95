import { checkValue } from "../../options/check.js";
import { integer, object, required } from "../../options/describe.js";
import type { Spec } from "../../options/family.js";
import { defineLatent } from "./kind.js";
import { normal } from "./normal.js";

/** A class of a generator, each as likely as the others. */
export interface LabelLatent {
  readonly kind: "label";
  readonly dim: 1;
  readonly classes: number;
}

/** Classes that float32 can tell apart, and the borders between which are quickly compared. */
const classCount = integer({ min: 2, max: 2 ** 16 });
const options = object({ classes: required(classCount, "how many classes there are") });

/**
 * A class 0 … classes − 1 of a class-conditional generator, each as likely as the others, in a latent.product():
 * `latent.product({ z: latent.normal(128), y: latent.label(1000) })`. The generator's input takes its number as whole numbers
 * [N] or [N, 1], or as rows [N, classes] of which one number is 1.
 *
 * In latents the class is one number. It has no gradient, and no sampler's steps change it: a chain keeps the class that it
 * starts with. Candidates of resample() have classes of their own, from the translator, which learns them with the rest of the
 * latent, and from the prior; so a condition finds the classes that satisfy it.
 */
function make(classes: number): LabelLatent {
  return Object.freeze({ kind: "label", dim: 1, classes: checkValue(classCount, classes, "classes") });
}

export const label = defineLatent({
  kind: "label",
  is: "a class of the generator, each as likely as the others",
  options,
  make,
  check: (_: string, { classes }: LabelLatent) => make(classes),
  bound: () => undefined,
  // See labels.ts.
  draws: () => ({ base: normal.density(normal.make(1)) }),
  classes: ({ classes }) => classes,
  rule: "kept",
  describe: (latent) => latent,
  checkDescription: (_, stored: LabelLatent) => {
    make(stored.classes);
    return stored;
  },
  restore: ({ classes }) => make(classes),
  build: ({ classes }: Spec<"label", typeof options>) => make(classes),
  spelling: {
    word: "label",
    syntax: "label:CLASSES (a class of the generator)",
    read: ([classes, ...rest]) =>
      rest.length === 0 && classes !== undefined && /^\d{1,9}$/.test(classes)
        ? { classes: Number(classes) }
        : null,
  },
});
