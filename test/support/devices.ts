/**
 * Tests that run on every device: the CPU, and a GPU. The GPU is the driver emulator of native/emulator, built once, or
 * the machine's own with TR0N_TEST_GPU=1. Importing this makes the emulator the driver of this process; "auto" never
 * chooses it.
 */
import { createRequire } from "node:module";
import { cudaInventory } from "../../lib/native/devices.js";
import { native } from "../../lib/native/binding.js";
import { buildEmulator, chooseEmulator, emulatorHooks, realGpu } from "./emulator-build.js";

export { emulatorLibrary, realGpu } from "./emulator-build.js";

/** The hooks of native/emulator/node. */
export interface Emulator {
  /** JSON: { count, violations: [{ kind, kernel, line, text, … }] } */
  report(): string;
  violations(): number;
  /** Allocations that are live. */
  leaks(): number;
  reset(): void;
  /** JSON: the bytes that copies moved since `reset`: { toDevice, toHost, withinDevice, peeked, poked }. */
  traffic(): string;
  /** The nth call from now of a driver function ("*": of any) returns a status; "@work": the nth work fails its GPU. */
  fail(pattern: string, nth: number, status: number, lasting: number): void;
  failNone(): void;
  calls(pattern: string): number;
  configure(name: string, value: number): number;
  /** Makes a mistake of synchronisation in the test provider, or no more (native/emulator/provider/provider.h). */
  plant(mistake: "own-stream" | "stray-copies" | "late-outputs", on: number): number;
  /** JSON of the test provider: { parts, nodes, runs, deferred, failure, left }. */
  provider(): string;
  /** Reads memory of the GPU as if it were the host's. */
  readAsHost(): number;
}

chooseEmulator();

let missing: string | undefined;
let hooks: Emulator | undefined;

// Before any test of this process: whoever asks for devices first opens the driver for good.
before(async function () {
  this.timeout(900_000);
  if (!realGpu) {
    missing = await buildEmulator();
    if (missing === undefined) hooks = createRequire(import.meta.url)(emulatorHooks) as Emulator;
  }
  const { problem, devices, kernels, images } = cudaInventory();
  missing ??= problem ?? devices[0]?.problem ?? undefined;
  if (Object.keys(images).length === 0)
    missing = `the addon has no CUDA kernels (${kernels}); they need nvcc, of NVIDIA's CUDA toolkit`;
});

/** The emulator's hooks; undefined on a real GPU. */
export function emulator(): Emulator | undefined {
  return hooks;
}

/** Skips the calling hook's suite, with a line that says why, where there is no GPU. */
export function requireGpu(context: Mocha.Context): void {
  if (missing === undefined) return;
  process.stdout.write(`      skipped: ${missing}\n`);
  context.skip();
}

const openGpus = (): number => native().counters().openGpus;

/** Resolves when no GPU is open in this process. */
export async function gpusClosed(): Promise<void> {
  for (let i = 0; i < 500 && openGpus() > 0; i++) {
    global.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** On the emulator: no kernel did anything wrong, no GPU is open and nothing is left on it. */
export async function checkEmulator(): Promise<void> {
  if (!hooks || missing !== undefined) return;
  if (hooks.violations() > 0) throw new Error(`the emulator reports ${hooks.report()}`);
  await gpusClosed();
  const open = openGpus();
  if (open > 0) throw new Error(`${open} GPU is still open: something was not disposed of`);
  if (hooks.leaks() > 0) throw new Error(`left on the device: ${hooks.report()}`);
}

/**
 * Defines a suite for every device. On the emulator it also asks, in the end, that no kernel did anything wrong and
 * that nothing is left on the device: `body` disposes of all it makes.
 */
export function onDevices(title: string, body: (device: "cpu" | "cuda") => void): void {
  for (const device of ["cpu", "cuda"] as const)
    describe(`${title} (${device === "cpu" ? "cpu" : realGpu ? "cuda" : "cuda, emulated"})`, () => {
      if (device === "cuda")
        before(function () {
          requireGpu(this);
          hooks?.reset();
        });
      body(device);
      // Behind the hooks of `body`, which dispose of what it made.
      if (device === "cuda") after(() => checkEmulator());
    });
}
