/** The prior that a configuration describes, as the library takes it. */
import { reason } from "../base/atomic-write.js";
import { ArgumentError, FileError } from "../base/errors.js";
import { latent, type GroupLatent, type Latent, type SimpleLatent } from "../latent/latent.js";
import type { Model } from "../model/interface.js";
import { readEmbedding } from "../condition/read-embedding.js";
import { readWholeFile } from "../base/read-file.js";
import { decodeSafetensors } from "../base/safetensors.js";
import { knownElementCount, type Tensor } from "../base/tensor.js";

export interface SimpleLatentSpec {
  kind: "normal" | "truncatedNormal" | "uniform";
  dim?: number;
  std?: number;
  bound?: number;
  low?: number;
  high?: number;
}
export type GroupLatentSpec =
  | SimpleLatentSpec
  | { kind: "table"; file: string }
  | { kind: "mapped"; base?: SimpleLatentSpec; dim?: number };
export type LatentSpec =
  | GroupLatentSpec
  | { kind: "product"; groups: Record<string, GroupLatentSpec> }
  | { kind: "hierarchical"; sizes: Record<string, number>; temperature?: number };

/**
 * The prior over the generator's input; undefined leaves it to the library.
 *
 * @throws ArgumentError for a mapped latent without its mapping network; FileError for a table that cannot be read
 */
export async function buildLatent(
  spec: LatentSpec | undefined,
  generator: Model,
  mapping: Model | undefined,
): Promise<Latent | undefined> {
  if (!spec) return undefined;
  const size = (name: string | null): number => {
    const input = generator.inputs.find((value) => name === null || value.name === name);
    return knownElementCount(input?.shape.slice(1) ?? []);
  };
  switch (spec.kind) {
    case "hierarchical":
      return latent.hierarchical(spec.sizes, { temperature: spec.temperature });
    case "product": {
      const groups: Record<string, GroupLatent> = {};
      for (const [name, group] of Object.entries(spec.groups))
        groups[name] = await buildGroup(group, size(name), mapping);
      return latent.product(groups);
    }
    default:
      return buildGroup(spec, size(null), mapping);
  }
}

async function buildGroup(
  spec: GroupLatentSpec,
  size: number,
  mapping: Model | undefined,
): Promise<GroupLatent> {
  switch (spec.kind) {
    case "table":
      return latent.table(await readTable(spec.file));
    case "mapped": {
      if (!mapping) throw new ArgumentError("mapping: a mapped latent needs its mapping network, got none");
      const base = spec.base ?? { kind: "normal" };
      const dim = knownElementCount(mapping.inputs[0]?.shape.slice(1) ?? []);
      return latent.mapped(mapping, buildSimple(base, dim), { dim: spec.dim });
    }
    default:
      return buildSimple(spec, size);
  }
}

function buildSimple(spec: SimpleLatentSpec, size: number): SimpleLatent {
  const { kind, dim = size, std, bound, low, high } = spec;
  switch (kind) {
    case "normal":
      return latent.normal(dim, { std });
    case "truncatedNormal":
      return latent.truncatedNormal(dim, bound ?? 2, { std });
    case "uniform":
      return latent.uniform(dim, low, high);
  }
}

/** A matrix: the only tensor of a .safetensors file, or JSON. @throws FileError */
async function readTable(path: string): Promise<Tensor> {
  if (!path.endsWith(".safetensors")) return readEmbedding(path);
  let bytes: Uint8Array;
  try {
    bytes = await readWholeFile(path);
  } catch (error) {
    throw new FileError("ERR_IO", `${path}: cannot be read: ${reason(error)}`, { cause: error });
  }
  const file = decodeSafetensors(bytes, path);
  const [name, ...others] = file.tensors.keys();
  if (name === undefined || others.length > 0)
    throw new FileError("ERR_FILE_INVALID", `${path}: expected one tensor, got ${file.tensors.size}`);
  return file.tensors.get(name)!;
}
