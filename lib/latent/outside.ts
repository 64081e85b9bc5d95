/** Latents as callers have them: where samplers have a label's code, they have the class's number. */
import { groupClasses, latentGroups, type Latent } from "./latent.js";
import { classOf, codeOf } from "./labels.js";

/** Latents [n, d] of samplers as callers get them: the same numbers where there are no labels, else new ones. */
export function outsideLatents(prior: Latent, latents: Float32Array): Float32Array {
  return converted(prior, latents, (code, classes) => classOf(code, classes));
}

/**
 * The other way.
 *
 * @param name what messages call the latents
 * @throws ArgumentError for a class that there is not
 */
export function insideLatents(name: string, prior: Latent, latents: Float32Array): Float32Array {
  return converted(prior, latents, (label, classes, row, column) =>
    codeOf(`${name}[${row}, ${column}]`, label, classes),
  );
}

function converted(
  prior: Latent,
  latents: Float32Array,
  number: (from: number, classes: number, row: number, column: number) => number,
): Float32Array {
  let result = latents;
  for (const { latent, begin } of latentGroups(prior)) {
    const classes = groupClasses(latent);
    if (classes === undefined) continue;
    if (result === latents) result = new Float32Array(latents);
    for (let at = begin, row = 0; at < latents.length; at += prior.dim, row++)
      result[at] = number(latents[at]!, classes, row, begin);
  }
  return result;
}
