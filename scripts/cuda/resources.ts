/** What ptxas says of the kernels, and how many of their warps a multiprocessor holds. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Of one kernel on one architecture. Bytes; shared memory is the static part. */
export interface Resources {
  file: string;
  kernel: string;
  /** 90 for sm_90. */
  architecture: number;
  registers: number;
  stack: number;
  spillStores: number;
  spillLoads: number;
  shared: number;
}

/** The architectures whose numbers are promised. */
export const architectures = [75, 80, 86, 89, 90, 100, 120] as const;

/** From a file's `ptxas -v`. Throws where something expected is missing: a changed format must not pass as "no spills". */
export function parsePtxas(file: string, architecture: number, text: string): Resources[] {
  const result: Resources[] = [];
  for (const part of text.split("Compiling entry function '").slice(1)) {
    const kernel = part.slice(0, part.indexOf("'"));
    const number = (pattern: RegExp, optional = false): number => {
      const found = pattern.exec(part);
      if (!found && !optional)
        throw new Error(`${file} for sm_${architecture}: ${kernel}: no ${pattern} in\n${part}`);
      return found ? Number(found[1]) : 0;
    };
    result.push({
      file,
      kernel,
      architecture,
      registers: number(/Used (\d+) registers/),
      stack: number(/(\d+) bytes stack frame/),
      spillStores: number(/(\d+) bytes spill stores/),
      spillLoads: number(/(\d+) bytes spill loads/),
      shared: number(/(\d+) bytes smem/, true),
    });
  }
  return result;
}

/** All that the build left in build/kernels for the .cu files that are there now. */
export function readResources(root: string): Resources[] {
  const made = join(root, "build", "kernels");
  const sources = kernelFiles(root);
  const logs = readdirSync(made).flatMap((name) => {
    const [, file, architecture] = /^(.+)\.sm_(\d+)\.cubin\.log$/.exec(name) ?? [];
    return file && sources.includes(file) ? [{ name, file, architecture: Number(architecture) }] : [];
  });
  return logs.flatMap(({ name, file, architecture }) =>
    parsePtxas(file, architecture, readFileSync(join(made, name), "utf8")),
  );
}

/** Names of native/kernels/*.cu without the ending. */
export const kernelFiles = (root: string): string[] =>
  readdirSync(join(root, "native", "kernels")).flatMap((name) =>
    name.endsWith(".cu") ? [name.slice(0, -3)] : [],
  );

/** Warps, blocks and bytes of shared memory of a multiprocessor (CUDA C++ Programming Guide, "Compute Capabilities"). */
const multiprocessors: Record<number, { warps: number; blocks: number; shared: number; reserved: number }> = {
  75: { warps: 32, blocks: 16, shared: 64 << 10, reserved: 0 },
  80: { warps: 64, blocks: 32, shared: 164 << 10, reserved: 1024 },
  86: { warps: 48, blocks: 16, shared: 100 << 10, reserved: 1024 },
  89: { warps: 48, blocks: 24, shared: 100 << 10, reserved: 1024 },
  90: { warps: 64, blocks: 32, shared: 228 << 10, reserved: 1024 },
  100: { warps: 64, blocks: 32, shared: 228 << 10, reserved: 1024 },
  120: { warps: 48, blocks: 24, shared: 100 << 10, reserved: 1024 },
};

/** The share of a multiprocessor's warps that blocks of this kernel fill: registers go by 256 to a warp, warps by four. */
export function occupancy(
  architecture: number,
  registers: number,
  threads: number,
  sharedBytes: number,
): number {
  const m = multiprocessors[architecture];
  if (!m) throw new Error(`no limits of sm_${architecture} are known`);
  const warps = Math.ceil(threads / 32);
  const perWarp = Math.ceil((registers * 32) / 256) * 256;
  const byRegisters = Math.floor((Math.floor(65536 / perWarp / 4) * 4) / warps);
  const shared = Math.ceil(sharedBytes / 128) * 128 + m.reserved;
  const byShared = shared > 0 ? Math.floor(m.shared / shared) : m.blocks;
  const blocks = Math.min(m.blocks, Math.floor(m.warps / warps), byRegisters, byShared);
  return (blocks * warps) / m.warps;
}
