/** What a machine has for tr0n, tried out: why something is not used, or does not work. */
import { existsSync } from "node:fs";
import { checkDevice, cudaInventory, devices, openDevice, type Device, type DeviceInfo } from "./devices.js";
import { Tr0nError } from "../base/errors.js";
import { runJob } from "./job.js";
import { native, torchModulePath } from "./binding.js";
import { modelProviders, placement } from "./placement.js";
import type { DeviceId, ModelDeviceId, NativeInventory, NativeProviders } from "./types/devices.js";

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
 * Looks at the CUDA driver, the kernels of this build, every GPU, ONNX Runtime with its providers for GPUs and the TorchScript
 * module, and runs a small kernel on each GPU.
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
  findings.push(...(await providerFindings(trials, signal)));
  const auto = attempt(() => checkDevice("TR0N_DEVICE", "auto"));
  findings.push(
    typeof auto === "string"
      ? { name: 'device "auto"', state: "ok", text: `is ${auto}${whyNoGpu(auto, cuda, trials)}` }
      : { name: 'device "auto"', state: "failed", text: auto.message },
  );
  const models = await attemptModels("TR0N_DEVICE", "auto", signal);
  findings.push({
    name: 'device "auto" for models',
    state: models.problem === null ? "ok" : "failed",
    text: models.problem ?? `is ${models.device}${models.reason}`,
  });
  if (wanted !== undefined) {
    const found = attempt(() => checkDevice("device", wanted));
    const problem =
      typeof found === "string" ? trials.find((trial) => trial.device.id === found)?.problem : found.message;
    findings.push({
      name: `device ${JSON.stringify(wanted)}`,
      state: problem ? "failed" : "ok",
      text: problem ?? `is ${found as DeviceId} for translator and samplers`,
    });
    if (!problem && wanted !== "cpu") {
      const placed = await attemptModels("device", wanted, signal);
      findings.push({
        name: `device ${JSON.stringify(wanted)} for models`,
        state: placed.problem === null ? "ok" : "failed",
        text: placed.problem ?? `is ${placed.device}`,
      });
    }
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

/** What runs models beside the CPU, each opened where it is there. */
async function providerFindings(
  trials: readonly DeviceTrial[],
  signal: AbortSignal | undefined,
): Promise<Finding[]> {
  let found: NativeProviders;
  try {
    found = await modelProviders(signal);
  } catch (error) {
    if (!(error instanceof Tr0nError) || error.code === "ERR_ABORTED") throw error;
    return []; // there is no ONNX Runtime, which is said elsewhere
  }
  const { webgpu, cuda } = found;
  const adapters = webgpu.adapters
    .map(({ name, vulkan, software }) => `${name} (${software ? "software" : "hardware"}, Vulkan ${vulkan})`)
    .join(", ");
  const webgpuName = "models on WebGPU";
  const gpu = trials.find(({ problem }) => problem === null)?.device.id;
  const cudaName = `models on CUDA${cuda.plugIn ? ", by a plug-in" : ""}`;
  return [
    webgpu.problem === null
      ? await tryProvider(webgpuName, "webgpu", `${webgpu.driver}: ${adapters}`, signal)
      : missing(webgpuName, webgpu.problem),
    cuda.problem !== null
      ? missing(cudaName, cuda.problem)
      : gpu === undefined
        ? missing(cudaName, `${cuda.library} is there, but no CUDA device that can be used`)
        : await tryProvider(cudaName, gpu, `${cuda.library}, on ${gpu}`, signal),
  ];
}

async function tryProvider(
  name: string,
  device: ModelDeviceId,
  what: string,
  signal: AbortSignal | undefined,
): Promise<Finding> {
  const problem = await runJob(name, signal, () => native().tryModelDevice(device));
  return problem === null
    ? { name, state: "ok", text: what }
    : { name, state: "failed", text: `${what}: ${problem}` };
}

/** What a device's name means for models. */
async function attemptModels(
  name: string,
  wanted: Device,
  signal: AbortSignal | undefined,
): Promise<{ device: ModelDeviceId; reason: string; problem: string | null }> {
  try {
    const { models, told, problem } = await placement(name, wanted, signal);
    return { device: models, reason: told === null ? "" : `: ${told.reason}`, problem };
  } catch (error) {
    if (!(error instanceof Tr0nError) || error.code === "ERR_ABORTED") throw error;
    return { device: "cpu", reason: "", problem: error.message };
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
