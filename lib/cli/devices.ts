import { devices } from "../native/devices.js";
import { native } from "../native/binding.js";
import { textTable } from "../base/text-table.js";
import type { Command } from "./command.js";

export const devicesCommand: Command = {
  name: "devices",
  summary: "Lists what tr0n can compute on.",
  usage: "",
  options: {},
  notes: "Nothing is opened but the CUDA driver. `tr0n doctor` tries every device.",
  run: async () => {
    const found = devices();
    const cuda = native().cudaInventory();
    const rows = found.map((device) => [
      device.id,
      device.name + (device.emulated ? " (emulated)" : ""),
      `${(device.memory / 2 ** 30).toFixed(1)} GiB`,
      device.computeCapability ?? (device.threads === null ? "" : `${device.threads} threads`),
    ]);
    const problems = found.filter((device) => device.problem !== null);
    return {
      json: { devices: found, cuda: { driver: cuda.driver, version: cuda.version, problem: cuda.problem } },
      text: [
        textTable(["device", "name", "memory", "capability"], rows),
        ...(cuda.problem === null ? [] : [`no CUDA device: ${cuda.problem}`]),
        ...problems.map((device) => `${device.id} cannot be used: ${device.problem}`),
      ].join("\n"),
    };
  },
};
