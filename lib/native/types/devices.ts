/** Devices as the addon knows them. */
import type { NativeJob } from "./values.js";

/** A device that is kept open. */
export interface NativeDevice {
  readonly id: DeviceId;
  /** Loads every kernel and runs one; null for the CPU. */
  probe(): NativeJob<{
    readonly kernels: number;
    /** By file: "sm_89" or "compute_80 (PTX)". */
    readonly images: Readonly<Record<string, string>>;
  } | null>;
  dispose(): void;
}

export type DeviceId = "cpu" | `cuda:${number}`;

/** What there is of a kind of device, found without opening one. */
export interface NativeInventory {
  readonly kind: "cuda";
  /** The driver's library. */
  readonly driver: string;
  /** The newest CUDA that the driver supports, "13.0"; null where there is no driver. */
  readonly version: string | null;
  /** Why there is no device; null where there is one. */
  readonly problem: string | null;
  readonly emulated: boolean;
  readonly devices: readonly {
    readonly id: `cuda:${number}`;
    readonly name: string;
    /** Bytes. */
    readonly memory: number;
    readonly computeCapability: string;
    readonly multiprocessors: number;
    /** Why it cannot be used; null where it can. */
    readonly problem: string | null;
  }[];
  /** How the kernels of this build were made, or why there are none. */
  readonly kernels: string;
  /** Embedded images by file. */
  readonly images: Readonly<Record<string, readonly string[]>>;
}
