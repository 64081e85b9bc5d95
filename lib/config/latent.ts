/** The prior that a configuration describes, as the library takes it. */
import { knownElementCount } from "../base/tensor.js";
import { latentFromSpec, type Latent, type LatentSpec } from "../latent/latent.js";
import type { Surroundings } from "../latent/kinds/kind.js";
import type { Model } from "../model/interface.js";

/**
 * The prior over the generator's inputs; undefined leaves it to the library.
 *
 * @throws ArgumentError for a mapped latent without its mapping network; FileError for a table that cannot be read
 */
export async function buildLatent(
  spec: LatentSpec | undefined,
  generator: Model,
  mapping: Model | undefined,
): Promise<Latent | undefined> {
  if (!spec) return undefined;
  const surroundings = (input: string | null): Surroundings => {
    const found = generator.inputs.find((value) => input === null || value.name === input);
    return { size: knownElementCount(found?.shape.slice(1) ?? []), mapping, of: surroundings };
  };
  return latentFromSpec(spec, surroundings(null));
}
