import { invalid } from "../../base/errors.js";
import { check } from "../../options/check.js";
import { object, option, record, required } from "../../options/describe.js";
import type { Spec } from "../../options/family.js";
import { size, std } from "./kind.js";
import { normal } from "./normal.js";
import { product, type ProductLatent } from "./product.js";

const own = object({ temperature: option(std.shape, "standard deviation of all groups", { default: 1 }) });
const options = object({
  sizes: required(record(size), "numbers of each group by the generator's inputs"),
  ...own.form.properties,
});

/**
 * The groups of a hierarchical generator (NVAE: the noise of each of its scales), each N(0, temperature²). `sizes`
 * are the groups' numbers by the names of the generator's inputs. The paper takes temperature 0.6 for NVAE on FFHQ.
 */
function make(sizes: Record<string, number>, options?: { temperature?: number }): ProductLatent {
  const { temperature: std } = check(own, options, { name: "latent.hierarchical options" });
  if (sizes === null || typeof sizes !== "object")
    throw invalid("sizes", "numbers by the names of the generator's inputs", sizes);
  return product.make(
    Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, normal.make(size, { std })])),
  );
}

/** A product by another name: what it makes is one. */
export const hierarchical = {
  kind: "hierarchical",
  is: "a product of normals with one standard deviation",
  options,
  make,
  build({ sizes, temperature }: Spec<"hierarchical", typeof options>): ProductLatent {
    return make(sizes, { temperature });
  },
} as const;
