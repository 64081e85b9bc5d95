/** Folders of training pairs: written in files that are there whole or not at all, continued, and read. */
import { createHash } from "node:crypto";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { reason } from "../base/atomic-write.js";
import { rememberRules } from "../model/block-rules.js";
import { randomSeed } from "../base/check.js";
import { check } from "../options/check.js";
import { listener, ofTheDocument, seedShape, signal } from "../options/common.js";
import { integer, notInFile, object, option, path, required, type TypeOf } from "../options/describe.js";
import { FileError } from "../base/errors.js";
import { throwIfAborted } from "../native/job.js";
import { takeFinite } from "../native/rows.js";
import { checkMemory } from "../native/memory.js";
import type { Objective } from "../objective/objective.js";
import { decodeSafetensors, findTensor } from "../base/safetensors.js";
import { compositionOptions, joinModels } from "../objective/composition-options.js";
import { pairsRecord, recordDifference, withFormerKinds } from "../objective/record.js";
import { drawPairs, type Pairs } from "./pairs.js";
import { readManifest, readShard, shardFault, writeManifest, writeShard, type Manifest } from "./shards.js";

const maxPairs = 2 ** 32 - 1;

/** @internal */
export const pairsOptions = object({
  ...compositionOptions.form.properties,
  folder: notInFile(
    required(path(), "the folder, which is made where missing", {
      more: "One with pairs of the same models, settings and seed is continued.",
    }),
    "`outputs.pairs`",
  ),
  count: required(integer({ min: 1, max: maxPairs }), "pairs that the folder shall have in the end", {
    flag: { short: "n" },
  }),
  shardSize: option(integer({ min: 1, max: 2 ** 24 }), "pairs in each file", {
    otherwise: "8192, or the folder's",
  }),
  seed: notInFile(
    option(seedShape, "decides the latents", { otherwise: "the folder's, or random for a new one" }),
    ofTheDocument,
  ),
  onProgress: listener<PairsProgress>("PairsProgress", "called with how many pairs there are"),
  signal,
});

/** Options of generatePairs(). The models and their settings are as in `Tr0n.create`. */
export type PairsOptions = TypeOf<typeof pairsOptions>;

export interface PairsProgress {
  /** Pairs in the folder, those of an earlier run included. */
  readonly done: number;
  readonly total: number;
}

export interface PairsReport {
  /** Pairs in the folder. */
  readonly count: number;
  /** Pairs that this call made. */
  readonly generated: number;
  /** Files of the manifest that were missing or damaged and have been made again. */
  readonly repaired: readonly string[];
  readonly seed: number;
  readonly seconds: number;
}

/** Pairs a file. */
const defaultShardSize = 8192;

/**
 * Writes pairs to a folder of .safetensors files (`z` [n, d] and `c` [n, m]) with a `manifest.json`, for
 * `train({ pairs: folder })`. Each file is either complete or absent, so a run that was killed or aborted continues after
 * its last file when it is started again, with the same result.
 *
 * @throws FileError ERR_FILE_MISMATCH when the folder has pairs of other models or settings, ERR_FILE_INVALID for a
 *   damaged manifest, ERR_IO; what `Tr0n.create` throws; AbortError
 */
export async function generatePairs(options: PairsOptions): Promise<PairsReport> {
  const o = check(pairsOptions, options, { name: "options" });
  throwIfAborted("generatePairs", o.signal);
  const started = performance.now();
  const objective = await joinModels(o, o.signal);
  try {
    const report = await writePairs(objective, o);
    await rememberRules();
    return { ...report, seconds: (performance.now() - started) / 1000 };
  } finally {
    objective.dispose();
  }
}

