/** Latents as files remember them: JSON, with the numbers of tables as tensors beside it. */
import { invalid } from "../base/errors.js";
import type { Safetensors } from "../base/safetensors.js";
import type { Tensor } from "../base/tensor.js";
import { groups as kinds, type GroupDescription } from "./kinds/groups.js";
import type { Mappings } from "./kinds/kind.js";
import { latent, latentGroups, type GroupLatent, type Latent } from "./latent.js";

export type { Mappings };

/** Groups of a product are a list: their order counts. */
export type LatentDescription =
  | GroupDescription
  | {
      readonly kind: "product";
      readonly dim: number;
      readonly groups: readonly { readonly input: string; readonly latent: GroupDescription }[];
    };

export async function describeLatent(prior: Latent): Promise<LatentDescription> {
  const parts: { input: string | null; latent: GroupDescription }[] = [];
  for (const { name, latent: group } of latentGroups(prior))
    parts.push({ input: name, latent: await kinds.of(group).describe(group) });
  const [only] = parts;
  if (only?.input === null) return only.latent;
  return { kind: "product", dim: prior.dim, groups: parts as { input: string; latent: GroupDescription }[] };
}

const prefix = "latent.";

/** Tensors that a file must hold for a latent's tables, by name. */
export function latentTables(prior: Latent): Record<string, Tensor> {
  return Object.fromEntries(
    latentGroups(prior).flatMap(({ name, latent: group }) =>
      Object.entries(kinds.of(group).tensors?.(group) ?? {}).map(([own, tensor]) => [
        tensorName(name, own),
        tensor,
      ]),
    ),
  );
}

/** Takes latents' tensors out of a file: the others, and these. */
export function splitTables(file: Safetensors): { rest: Safetensors; tables: Safetensors } {
  const pick = (own: boolean): Safetensors => ({
    ...file,
    tensors: new Map([...file.tensors].filter(([name]) => name.startsWith(prefix) === own)),
  });
  return { rest: pick(false), tables: pick(true) };
}

function tensorName(input: string | null, name: string): string {
  return `${prefix}${input === null ? "" : `${input}.`}${name}`;
}

/** A description's parts; one that is no product is one, with no name. */
function describedGroups(
  stored: LatentDescription,
): readonly { readonly input: string | null; readonly latent: GroupDescription }[] {
  return stored.kind === "product" ? stored.groups : [{ input: null, latent: stored }];
}

/** @throws any error when a description is not as expected; tables and mappings are looked at later */
export function checkDescription(value: LatentDescription): LatentDescription {
  for (const { input, latent: given } of describedGroups(value)) {
    const name = input === null ? "latent" : `latent.${input}`;
    const kind = kinds.find(given);
    if (!kind) throw new TypeError(`${name}: expected one of ${kinds.known}`);
    kind.checkDescription(name, given);
  }
  return value;
}

/**
 * The latent of a file.
 *
 * @throws FileError ERR_FILE_INVALID for a missing or damaged table, ERR_FILE_MISMATCH for another mapping network;
 *   ArgumentError when one is needed and not given, or given and not needed
 */
export async function restoreLatent(
  stored: LatentDescription,
  tables: Safetensors,
  mappings: Mappings,
  path: string,
): Promise<Latent> {
  const restored: [string | null, GroupLatent][] = [];
  let needed = false;
  for (const { input, latent: group } of describedGroups(stored)) {
    const kind = kinds.of(group);
    needed ||= kind.needsMapping ?? false;
    const beside = {
      path,
      input,
      tensors: tables,
      tensorName: (name: string) => tensorName(input, name),
      mappings,
    };
    restored.push([input, await kind.restore(group, beside)]);
  }
  if (!needed && mappings !== undefined)
    throw invalid("models.mapping", `none, for ${path} was saved without a mapping network`, mappings);
  const [only] = restored;
  return only?.[0] === null ? only[1] : latent.product(Object.fromEntries(restored));
}
