/** Latents as files remember them: JSON, with the numbers of tables as tensors beside it. */
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { ArgumentError, FileError, invalid } from "../base/errors.js";
import {
  checkSimple,
  latent,
  latentGroups,
  type GroupLatent,
  type Latent,
  type SimpleLatent,
} from "./latent.js";
import { loadedModel } from "../model/model.js";
import type { Model } from "../model/interface.js";
import { takeTensor, type Safetensors } from "../base/safetensors.js";
import type { Tensor } from "../base/tensor.js";

type GroupDescription =
  | SimpleLatent
  | { readonly kind: "table"; readonly dim: number; readonly rows: number; readonly sha256: string }
  | {
      readonly kind: "mapped";
      readonly dim: number;
      readonly base: SimpleLatent;
      readonly mapping: { readonly name: string; readonly sha256: string };
    };

/** Groups of a product are a list: their order counts. */
export type LatentDescription =
  | GroupDescription
  | {
      readonly kind: "product";
      readonly dim: number;
      readonly groups: readonly { readonly input: string; readonly latent: GroupDescription }[];
    };

export async function describeLatent(prior: Latent): Promise<LatentDescription> {
  if (prior.kind !== "product") return describeGroup(prior);
  const groups: { input: string; latent: GroupDescription }[] = [];
  for (const [input, group] of Object.entries(prior.groups))
    groups.push({ input, latent: await describeGroup(group) });
  return { kind: "product", dim: prior.dim, groups };
}

async function describeGroup(group: GroupLatent): Promise<GroupDescription> {
  switch (group.kind) {
    case "table": {
      const { data, shape } = group.table;
      const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      return { kind: "table", dim: group.dim, rows: shape[0]!, sha256 };
    }
    case "mapped": {
      const { dim, base, mapping } = group;
      const sha256 = await mapping.fingerprint();
      return { kind: "mapped", dim, base, mapping: { name: basename(mapping.name), sha256 } };
    }
    default:
      return group;
  }
}

const prefix = "latent.";

/** Tensors that a file must hold for a latent's tables, by name. */
export function latentTables(prior: Latent): Record<string, Tensor> {
  return Object.fromEntries(
    latentGroups(prior).flatMap(({ name, latent: group }) =>
      group.kind === "table" ? [[tableName(name), group.table] as const] : [],
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

function tableName(input: string | null): string {
  return `${prefix}${input === null ? "" : `${input}.`}table`;
}

/** Mapping networks of a file's latent: one for all, or by the generator's inputs. */
export type Mappings = Model | Readonly<Record<string, Model>> | undefined;

function isModel(value: Mappings): value is Model {
  return value !== undefined && typeof (value as { run?: unknown }).run === "function";
}

/** @throws any error when a description is not as expected; tables and mappings are looked at later */
export function checkDescription(value: LatentDescription): LatentDescription {
  const group = (name: string, given: GroupDescription): GroupDescription => {
    switch (given.kind) {
      case "table":
        if (!(given.rows >= 1 && given.dim >= 1)) throw new TypeError(`${name}: expected a table's size`);
        return given;
      case "mapped":
        checkSimple(`${name}.base`, given.base);
        if (!(given.dim >= 1) || !/^[0-9a-f]{64}$/.test(given.mapping.sha256))
          throw new TypeError(`${name}: expected a size and a mapping with a SHA-256`);
        return given;
      default:
        return checkSimple(name, given);
    }
  };
  if (value.kind !== "product") return group("latent", value);
  for (const { input, latent: given } of value.groups) group(`latent.${input}`, given);
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
  const restored = new Map<string, GroupLatent>();
  let mapped = 0;
  const list =
    stored.kind === "product" ? stored.groups : [{ input: null, latent: stored as GroupDescription }];
  for (const { input, latent: group } of list) {
    if (group.kind === "mapped") mapped++;
    restored.set(input ?? "", await restoreGroup(input, group, tables, mappings, path));
  }
  if (mapped === 0 && mappings !== undefined)
    throw invalid("models.mapping", `none, for ${path} was saved without a mapping network`, mappings);
  return stored.kind === "product" ? latent.product(Object.fromEntries(restored)) : restored.get("")!;
}

async function restoreGroup(
  input: string | null,
  stored: GroupDescription,
  tables: Safetensors,
  mappings: Mappings,
  path: string,
): Promise<GroupLatent> {
  switch (stored.kind) {
    case "table": {
      const shape = [stored.rows, stored.dim];
      const table = { data: takeTensor(tables, path, tableName(input), shape), shape };
      const found = (await describeGroup(latent.table(table))) as GroupDescription & { kind: "table" };
      if (found.sha256 !== stored.sha256)
        throw new FileError(
          "ERR_FILE_INVALID",
          `${path}: its table ${tableName(input)} is not the one that was saved`,
        );
      return latent.table(table);
    }
    case "mapped": {
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
      return latent.mapped(given, stored.base, { dim: stored.dim });
    }
    default:
      return stored;
  }
}
