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
  /** Bytes of its own memory as the driver tells them; null where that is the host's. */
  memory(): NativeJob<{ readonly free: number; readonly total: number } | null>;
  dispose(): void;
}

export type DeviceId = "cpu" | `cuda:${number}`;

/** Where models run. */
export type ModelDeviceId = DeviceId | "webgpu";

/** What runs models beside the CPU: execution providers of ONNX Runtime, found without opening a device. */
export interface NativeProviders {
  /** ONNX Runtime's version. */
  readonly runtime: string;
  readonly webgpu: {
    /** The library through which drivers are found. */
    readonly driver: string;
    /** Why it cannot be used, and what to install; null where it seems to be there. */
    readonly problem: string | null;
    readonly adapters: readonly {
      readonly name: string;
      /** The version of Vulkan that its driver has. */
      readonly vulkan: string;
      /** A CPU that computes as a GPU would. */
      readonly software: boolean;
    }[];
  };
  readonly cuda: {
    /** The provider's file. */
    readonly library: string;
    /** Named by TR0N_ORT_PROVIDER; else it belongs to ONNX Runtime. */
    readonly plugIn: boolean;
    /** Why it cannot be used, and what to install; null where it is there. */
    readonly problem: string | null;
  };
}

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
