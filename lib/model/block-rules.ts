/**
 * In which blocks rows run, kept from one process to the next. What the addon found out about a pipeline of models goes
 * into a small file of the user's cache and into translator files, under a key of all that it depends on, so that the
 * next process need not find it out again. A file that is damaged, of another machine or not to be had costs a probe.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { cpus, homedir } from "node:os";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic-write.js";
import { native } from "../native/binding.js";
import type { NativeBlockRule } from "../native/types/pipeline.js";

/** Counts the ways in which rules were ever found: another one may find other rules. */
const method = 1;
/** As the addon: kLargestBlock of native/bridge/row_probe.cpp. */
const largestBlock = 32;
const mostRules = 64;
const mostBytes = 1 << 16;

/** The parts that a key may be divided into: runners that share their models. */
const part = /^[0-9a-f]{64}(\/[a-z]{1,16})?$/;

/** Keys under which this process may find something out. */
const used = new Set<string>();
/** What is in these files, as far as this process knows. */
const written = new Map<string, string>();
const keys = new WeakMap<object, string>();

/** Where rules are kept; null where TR0N_CACHE is "off", or nobody has a home. */
function cacheFolder(): string | null {
  const named = process.env["TR0N_CACHE"];
  if (named === "off") return null;
  if (named) return named;
  const base = process.env["XDG_CACHE_HOME"];
  if (base?.startsWith("/")) return join(base, "tr0n");
  try {
    return join(homedir(), ".cache", "tr0n");
  } catch {
    return null;
  }
}

/**
 * The key of rules for rows that run through `parts`: everything that the last bit of a result may depend on, besides the
 * way to find rules, ONNX Runtime and the processor, which are added here.
 */
export function ruleKey(parts: unknown): string {
  const machine = {
    method,
    onnxruntime: native().onnxRuntimeVersion(),
    processor: [process.platform, process.arch, cpus()[0]?.model ?? "", native().instructions()],
  };
  return createHash("sha256")
    .update(JSON.stringify([machine, parts]))
    .digest("hex");
}

/** Has the addon know the rules that the cache has under a key. */
export async function recallRules(key: string): Promise<void> {
  if (native().blockRules(key).length > 0) return;
  const rules = await readRules(key);
  if (rules.length > 0) native().learnBlockRules(rules);
}

/** Notes that an object's rules are kept under a key. */
export function keepRules<T extends object>(object: T, key: string | undefined): T {
  if (key === undefined) return object;
  keys.set(object, key);
  used.add(key);
  return object;
}

/** The rules that have been found for some native objects. */
export function rulesOf(objects: readonly object[]): NativeBlockRule[] {
  const wanted = new Set(objects.map((object) => keys.get(object)).filter((key) => key !== undefined));
  return [...wanted].flatMap((key) => native().blockRules(key));
}

/** Writes down what has been found since the last call. A cache that cannot be written is none. */
export async function rememberRules(): Promise<void> {
  const folder = cacheFolder();
  if (folder === null) return;
  for (const key of used) {
    const file = fileOf(folder, key);
    const rules = native().blockRules(key);
    const text = fileText(rules);
    if (rules.length === 0 || text === written.get(file)) continue;
    written.set(file, text);
    try {
      await writeFileAtomic(file, text);
    } catch {
      // No room, no permission: the next process finds out by itself.
    }
  }
}

/** Rules from elsewhere that may be rules: the others are left out. */
export function soundRules(value: unknown): NativeBlockRule[] {
  if (!Array.isArray(value)) return [];
  return (value as unknown[]).slice(0, mostRules).flatMap((rule) => {
    if (rule === null || typeof rule !== "object") return [];
    const { key, granularity, rows } = rule as Record<string, unknown>;
    if (typeof key !== "string" || !part.test(key)) return [];
    const inRange = (size: unknown): size is number =>
      typeof size === "number" && Number.isInteger(size) && size >= 1 && size <= largestBlock;
    return inRange(granularity) && inRange(rows) && rows % granularity === 0
      ? [{ key, granularity, rows }]
      : [];
  });
}

function fileOf(folder: string, key: string): string {
  return join(folder, "blocks", `${key}.json`);
}

/** The rules with a sum over them: a disk's mistake must not become a rule. */
function fileText(rules: readonly NativeBlockRule[]): string {
  return JSON.stringify({ rules, sha256: sumOf(rules) });
}

function sumOf(rules: unknown): string {
  return createHash("sha256").update(JSON.stringify(rules)).digest("hex");
}

async function readRules(key: string): Promise<NativeBlockRule[]> {
  const folder = cacheFolder();
  if (folder === null) return [];
  try {
    const file = fileOf(folder, key);
    const text = await readFile(file, "utf8");
    if (text.length > mostBytes) return [];
    const { rules, sha256 } = JSON.parse(text) as { rules?: unknown; sha256?: unknown };
    if (sha256 !== sumOf(rules)) return [];
    const sound = soundRules(rules).filter((rule) => rule.key === key || rule.key.startsWith(`${key}/`));
    written.set(file, text);
    return sound;
  } catch {
    return [];
  }
}
