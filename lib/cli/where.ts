/** Where a command computed, for people and for machines. */
import type { Tr0n } from "../tr0n/tr0n.js";

export type Where = Pick<Tr0n, "device" | "modelDevice">;

export function whereOf({ device, modelDevice }: Tr0n): Where {
  return { device, modelDevice };
}

/** "cuda:0", or "cpu, models on webgpu". */
export function deviceText({ device, modelDevice }: Where): string {
  return device === modelDevice ? device : `${device}, models on ${modelDevice}`;
}
