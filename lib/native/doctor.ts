/** What a machine has for tr0n, tried out: why something is not used, or does not work. */
import { existsSync } from "node:fs";
import { checkDevice, cudaInventory, devices, openDevice, type Device, type DeviceInfo } from "./devices.js";
import { Tr0nError } from "../base/errors.js";
import { runJob } from "./job.js";
import { native, torchModulePath } from "./binding.js";
import type { DeviceId, NativeInventory } from "./types/devices.js";

/** One thing that was looked at. */
interface Finding {
  readonly name: string;
  /** "missing" is no failure: tr0n does without. */
  readonly state: "ok" | "missing" | "failed";
  readonly text: string;
}

/** What a GPU was found to do. */
interface DeviceTrial {
  readonly device: DeviceInfo;
  /** Seconds for opening it, loading every kernel and running one. */
  readonly seconds: number | null;
  /** The image that is loaded, by .cu file: "sm_89" or "compute_80 (PTX)". */
  readonly images: Readonly<Record<string, string>>;
  /** Why it does not work; null where it does. */
  readonly problem: string | null;
}

/** What is there, before anything is opened but the CUDA driver. */
export interface Inventory {
  readonly devices: readonly DeviceInfo[];
  readonly cuda: NativeInventory;
}

interface Diagnosis extends Inventory {
  readonly findings: readonly Finding[];
  /** What "auto" is here. */
  readonly auto: DeviceId;
  readonly trials: readonly DeviceTrial[];
  /** Whether everything that is there works, and the device that was asked about can be used. */
  readonly healthy: boolean;
}

/** @throws Tr0nError ERR_RUNTIME_MISSING */
export function inventory(): Inventory {
  return { devices: devices(), cuda: cudaInventory() };
}

/**
 * Looks at the CUDA driver, the kernels of this build, every GPU, ONNX Runtime and the TorchScript module, and runs a
 * small kernel on each GPU.
 *
 * @param wanted a device that must be usable
 * @throws AbortError
 */
export async function diagnose(wanted?: Device, signal?: AbortSignal): Promise<Diagnosis> {
  const { devices, cuda } = inventory();
  const trials: DeviceTrial[] = [];
  for (const device of devices) if (device.kind === "cuda") trials.push(await tryDevice(device, signal));
  const findings = [
    driverFinding(cuda),
    kernelFinding(cuda),
    ...trials.map(trialFinding),
    await runtimeFinding("ONNX Runtime", () => native().openOnnxRuntime(), signal),
    existsSync(torchModulePath())
      ? await runtimeFinding("TorchScript", () => native().openTorch(), signal)
      : missing("TorchScript", `${torchModulePath()} is not there: npm run build:torchscript makes it`),
  ];
  const auto = attempt(() => checkDevice("TR0N_DEVICE", "auto"));
  findings.push(
    typeof auto === "string"
      ? { name: 'device "auto"', state: "ok", text: `is ${auto}${whyNoGpu(auto, cuda, trials)}` }
      : { name: 'device "auto"', state: "failed", text: auto.message },
  );
  if (wanted !== undefined) {
    const found = attempt(() => checkDevice("device", wanted));
    const problem =
      typeof found === "string" ? trials.find((trial) => trial.device.id === found)?.problem : found.message;
    findings.push({
      name: `device ${JSON.stringify(wanted)}`,
      state: problem ? "failed" : "ok",
      text: problem ?? `is ${found as DeviceId}`,
    });
  }
  return {
    findings,
    auto: typeof auto === "string" ? auto : "cpu",
    devices,
    cuda,
    trials,
    healthy: findings.every((finding) => finding.state !== "failed"),
  };
}

async function tryDevice(device: DeviceInfo, signal: AbortSignal | undefined): Promise<DeviceTrial> {
  const failed = (problem: string): DeviceTrial => ({ device, seconds: null, images: {}, problem });
  if (device.problem !== null) return failed(device.problem);
  const started = performance.now();
  try {
    const opened = await openDevice(device.id, signal);
    try {
      const found = await runJob("the probe", signal, () => opened.probe());
      const seconds = (performance.now() - started) / 1000;
      return { device, seconds, images: found?.images ?? {}, problem: null };
    } finally {
      opened.dispose();
    }
  } catch (error) {
    if (!(error instanceof Tr0nError) || error.code === "ERR_ABORTED") throw error;
    return failed(error.message);
  }
}

function driverFinding(cuda: NativeInventory): Finding {
  const name = "CUDA driver";
  if (cuda.version === null) return missing(name, cuda.problem ?? "there is none");
  const text = `${cuda.driver}, CUDA ${cuda.version}${cuda.emulated ? ", emulated" : ""}`;
  return cuda.problem === null
    ? { name, state: "ok", text }
    : { name, state: "failed", text: `${text}: ${cuda.problem}` };
}

function kernelFinding(cuda: NativeInventory): Finding {
  const name = "CUDA kernels";
  const files = Object.entries(cuda.images);
  if (files.length === 0) return missing(name, `this build has none: ${cuda.kernels}`);
  const images = [...new Set(files.flatMap(([, list]) => list))];
  return { name, state: "ok", text: `${cuda.kernels}, ${files.length} files: ${images.join(", ")}` };
}

function trialFinding({ device, seconds, images, problem }: DeviceTrial): Finding {
  const what = `${device.name}, capability ${device.computeCapability}, ${(device.memory / 2 ** 30).toFixed(1)} GiB`;
  if (problem !== null) return { name: device.id, state: "failed", text: `${what}: ${problem}` };
  const loaded = [...new Set(Object.values(images))].join(", ");
  return {
    name: device.id,
    state: "ok",
    text: `${what}; all kernels loaded (${loaded}) and one checked in ${seconds!.toFixed(2)} s`,
  };
}

async function runtimeFinding(
  name: string,
  open: Parameters<typeof runJob<string>>[2],
  signal: AbortSignal | undefined,
): Promise<Finding> {
  try {
    return { name, state: "ok", text: await runJob(name, signal, open) };
  } catch (error) {
    if (!(error instanceof Tr0nError) || error.code === "ERR_ABORTED") throw error;
    return { name, state: "failed", text: error.message };
  }
}

function whyNoGpu(auto: DeviceId, cuda: NativeInventory, trials: readonly DeviceTrial[]): string {
  if (auto !== "cpu") return "";
  if (process.env["TR0N_DEVICE"] === "cpu") return ": TR0N_DEVICE says so";
  if (cuda.problem !== null) return ": there is no CUDA device";
  if (cuda.emulated) return ": an emulated GPU is never chosen by itself";
  return trials.length > 0 ? ": no GPU can be used" : "";
}

function missing(name: string, text: string): Finding {
  return { name, state: "missing", text };
}

function attempt(body: () => DeviceId): DeviceId | Tr0nError {
  try {
    return body();
  } catch (error) {
    if (error instanceof Tr0nError) return error;
    throw error;
  }
}
