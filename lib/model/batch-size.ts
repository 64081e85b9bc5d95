/** How many rows of a model run at once where the memory decides it. */
import type { Decision } from "../base/decisions.js";
import { Tr0nError } from "../base/errors.js";
import { memoryLimit, openDevice } from "../native/devices.js";
import { runJob } from "../native/job.js";
import { gigabytes } from "../native/memory.js";
import { native } from "../native/binding.js";
import type { ModelDeviceId } from "../native/types/devices.js";
import type { NativeSession } from "../native/types/models.js";

/** Rows of one run of a model: at most so many, or as many as fit into its device's memory. */
export type MaxBatch = number | "auto";

/** What a session's values take. */
interface SessionMemory {
  readonly device: ModelDeviceId;
  /** Of one row, at most. */
  readonly rowBytes: number;
  /** Bytes that its values may take on a CUDA device; undefined: what there is. */
  readonly limit?: number | undefined;
  /** Bytes of this machine's memory that all runs at once may take, as the option `memory` says it. */
  readonly memory?: number | undefined;
}

const known = new WeakMap<NativeSession, SessionMemory>();

export function rememberMemory(session: NativeSession, memory: SessionMemory): void {
  known.set(session, memory);
}

/** Rows where the device does not say how much memory it has, which is what a fixed number is by default, too. */
const unknownRows = 64;
/** More rows keep no GPU busier. */
const mostRows = 1024;
/** More rows keep no core busier. */
const mostRowsOfCpu = 64;
/** Of what is free: the rest is for what a runtime needs besides values, such as a convolution's workspace. */
const share = 0.8;

/** The largest power of two of rows of `bytes` that `available` holds, up to `most`; 0 where not one fits. */
export function fittingRows(available: number, bytes: number, most: number): number {
  const rows = Math.min(most, available / Math.max(bytes, 1));
  return rows < 1 ? 0 : 2 ** Math.floor(Math.log2(rows));
}

/** Bytes that rows may take on a device, and how many run at once; null where nobody knows. */
async function memoryOf(
  device: ModelDeviceId,
  signal: AbortSignal | undefined,
): Promise<{ free: number; blocks: number; most: number } | null> {
  if (device === "webgpu") return null;
  if (device === "cpu") return { free: memoryLimit() / 2, blocks: native().threads(), most: mostRowsOfCpu };
  const opened = await openDevice(device, signal);
  try {
    const memory = await runJob("asking a device for its memory", signal, () => opened.memory());
    return memory && { free: memory.free, blocks: 1, most: mostRows };
  } finally {
    opened.dispose();
  }
}

function tooSmall(name: string, needed: number, where: string, free: number): Tr0nError {
  return new Tr0nError(
    "ERR_OUT_OF_MEMORY",
    `${name}: a single row needs about ${gigabytes(needed)} of memory with all that is kept for it ` +
      `(${Math.ceil(needed)} bytes), and ${where} has ${gigabytes(free)} to give (${Math.floor(free)} bytes)`,
  );
}

/**
 * The rows of one run of a pipeline.
 *
 * @param name what messages call the pipeline
 * @param sessions all of it, open: their weights lie in the memory already
 * @throws Tr0nError ERR_OUT_OF_MEMORY where the device has no room for a single row
 */
export async function batchSize(
  name: string,
  wanted: MaxBatch,
  sessions: readonly NativeSession[],
  {
    signal,
    decided,
  }: { signal?: AbortSignal | undefined; decided?: ((decision: Decision) => void) | undefined },
): Promise<number> {
  const bounded = memoryBound(name, sessions);
  if (wanted !== "auto") {
    if (bounded === null || bounded.rows >= wanted) return wanted;
    decided?.({ option: "maxBatch", value: String(bounded.rows), reason: bounded.reason, certain: true });
    return bounded.rows;
  }
  const needs = new Map<ModelDeviceId, number>();
  for (const session of sessions) {
    const memory = known.get(session);
    if (memory) needs.set(memory.device, (needs.get(memory.device) ?? 0) + memory.rowBytes);
  }
  let rows = unknownRows;
  let reason = "nothing tells how much memory its device has";
  let first = true;
  for (const [device, bytes] of needs) {
    const memory = await memoryOf(device, signal);
    if (memory === null) continue;
    const fit = fittingRows((share * memory.free) / memory.blocks, bytes, memory.most);
    if (fit === 0) throw tooSmall(name, bytes, device, memory.free);
    if (!first && fit >= rows) continue;
    first = false;
    rows = fit;
    reason = `a row of ${name} takes about ${gigabytes(bytes)}, and ${device} has ${gigabytes(memory.free)} to give`;
  }
  for (const session of sessions) {
    const { device = "cpu", rowBytes = 0, limit } = known.get(session) ?? {};
    if (limit === undefined || !device.startsWith("cuda")) continue;
    const fit = fittingRows(limit, rowBytes, mostRows);
    if (fit === 0) throw tooSmall(name, rowBytes, "deviceMemory", limit);
    if (fit >= rows) continue;
    rows = fit;
    reason = `a row of a session of ${name} takes about ${gigabytes(rowBytes)}, and deviceMemory is ${gigabytes(limit)}`;
  }
  if (bounded !== null && bounded.rows < rows) ({ rows, reason } = bounded);
  decided?.({ option: "maxBatch", value: String(rows), reason, certain: true });
  return rows;
}

/**
 * The rows that the option `memory` allows; null where it says nothing.
 *
 * @throws Tr0nError ERR_OUT_OF_MEMORY
 */
function memoryBound(
  name: string,
  sessions: readonly NativeSession[],
): { rows: number; reason: string } | null {
  let [bytes, limit] = [0, Infinity];
  for (const session of sessions) {
    const { device, rowBytes = 0, memory = Infinity } = known.get(session) ?? {};
    if (device !== "cpu") continue;
    // Blocks of rows take turns: of a pipeline's sessions one runs at a time, but what they keep lies beside it.
    bytes += rowBytes;
    limit = Math.min(limit, memory);
  }
  if (limit === Infinity) return null;
  const threads = native().threads();
  const rows = fittingRows(limit / threads, bytes, mostRowsOfCpu);
  if (rows === 0) {
    const one = fittingRows(limit, bytes, 1) === 1;
    throw new Tr0nError(
      "ERR_OUT_OF_MEMORY",
      `${name}: a single row on each of ${threads} threads needs about ${gigabytes(threads * bytes)} of memory with the gradient's ` +
        `values (${Math.ceil(threads * bytes)} bytes), and memory allows ${gigabytes(limit)} (${limit} bytes); allow that much` +
        (one ? ", or let the process have one CPU (taskset -c 0)" : ", or use smaller models"),
    );
  }
  return {
    rows,
    reason: `a row of ${name} takes about ${gigabytes(bytes)} on each of ${threads} threads, and memory is ${gigabytes(limit)}`,
  };
}
