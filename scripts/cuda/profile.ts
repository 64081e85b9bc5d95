/** What cuda-profile counts on the emulator, and the limits that the kernels are held to. */

/** Counts of all launches of one kernel (native/emulator/exec/counters.h says what each is). */
export interface KernelCounters {
  name: string;
  launches: number;
  blocks: number;
  threads: number;
  sharedBytesPerBlock: number;
  warpInstructions: number;
  laneInstructions: number;
  warpInstructionsByClass: Record<string, number>;
  /** Useful ones, outside of tensor cores; doubleFlops are among them. */
  flops: number;
  doubleFlops: number;
  tensorFlops: number;
  /** Requested by lanes. */
  globalLoadBytes: number;
  globalStoreBytes: number;
  /** Of 32 bytes, between the multiprocessors and the second-level cache. */
  sectors: number;
  minimumSectors: number;
  /** Each counted once in a launch: between that cache and memory, if it held all of a launch and nothing longer. */
  distinctLoadSectors: number;
  distinctStoreSectors: number;
  sharedBytes: number;
  sharedWavefronts: number;
  sharedConflicts: number;
  barriers: number;
  atomics: number;
  estimatedMicroseconds: number;
}

export interface Workload {
  name: string;
  rows: number;
  precision: "fp32" | "tf32";
  hidden: number;
  /** That a training step updates; 0 for other workloads. */
  parameters: number;
  emulatedSeconds: number;
  counters: { estimate: string; kernels: KernelCounters[] };
}

export interface Profile {
  workloads: Workload[];
}

export interface Verdict {
  workload: string;
  what: string;
  value: number;
  limit: number;
  /** Whether the value must be at most the limit, or at least. */
  kind: "most" | "least";
}

/** Floats of a parameter moved by a step at least: itself, its gradient and Adam's two moments, each read and written. */
const floatsPerParameter = 8;
/** Of clipping and Adam: 1 for the scale, 3 for the first moment, 4 for the second, 3 for its root, 3 for the parameter. */
const adamFlops = 14;

export const title = (w: Workload): string =>
  `${w.name}, ${w.parameters > 0 ? `batch ${w.rows}, ${w.precision}` : `${w.rows} chains`}`;
export const isMatrix = (kernel: KernelCounters): boolean => kernel.name.includes("linear");
export const memoryBytes = (k: KernelCounters): number =>
  32 * (k.distinctLoadSectors + k.distinctStoreSectors);
export const requestedBytes = (k: KernelCounters): number => k.globalLoadBytes + k.globalStoreBytes;
export const allFlops = (k: KernelCounters): number => k.flops + k.tensorFlops;

/** FLOPs of products of matrices: what a kernel that also updates its parameters spends on Adam is none. */
function matrixFlops(kernels: readonly KernelCounters[], parameters: number): number {
  const updates = kernels.some((k) => k.name.includes("update"));
  return sum(kernels, allFlops) - (updates ? adamFlops * parameters : 0);
}

export const sum = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((total, item) => total + of(item), 0);

export const holds = (v: Verdict): boolean => (v.kind === "most" ? v.value <= v.limit : v.value >= v.limit);

/** Everything that a workload is held to. */
export function verdicts(workload: Workload): Verdict[] {
  const { kernels } = workload.counters;
  const name = title(workload);
  const result: Verdict[] = [];
  const hold = (what: string, value: number, kind: Verdict["kind"], limit: number): void => {
    result.push({ workload: name, what, value, limit, kind });
  };
  const matrices = kernels.filter(isMatrix);
  for (const k of kernels) {
    if (k.minimumSectors > 0)
      hold(`${k.name}: sectors moved over the minimum`, k.sectors / k.minimumSectors, "most", 1.1);
  }
  for (const k of matrices) {
    if (k.sharedWavefronts > 0)
      hold(
        `${k.name}: shared wavefronts lost to conflicts`,
        k.sharedConflicts / k.sharedWavefronts,
        "most",
        0.02,
      );
  }
  const launches = sum(kernels, (k) => k.launches);
  if (workload.parameters > 0) {
    hold("launches", launches, "most", 16);
    if (workload.precision === "tf32")
      hold(
        "share of matrix FLOPs on tensor cores",
        sum(matrices, (k) => k.tensorFlops) / matrixFlops(matrices, workload.parameters),
        "least",
        0.95,
      );
    if (workload.rows <= 16)
      hold(
        "bytes moved over weights, gradients and moments once",
        (32 * sum(kernels, (k) => k.sectors)) / (4 * floatsPerParameter * workload.parameters),
        "most",
        1.2,
      );
    if (workload.rows >= 2048)
      hold(
        "FLOPs per byte that the matrix kernels request",
        matrixFlops(matrices, workload.parameters) / sum(matrices, requestedBytes),
        "least",
        25,
      );
  } else if (/^(Langevin|Adam|Metropolis) update/.test(workload.name)) {
    hold("launches", launches, "most", 2);
  }
  return result;
}
