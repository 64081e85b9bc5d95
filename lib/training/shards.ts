/** The files of a folder of pairs, and the manifest that lists them. */
import { join } from "node:path";
import { reason, writeFileAtomic } from "../base/atomic-write.js";
import { FileError, describe } from "../base/errors.js";
import type { Objective } from "../objective/objective.js";
import { hashBytes } from "../base/hash.js";
import { readWholeFile } from "../base/read-file.js";
import { safetensorsParts } from "../base/safetensors.js";
import type { Pairs } from "./pairs.js";

interface Shard {
  file: string;
  rows: number;
  bytes: number;
  sha256: string;
}

export interface Manifest {
  format: "tr0n-pairs";
  version: 1;
  settings: Record<string, unknown>;
  seed: number;
  shardSize: number;
  shards: Shard[];
}

function manifestPath(folder: string): string {
  return join(folder, "manifest.json");
}

/** null when there is none. */
export async function readManifest(folder: string): Promise<Manifest | null> {
  const path = manifestPath(folder);
  let text: string;
  try {
    text = (await readWholeFile(path)).toString("utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new FileError("ERR_IO", `${path}: cannot be read: ${reason(error)}`, { cause: error });
  }
  const fail = (what: string, cause?: unknown): FileError =>
    new FileError("ERR_FILE_INVALID", `${path}: not a sound manifest of pairs: ${what}`, { cause });
  let parsed: Partial<Manifest> | null;
  try {
    parsed = JSON.parse(text) as Partial<Manifest> | null;
  } catch (error) {
    throw fail("it is not JSON", error);
  }
  const isCount = (value: unknown, min: number): boolean =>
    Number.isSafeInteger(value) && (value as number) >= min;
  if (parsed === null || typeof parsed !== "object" || parsed.format !== "tr0n-pairs")
    throw fail(`expected the format "tr0n-pairs", got ${describe(parsed?.format)}`);
  if (parsed.version !== 1) throw fail(`expected version 1, got ${describe(parsed.version)}`);
  if (!isCount(parsed.seed, 0) || !isCount(parsed.shardSize, 1))
    throw fail("its seed or shardSize is no number");
  if (parsed.settings === null || typeof parsed.settings !== "object") throw fail("it has no settings");
  if (!Array.isArray(parsed.shards)) throw fail("it has no list of shards");
  parsed.shards.forEach((shard: Partial<Shard> | null, index) => {
    const last = index === parsed.shards!.length - 1;
    if (
      shard?.file !== shardName(index) ||
      !isCount(shard.rows, 1) ||
      shard.rows! > parsed.shardSize! ||
      (!last && shard.rows !== parsed.shardSize) ||
      !isCount(shard.bytes, 1) ||
      typeof shard.sha256 !== "string"
    )
      throw fail(`its shard ${index} is not as expected`);
  });
  return parsed as Manifest;
}

export function writeManifest(
  folder: string,
  manifest: Manifest,
  signal: AbortSignal | undefined,
): Promise<void> {
  return writeFileAtomic(manifestPath(folder), `${JSON.stringify(manifest, null, 2)}\n`, { signal });
}

function shardName(index: number): string {
  return `pairs-${String(index).padStart(5, "0")}.safetensors`;
}

export async function writeShard(
  folder: string,
  index: number,
  pairs: Pairs,
  objective: Objective,
  signal: AbortSignal | undefined,
): Promise<Shard> {
  const parts = safetensorsParts(
    new Map([
      ["z", { data: pairs.z, shape: [pairs.count, objective.latentSize] }],
      ["c", { data: pairs.c, shape: [pairs.count, objective.conditionSize] }],
    ]),
    new Map([["format", "tr0n-pairs"]]),
  );
  const file = shardName(index);
  await writeFileAtomic(join(folder, file), parts, { signal });
  const bytes = parts.reduce((sum, part) => sum + part.length, 0);
  return { file, rows: pairs.count, bytes, sha256: await hashBytes(parts) };
}

/** A shard's bytes, or what is wrong with it. */
export async function readShard(folder: string, shard: Shard): Promise<Uint8Array | string> {
  let bytes: Uint8Array;
  try {
    bytes = await readWholeFile(join(folder, shard.file));
  } catch (error) {
    return `cannot be read: ${reason(error)}`;
  }
  if (bytes.length !== shard.bytes) return `expected ${shard.bytes} bytes, got ${bytes.length}`;
  return (await hashBytes(bytes)) === shard.sha256
    ? bytes
    : "its contents do not fit the manifest's checksum";
}

export async function shardFault(folder: string, shard: Shard): Promise<string | null> {
  const read = await readShard(folder, shard);
  return typeof read === "string" ? read : null;
}
