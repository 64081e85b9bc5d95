import { checkNumber, checkOptions } from "../../base/check.js";
import { invalid } from "../../base/errors.js";
import { normal } from "./normal.js";
import { product, type ProductLatent } from "./product.js";

export interface HierarchicalSpec {
  kind: "hierarchical";
  sizes: Record<string, number>;
  temperature?: number;
}

/**
 * The groups of a hierarchical generator (NVAE: the noise of each of its scales), each N(0, temperature²). `sizes`
 * are the groups' numbers by the names of the generator's inputs. The paper takes temperature 0.6 for NVAE on FFHQ.
 */
function make(sizes: Record<string, number>, options?: { temperature?: number }): ProductLatent {
  const o = checkOptions("latent.hierarchical options", options, ["temperature"]);
  const std = checkNumber("temperature", o.temperature, 1, { above: 0 });
  if (sizes === null || typeof sizes !== "object")
    throw invalid("sizes", "numbers by the names of the generator's inputs", sizes);
  return product.make(
    Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, normal.make(size, { std })])),
  );
}

/** A product by another name: what it makes is one. */
export const hierarchical = {
  kind: "hierarchical",
  make,
  build: ({ sizes, temperature }: HierarchicalSpec): ProductLatent => make(sizes, { temperature }),
} as const;
