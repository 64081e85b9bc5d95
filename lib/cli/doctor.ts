import { diagnose } from "../native/doctor.js";
import type { Command } from "./command.js";
import { deviceOptions, readDevice } from "./models.js";

export const doctorCommand: Command = {
  name: "doctor",
  summary: "Tries what tr0n computes with, and says why a GPU is not used.",
  usage: "[--device cuda]",
  options: { device: { ...deviceOptions.device, help: "a device that must work: cpu, cuda or cuda:N" } },
  notes:
    "Looks for the CUDA driver (TR0N_CUDA_DRIVER names another library), opens every GPU, loads all kernels and runs one; " +
    "opens ONNX Runtime and the TorchScript module. Exit code 0: what is there works, and so does the device that was " +
    "asked for. 1: something is there and does not work.",
  run: async (args, { signal }) => {
    const { device } = readDevice(args);
    const found = await diagnose(device, signal);
    return {
      json: found,
      text: found.findings.map(({ name, state, text }) => `${state.padEnd(7)}  ${name}: ${text}`).join("\n"),
      failed: !found.healthy,
    };
  },
};
