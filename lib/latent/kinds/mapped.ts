import { basename } from "node:path";
import { shapeText } from "../../base/check.js";
import { ArgumentError, FileError, invalid } from "../../base/errors.js";
import { knownElementCount } from "../../base/tensor.js";
import type { Model } from "../../model/interface.js";
import { loadedModel } from "../../model/model.js";
import { check } from "../../options/check.js";
import { either, object, option } from "../../options/describe.js";
import type { Spec } from "../../options/family.js";
import {
  checkSimple,
  densityOf,
  factorised,
  readFactorised,
  type SimpleLatent,
  type SimpleLatentSpec,
} from "./factorised.js";
import { defineLatent, size as sizes, type Mappings } from "./kind.js";

/** What a model makes of draws of another prior. */
export interface MappedLatent {
  readonly kind: "mapped";
  readonly dim: number;
  readonly base: SimpleLatent;
  readonly mapping: Model;
}

/** What files have for one. */
export interface StoredMapped {
  readonly kind: "mapped";
  readonly dim: number;
  readonly base: SimpleLatent;
  readonly mapping: { readonly name: string; readonly sha256: string };
}

const own = object({
  dim: option(sizes, "numbers of w, where the mapping network does not tell"),
});
const options = object({
  base: option(either(...factorised.inFile), "what the mapping network takes", { otherwise: "normal" }),
  ...own.form.properties,
});

/**
 * w = mapping(z) with z from `base`, for a generator that takes w: StyleGAN's mapping network as a model of its own.
 * Translator, energy and sampler work in w. A generator's input [batch, layers, w] gets w in every layer.
 *
 * The density of w is not known. Pairs, and samples that start at the prior, are draws through the mapping; wherever a
 * density is asked for, a normal stands in whose mean and standard deviation of each dimension are estimated from
 * 10,000 draws.
 *
 * @param options.dim numbers of w, where the model's output does not tell
 * @throws ArgumentError for a mapping that does not take `base`
 */
function make(mapping: Model, base: SimpleLatent, options?: { dim?: number }): MappedLatent {
  const o = check(own, options, { name: "latent.mapped options" });
  const model = loadedModel("mapping", mapping);
  const checked = checkSimple("base", base);
  const [input] = model.inputs;
  const row = input?.shape.slice(1) ?? [];
  const known = knownElementCount(row);
  const fits = row.includes(null) ? checked.dim % known === 0 : checked.dim === known;
  if (model.inputs.length !== 1 || row.length === 0 || !fits)
    throw new ArgumentError(
      `mapping: expected a model with one input [batch, ${checked.dim}] for the base's draws, got ` +
        `${model.inputs.map((value) => `${value.name} ${shapeText(value.shape)}`).join(", ")} in ${model.name}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  const told = model.outputs[0]?.shape.slice(1) ?? [null];
  const size = told.includes(null) ? undefined : knownElementCount(told);
  if (o.dim === undefined && size === undefined)
    throw new ArgumentError(`mapping: the output of ${model.name} does not tell its size; pass { dim }`);
  const dim = o.dim ?? size!;
  if (size !== undefined && dim !== size)
    throw invalid("dim", `${size}, the numbers that ${model.name} gives`, dim);
  return Object.freeze({ kind: "mapped", dim, base: checked, mapping });
}

function isModel(value: Mappings): value is Model {
  return value !== undefined && typeof (value as { run?: unknown }).run === "function";
}

export const mapped = defineLatent({
  kind: "mapped",
  is: "what a mapping network makes of draws of another prior",
  options,
  make,
  check: (_: string, { mapping, base, dim }: MappedLatent) => make(mapping, base, { dim }),
  bound: () => undefined,
  draws: async ({ mapping, base, dim }, open) => {
    const density = densityOf(base);
    return { base: density, made: { map: await open(mapping, density, dim) } };
  },
  layered: true,
  needsMapping: true,
  describe: async ({ dim, base, mapping }): Promise<StoredMapped> => {
    const sha256 = await mapping.fingerprint();
    return { kind: "mapped", dim, base, mapping: { name: basename(mapping.name), sha256 } };
  },
  checkDescription: (name, stored: StoredMapped) => {
    checkSimple(`${name}.base`, stored.base);
    if (!(stored.dim >= 1) || !/^[0-9a-f]{64}$/.test(stored.mapping.sha256))
      throw new TypeError(`${name}: expected a size and a mapping with a SHA-256`);
    return stored;
  },
  restore: async (stored, { input, mappings, path }) => {
    const given = isModel(mappings) ? mappings : mappings?.[input ?? ""];
    if (given === undefined)
      throw new ArgumentError(
        `models.mapping: ${path} was saved with the mapping network ${stored.mapping.name}` +
          `${input === null ? "" : ` for the input ${input}`}; give it again`,
      );
    const sha256 = await loadedModel("models.mapping", given).fingerprint();
    if (sha256 !== stored.mapping.sha256)
      throw new FileError(
        "ERR_FILE_MISMATCH",
        `${path}: it belongs to the mapping network ${stored.mapping.name} (SHA-256 ${stored.mapping.sha256}), not to ` +
          `${given.name} (SHA-256 ${sha256})`,
      );
    return make(given, stored.base, { dim: stored.dim });
  },
  build: ({ base = { kind: "normal" }, dim }: Spec<"mapped", typeof options>, { mapping }) => {
    if (!mapping) throw new ArgumentError("mapping: a mapped latent needs its mapping network, got none");
    const size = knownElementCount(mapping.inputs[0]?.shape.slice(1) ?? []);
    return make(mapping, factorised.of(base).build(base, { size }), { dim });
  },
  spelling: {
    word: "mapped",
    syntax: "mapped[:BASE] (what the --mapping network makes of BASE, by default normal)",
    read: (parts) => {
      if (parts.length === 0) return {};
      const base = readFactorised(parts);
      return base && { base };
    },
    bound: {
      set: (spec, bound) => {
        const options = spec.base && factorised.of(spec.base).spelling.bound?.set(spec.base, bound);
        return options && { base: { ...spec.base!, ...options } as SimpleLatentSpec };
      },
    },
  },
});
