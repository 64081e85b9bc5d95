import { textTable } from "../base/text-table.js";
import { diagnose, inventory, type Inventory } from "../native/doctor.js";
import type { Command } from "./command.js";
import { deviceOptions, readDevice } from "./models.js";

export const doctorCommand: Command = {
  name: "doctor",
  summary: "Lists and tries what tr0n computes with, and says why a GPU is not used.",
  usage: "[--device cuda]",
  options: {
    device: { ...deviceOptions["device"]!, help: "a device that must work: cpu, cuda, cuda:N or webgpu" },
  },
  notes:
    "Looks for the CUDA driver (TR0N_CUDA_DRIVER names another library), opens every GPU, loads all kernels and runs one; " +
    "opens ONNX Runtime, what runs models on GPUs (WebGPU, CUDA) and the TorchScript module. Exit code 0: what is there works, and so does the device that was " +
    "asked for. 1: something is there and does not work.",
  run: async (args, { signal }) => {
    const { device } = readDevice(args);
    const found = await diagnose(device, signal);
    const findings = found.findings.map(({ name, state, text }) => `${state.padEnd(7)}  ${name}: ${text}`);
    return {
      json: found,
      text: [deviceTable(found), "", ...findings].join("\n"),
      failed: !found.healthy,
    };
  },
};

/** The part of `doctor` that opens no device. */
export const devicesCommand: Command = {
  name: "devices",
  summary: "Lists what tr0n can compute on: the first part of `tr0n doctor`.",
  usage: "",
  options: {},
  notes: "Opens only the CUDA driver. `tr0n doctor` tries every device.",
  run: async () => {
    const found = inventory();
    const { driver, version, problem } = found.cuda;
    const problems = found.devices.filter((device) => device.problem !== null);
    return {
      json: { devices: found.devices, cuda: { driver, version, problem } },
      text: [
        deviceTable(found),
        ...(problem === null ? [] : [`no CUDA device: ${problem}`]),
        ...problems.map((device) => `${device.id} cannot be used: ${device.problem}`),
      ].join("\n"),
    };
  },
};

function deviceTable({ devices }: Inventory): string {
  const rows = devices.map((device) => [
    device.id,
    device.name + (device.emulated ? " (emulated)" : ""),
    `${(device.memory / 2 ** 30).toFixed(1)} GiB`,
    device.computeCapability ?? (device.threads === null ? "" : `${device.threads} threads`),
  ]);
  return textTable(["device", "name", "memory", "capability"], rows);
}
