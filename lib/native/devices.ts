/** Devices: which there are, and what a `device` option means. */
import { cpus, totalmem } from "node:os";
import { Tr0nError } from "../base/errors.js";
import { checkOption } from "../options/check.js";
import { boolean, integer, option, text, words, type TypeOf } from "../options/describe.js";
import { callNative, runJob } from "./job.js";
import { native } from "./binding.js";
import type { DeviceId, NativeDevice, NativeInventory } from "./types/devices.js";

/**
 * Where to compute. "auto" is the first GPU that can be used, else the CPU, unless the environment variable TR0N_DEVICE
 * names another device. "cuda" is the first GPU of NVIDIA's that can be used: models, translator and samplers compute there.
 * "webgpu" is a GPU of any vendor, for models alone: translator and samplers compute on the CPU. A device that was asked for
 * and is not there is an error; the CPU never takes its place silently.
 */
export type Device = "auto" | "cpu" | "cuda" | `cuda:${number}` | "webgpu";

/** Where a translator by itself can compute. */
export type ComputeDevice = Exclude<Device, "webgpu">;

/** @internal */
export const precisions = words("fp32", "tf32");

/**
 * How a GPU multiplies matrices. "tf32" rounds the factors to 10 bits of mantissa, for tensor cores, and sums in float32.
 * The CPU, and a GPU without tensor cores, computes in float32 in either case.
 */
export type Precision = TypeOf<typeof precisions>;

/** @internal */
export const deviceOption = option(
  text<Device>(
    'a device: "auto", "cpu", "cuda", "cuda:N" or "webgpu"',
    /^(auto|cpu|cuda(:[0-9]{1,4})?|webgpu)$/,
    "Device",
  ),
  "where everything computes: cpu, cuda, cuda:N, webgpu or auto",
  {
    more:
      "Models that were loaded with a device of their own keep it. On webgpu the models run; translator and samplers " +
      "compute on the CPU.",
    default: "auto",
  },
);

/** @internal */
export const computeDeviceOption = option(
  text<ComputeDevice>(
    'a device: "auto", "cpu", "cuda" or "cuda:N"',
    /^(auto|cpu|cuda(:[0-9]{1,4})?)$/,
    "ComputeDevice",
  ),
  "where the translator computes: cpu, cuda, cuda:N or auto",
  { default: "auto" },
);

/** @internal */
export const allowFallbackOption = option(
  boolean(),
  "accept that operators which do a network's work run on the CPU where the device has no kernels for them",
  {
    more:
      "Each costs copies in every run. Without it such a model is refused with ERR_DEVICE_FALLBACK, which names the operators; " +
      "`tr0n inspect --device` tells before anything runs.",
    default: false,
  },
);

/** @internal */
export const deviceMemoryOption = option(
  integer({ min: 2 ** 20 }),
  "bytes of a CUDA device's memory that the values of a session may take",
  {
    more: "Each of a pipeline's sessions has its own. Other devices have no such limit.",
    otherwise: "what there is",
  },
);

/** @internal */
export const precisionOption = option(precisions, "how a GPU multiplies matrices", {
  default: "fp32",
});

/** Where a translator computes, and how. */
export interface Compute {
  readonly device: DeviceId;
  readonly precision: Precision;
}

export interface DeviceInfo {
  /** What to pass as `device`. */
  readonly id: DeviceId;
  readonly kind: "cpu" | "cuda";
  /** The name that the manufacturer gives the processor. */
  readonly name: string;
  /** Bytes of memory that this process may use. */
  readonly memory: number;
  /** Threads that tr0n computes with; null for a GPU. */
  readonly threads: number | null;
  /** "8.0" for an A100, …; null for a CPU. */
  readonly computeCapability: string | null;
  /** True for the emulator that the tests use. */
  readonly emulated: boolean;
  /** Why the device cannot be used; null where it can. */
  readonly problem: string | null;
}

/**
 * The devices of this machine; the CPU always comes first. Opens the CUDA driver, where there is one.
 *
 * @throws Tr0nError ERR_RUNTIME_MISSING when the native addon cannot be loaded.
 */
export function devices(): DeviceInfo[] {
  const cuda = cudaInventory();
  return [
    {
      id: "cpu",
      kind: "cpu",
      name: cpus()[0]?.model.trim() || process.arch,
      memory: memoryLimit(),
      threads: native().threads(),
      computeCapability: null,
      emulated: false,
      problem: null,
    },
    ...cuda.devices.map(({ id, name, memory, computeCapability, problem }) => ({
      id,
      kind: "cuda" as const,
      name,
      memory,
      threads: null,
      computeCapability,
      emulated: cuda.emulated,
      problem,
    })),
  ];
}

/** What the CUDA driver has, found without opening a device. */
export function cudaInventory(): NativeInventory {
  return callNative(() => native().deviceInventories()).find(({ kind }) => kind === "cuda")!;
}

/** Bytes this process may use: the machine's memory, or its control group's limit where that is smaller. */
export function memoryLimit(): number {
  const total = totalmem();
  const constrained = process.constrainedMemory?.() ?? 0;
  return constrained > 0 && constrained < total ? constrained : total;
}

/** What an option says, or TR0N_DEVICE where it leaves that open. @throws ArgumentError for what is no device */
export function namedDevice(name: string, value: unknown): Device {
  const given = checkOption(deviceOption, value, name);
  const named = checkOption(deviceOption, process.env["TR0N_DEVICE"] || undefined, "TR0N_DEVICE");
  return given === "auto" ? named : given;
}

/**
 * The device that an option means for translator and samplers.
 *
 * @throws Tr0nError ERR_DEVICE_UNAVAILABLE saying what was tried and why it does not do, ArgumentError for what is no device.
 */
export function checkDevice(name: string, value: unknown): DeviceId {
  const wanted = namedDevice(name, value);
  if (wanted === "cpu" || wanted === "webgpu") return "cpu";
  try {
    return callNative(() => native().resolveDevice(wanted));
  } catch (error) {
    throw deviceError(name, error);
  }
}

/** The error with the name of the option that asked for the device. */
export function deviceError(name: string, error: unknown): unknown {
  if (!(error instanceof Tr0nError && error.code === "ERR_DEVICE_UNAVAILABLE")) return error;
  return new Tr0nError(error.code, `${name}: ${error.message}; \`tr0n doctor\` tells more`, {
    cause: error,
  });
}

/** @throws ArgumentError */
export function checkPrecision(name: string, value: unknown): Precision {
  return checkOption(precisionOption, value, name);
}

/** Opens a device, which stays open until the result is disposed of. @throws Tr0nError ERR_DEVICE_UNAVAILABLE, AbortError */
export function openDevice(id: DeviceId, signal?: AbortSignal): Promise<NativeDevice> {
  return runJob(`opening ${id}`, signal, () => native().openDevice(id));
}
