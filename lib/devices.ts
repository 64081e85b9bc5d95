import { cpus, totalmem } from "node:os";
import { native } from "./native.js";

/** Where to compute. "auto" is the best device there is; a CUDA device that is not there is an error, never a silent CPU. */
export type Device = "auto" | "cpu" | "cuda" | `cuda:${number}`;

export interface DeviceInfo {
  /** What to pass as `device`. */
  readonly id: "cpu" | `cuda:${number}`;
  readonly kind: "cpu" | "cuda";
  /** The maker's name of the processor. */
  readonly name: string;
  /** Bytes of memory that this process may use. */
  readonly memory: number;
  /** Threads that tr0n computes with; null on a GPU. */
  readonly threads: number | null;
  /** "8.0" for an A100, …; null for a CPU. */
  readonly computeCapability: string | null;
  /** True for the emulator that the tests use. */
  readonly emulated: boolean;
}

/**
 * The devices of this machine; the CPU always comes first.
 *
 * @throws Tr0nError ERR_RUNTIME_MISSING when the native addon cannot be loaded.
 */
export function devices(): DeviceInfo[] {
  return [
    {
      id: "cpu",
      kind: "cpu",
      name: cpus()[0]?.model.trim() || process.arch,
      memory: memoryLimit(),
      threads: native().threads(),
      computeCapability: null,
      emulated: false,
    },
  ];
}

/** Bytes this process may use: the machine's memory, or its control group's limit where that is smaller. */
export function memoryLimit(): number {
  const total = totalmem();
  const constrained = process.constrainedMemory?.() ?? 0;
  return constrained > 0 && constrained < total ? constrained : total;
}
