/** Where a graph is to run. Graphs are forms of one function; which form is best, and which runs at all, depends on it. */

/** The targets that forms are known for, by the runtime's providers. */
export const targets = ["cpu", "cuda", "webgpu"] as const;

export type Target = (typeof targets)[number];

/** The target of a device by its name, such as "cuda:1". */
export function targetOf(device: string): Target {
  const name = device.split(":")[0]!;
  return targets.find((target) => target === name) ?? "cpu";
}