async function writePairs(objective: Objective, o: PairsOptions): Promise<Omit<PairsReport, "seconds">> {
  const settings = await pairSettings(objective);
  const before = await readManifest(o.folder);
  if (before) {
    checkSettings(o.folder, await withFormerKinds(before.settings, objective), settings);
    for (const [name, given, stored] of [
      ["seed", o.seed, before.seed],
      ["shardSize", o.shardSize, before.shardSize],
    ] as const)
      if (given !== undefined && given !== stored)
        throw new FileError(
          "ERR_FILE_MISMATCH",
          `${o.folder}: its pairs were made with ${name} ${stored}, but ${given} was asked for; choose another folder`,
        );
  }
  const manifest: Manifest = before ?? {
    format: "tr0n-pairs",
    version: 1,
    settings,
    seed: o.seed ?? randomSeed(),
    shardSize: o.shardSize ?? defaultShardSize,
    shards: [],
  };
  const { shardSize, seed } = manifest;
  await prepareFolder(o.folder);
  const existing = manifest.shards.reduce((sum, shard) => sum + shard.rows, 0);
  const total = Math.max(o.count, existing);
  checkMemory(`shardSize: ${shardSize} pairs`, 3 * 4 * Math.min(shardSize, total) * pairSize(objective));

  const repaired: string[] = [];
  let generated = 0;
  let done = 0;
  for (let index = 0; index * shardSize < total; index++) {
    throwIfAborted("generatePairs", o.signal);
    const rows = Math.min(shardSize, total - index * shardSize);
    const listed = manifest.shards[index];
    if (listed && listed.rows === rows) {
      if ((await shardFault(o.folder, listed)) === null) {
        done += rows;
        o.onProgress?.({ done, total });
        continue;
      }
      repaired.push(listed.file);
    }
    const whole = done + rows; // reported once the file is there
    const pairs = await drawPairs(objective, seed, index * shardSize, rows, o.signal, (made) => {
      if (done + made < whole) o.onProgress?.({ done: done + made, total });
    });
    manifest.shards[index] = await writeShard(o.folder, index, pairs, objective, o.signal);
    await writeManifest(o.folder, manifest, o.signal);
    done += rows;
    generated += rows;
    o.onProgress?.({ done, total });
  }
  return { count: total, generated, repaired, seed };
}

/**
 * All pairs of a folder, and an identity of their contents.
 *
 * @throws FileError ERR_FILE_MISMATCH for pairs of other models or settings, ERR_FILE_INVALID for missing or damaged
 *   files, ERR_IO
 */
export async function readPairs(
  folder: string,
  objective: Objective,
  signal?: AbortSignal,
): Promise<Pairs & { identity: string }> {
  const manifest = await readManifest(folder);
  if (!manifest)
    throw new FileError("ERR_IO", `${folder}: expected a folder of pairs, but it has no manifest.json`);
  const before = await withFormerKinds(manifest.settings, objective);
  checkSettings(folder, before, await pairSettings(objective));
  const { latentSize: d, conditionSize: m } = objective;
  const count = manifest.shards.reduce((sum, shard) => sum + shard.rows, 0);
  checkMemory(`${folder}: ${count} pairs`, 4 * count * pairSize(objective));
  const z = new Float32Array(count * d);
  const c = new Float32Array(count * m);
  let at = 0;
  for (const shard of manifest.shards) {
    throwIfAborted("reading pairs", signal);
    const path = join(folder, shard.file);
    const bytes = await readShard(folder, shard);
    if (typeof bytes === "string")
      throw new FileError(
        "ERR_FILE_INVALID",
        `${path}: ${bytes}; run generatePairs on the folder again to repair it`,
      );
    const file = decodeSafetensors(bytes, path);
    for (const [name, into, width] of [
      ["z", z, d],
      ["c", c, m],
    ] as const) {
      const data = findTensor(file, path, name, [shard.rows, width]);
      await takeFinite(data, `${path}: tensor "${name}"`, into, at * width, signal);
    }
    at += shard.rows;
  }
  const identity = createHash("sha256").update(JSON.stringify(manifest.shards.map((shard) => shard.sha256)));
  return { z, c, count, identity: identity.digest("hex") };
}

/** Numbers of a pair. */
function pairSize(objective: Objective): number {
  return objective.latentSize + objective.conditionSize;
}

/** What a folder's pairs depend on, besides the seed. */
async function pairSettings(objective: Objective): Promise<Record<string, unknown>> {
  // Conditions depend on the energy only through their kind: pairs made for one energy serve others of the same kind.
  return {
    ...(await pairsRecord(objective)),
    energy: undefined,
    augment: undefined,
    condition: objective.conditionKind,
  };
}

function checkSettings(
  folder: string,
  stored: Record<string, unknown>,
  wanted: Record<string, unknown>,
): void {
  const difference = recordDifference(stored, wanted);
  if (difference !== null)
    throw new FileError(
      "ERR_FILE_MISMATCH",
      `${folder}: its pairs belong to other models or settings: ${difference}`,
    );
}

/** Makes the folder, and removes temporary files that a killed run has left. */
async function prepareFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    for (const file of await readdir(folder))
      if (/^\.(pairs-\d+\.safetensors|manifest\.json)\.[0-9a-f]+\.tmp$/.test(file))
        await rm(join(folder, file));
  } catch (error) {
    throw new FileError("ERR_IO", `${folder}: cannot be used for pairs: ${reason(error)}`, { cause: error });
  }
}
