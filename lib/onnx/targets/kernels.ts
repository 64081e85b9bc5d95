/** Which operators a target runs, as far as a table tells: what forms are chosen by, and what is told before anything runs. */
import { cudaKernels } from "./cuda-kernels.js";
import type { KernelTable } from "./kernel-table.js";
import type { Target } from "./target.js";
import { webgpuKernels } from "./webgpu-kernels.js";

type Ranges = ReadonlyMap<string, readonly (readonly [number, number])[]>;

function read({ operators }: KernelTable): Ranges {
  const ranges = new Map<string, [number, number][]>();
  for (const [sets, names] of Object.entries(operators)) {
    const [from, to] = sets.split("-").map(Number) as [number, number?];
    for (const name of names.split(" ")) {
      const list = ranges.get(name) ?? [];
      list.push([from, to ?? from]);
      ranges.set(name, list);
    }
  }
  return ranges;
}

const tables: Readonly<Record<Exclude<Target, "cpu">, Ranges>> = {
  cuda: read(cudaKernels),
  webgpu: read(webgpuKernels),
};

/** Operators for which the runtime itself puts others, on every target. */
const inlined = new Set(["CastLike"]);

/** What the table of a target is of. */
export function kernelsOf(target: Exclude<Target, "cpu">): string {
  return target === "cuda" ? cudaKernels.of : webgpuKernels.of;
}

/** Whether a target has a kernel for a standard operator in models of an operator set. Of the CPU everything is believed. */
export function hasKernel(target: Target, opType: string, opset: number): boolean {
  if (target === "cpu" || inlined.has(opType)) return true;
  return (tables[target].get(opType) ?? []).some(([from, to]) => opset >= from && opset <= to);
}

/** The operator sets in which a target runs an operator, such as "18–21"; "" for none. */
export function kernelSets(target: Exclude<Target, "cpu">, opType: string): string {
  return (tables[target].get(opType) ?? [])
    .map(([from, to]) => (from === to ? `${from}` : `${from}–${to}`))
    .join(", ");
}
