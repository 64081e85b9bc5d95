/** The devices that models of an objective run on are tried when it is made, and stay open as long as it. */
import { openingStage } from "../base/opening.js";
import { deviceError } from "../native/devices.js";
import { onCpu } from "../native/placement.js";
import { runJob } from "../native/job.js";
import type { NativeSession } from "../native/types/models.js";
import type { ModelDeviceId } from "../native/types/devices.js";
import { OnnxModel, type LoadedModel } from "../model/model.js";
import { openGraph } from "../model/weights.js";
import { Builder, DataType, emptyGraph, type Graph } from "../onnx/index.js";
import type { ObjectiveOptions } from "./options.js";

type Models = Pick<ObjectiveOptions, "generator" | "encoder" | "pairEncoder" | "place">;

/** The devices beside the CPU that models run on. */
export function devicesOf({ generator, encoder, pairEncoder, place = onCpu }: Models): ModelDeviceId[] {
  const models: readonly unknown[] = [generator, encoder, pairEncoder];
  const used = models
    .filter((model): model is OnnxModel => model instanceof OnnxModel)
    .map((model) => model.device ?? place.device);
  return [...new Set(used)].filter((device) => device !== "cpu");
}

/** Whether one of the models runs where the Tr0n does. */
export function followsPlace(models: readonly (LoadedModel | undefined)[]): boolean {
  return models.some((model) => model instanceof OnnxModel && model.device === null);
}

/**
 * A device that is open and has computed something. Its runtime keeps what it has compiled as long as there is a session.
 *
 * @throws Tr0nError ERR_DEVICE_UNAVAILABLE
 */
export async function holdDevice(
  device: ModelDeviceId,
  { place, onOpening, signal }: Pick<ObjectiveOptions, "place" | "onOpening" | "signal">,
): Promise<NativeSession> {
  const step = openingStage(onOpening, device, 1);
  try {
    const session = await openGraph(doubling(), {
      ...{ threads: 1, name: `the device ${device}`, what: `opening ${device}`, signal },
      place: { ...place, device },
    });
    const x = { data: Float32Array.of(1), shape: [1] };
    await runJob(`opening ${device}`, signal, () => session.run({ x }));
    step();
    return session;
  } catch (error) {
    throw deviceError("device", error);
  }
}

function doubling(): Graph {
  const b = new Builder(emptyGraph("tr0n_device"));
  const x = b.input("x", DataType.FLOAT, ["batch"]);
  b.output("y", b.op("Add", [x, x]));
  return b.graph;
}
