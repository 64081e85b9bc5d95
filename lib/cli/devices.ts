import { devices } from "../devices.js";
import { textTable } from "../table.js";
import type { Command } from "./command.js";

export const devicesCommand: Command = {
  name: "devices",
  summary: "Lists what tr0n can compute on.",
  usage: "",
  options: {},
  run: async () => {
    const found = devices();
    const rows = found.map((device) => [
      device.id,
      device.name + (device.emulated ? " (emulated)" : ""),
      `${(device.memory / 2 ** 30).toFixed(1)} GiB`,
      device.computeCapability ?? (device.threads === null ? "" : `${device.threads} threads`),
    ]);
    return { json: { devices: found }, text: textTable(["device", "name", "memory", "capability"], rows) };
  },
};
