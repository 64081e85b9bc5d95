/** What a `device` option means for models, and for translator and samplers. */
import { existsSync } from "node:fs";
import { checkDevice, deviceError, namedDevice } from "./devices.js";
import { Tr0nError } from "../base/errors.js";
import type { Decision } from "../base/decisions.js";
import { runJob } from "./job.js";
import { native } from "./binding.js";
import type { DeviceId, ModelDeviceId, NativeProviders } from "./types/devices.js";

/** How models run. */
export interface ModelPlace {
  readonly device: ModelDeviceId;
  /** Whether a GPU may round the factors of products for its tensor cores. */
  readonly tf32?: boolean;
  /** Accept that heavy nodes run on the CPU. */
  readonly allowFallback?: boolean;
  /** Bytes that a session's values may take. */
  readonly deviceMemory?: number | undefined;
  /** Bytes of this machine's memory that the values of all runs at once may take. */
  readonly memory?: number | undefined;
}

export const onCpu: ModelPlace = { device: "cpu" };

/** Where the parts of a Tr0n compute. */
export interface Placement {
  /** Translator and samplers. */
  readonly compute: DeviceId;
  /** Models that were not loaded with a device of their own. */
  readonly models: ModelDeviceId;
  /** What "auto" came to, where there is something to tell. */
  readonly told: Decision | null;
  /** Why models cannot run there, where they are asked to. */
  readonly problem: string | null;
}

/** Where systems show GPUs: looked at before anything is opened that could take time or write to the terminal. */
const gpuFiles = ["/dev/dri", "/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd"];

/** What runs models here. Looked up anew at every call: drivers come and go with the environment. */
export function modelProviders(signal?: AbortSignal): Promise<NativeProviders> {
  return runJob("looking for GPUs", signal, () => native().modelProviders());
}

/**
 * The devices that an option means.
 *
 * @param name what messages call the option
 * @throws Tr0nError ERR_DEVICE_UNAVAILABLE saying what was tried and why it does not do, ArgumentError for what is no device;
 *   AbortError
 */
export async function placement(name: string, value: unknown, signal?: AbortSignal): Promise<Placement> {
  const wanted = namedDevice(name, value);
  const compute = checkDevice(name, value);
  const alone = { compute, models: compute, told: null, problem: null };
  if (wanted === "cpu") return alone;
  if (wanted === "webgpu") {
    const { problem } = (await modelProviders(signal)).webgpu;
    return { ...alone, models: "webgpu", problem: problem && `"webgpu" cannot be used: ${problem}` };
  }
  if (wanted !== "auto") return { ...alone, problem: await cudaProblem(compute, signal) };
  if (compute === "cpu" && !gpuFiles.some((path) => existsSync(path))) return alone;
  const found = await modelProviders(signal);
  return { ...alone, ...chosenForModels(compute, await tried(found, compute, signal)) };
}

/** What is there, where it also works: nobody asked for it, so that a broken library must not end the call. */
async function tried(
  { runtime, webgpu, cuda }: NativeProviders,
  compute: DeviceId,
  signal: AbortSignal | undefined,
): Promise<NativeProviders> {
  const problem = (device: ModelDeviceId): Promise<string | null> =>
    runJob(`trying ${device}`, signal, () => native().tryModelDevice(device));
  const usable = compute !== "cpu" && cuda.problem === null;
  const cudaProblem = usable ? await problem(compute) : cuda.problem;
  const needed = webgpu.problem === null && !(usable && cudaProblem === null) && hardware(webgpu);
  const webgpuProblem = needed ? await problem("webgpu") : webgpu.problem;
  return {
    runtime,
    webgpu: { ...webgpu, problem: webgpuProblem },
    cuda: { ...cuda, problem: cudaProblem },
  };
}

function hardware({ adapters }: NativeProviders["webgpu"]): NativeProviders["webgpu"]["adapters"][0] | undefined {
  return adapters.find(({ software }) => !software);
}

/** Why models cannot run on a CUDA device; null where they can, as far as one sees without trying. */
async function cudaProblem(device: DeviceId, signal: AbortSignal | undefined): Promise<string | null> {
  const { problem } = (await modelProviders(signal)).cuda;
  return (
    problem &&
    `"${device}" cannot run models: ${problem}. Models stay on the CPU with loadModel(file, { device: "cpu" }), or ` +
      "--model-device cpu, while translator and samplers compute on the GPU"
  );
}

/**
 * What "auto" takes for models: CUDA, then WebGPU on real hardware, then the CPU. A software adapter would be slower than
 * the CPU's own code.
 *
 * @param compute what it is for translator and samplers
 * @internal
 */
export function chosenForModels(
  compute: DeviceId,
  { webgpu, cuda }: NativeProviders,
): Pick<Placement, "models" | "told"> {
  const adapter = hardware(webgpu);
  const [models, why]: [ModelDeviceId, string] =
    compute !== "cpu" && cuda.problem === null
      ? [compute, `ONNX Runtime's provider for it is there (${cuda.library})`]
      : webgpu.problem === null && adapter
        ? ["webgpu", `there is ${adapter.name}`]
        : ["cpu", "no other device can be used"];
  const others = [
    ...(models === compute && compute !== "cpu"
      ? []
      : [`not CUDA: ${compute === "cpu" ? "there is no such device" : cuda.problem}`]),
    ...(models === "cpu"
      ? [`not WebGPU: ${webgpu.problem ?? "its only adapters compute in software"}`]
      : []),
  ];
  const value = models === compute ? models : `${models} for models, ${compute} for translator and samplers`;
  return {
    models,
    told: { option: "device", value, reason: [why, ...others].join("; "), certain: true },
  };
}

/** @throws Tr0nError ERR_DEVICE_UNAVAILABLE where models are to run on a device that is not there */
export function requireForModels(name: string, { problem }: Placement): void {
  if (problem !== null) throw deviceError(name, new Tr0nError("ERR_DEVICE_UNAVAILABLE", problem));
}
