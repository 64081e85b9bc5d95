/** Builds the driver emulator for the tests. */
import { join } from "node:path";
import { packageRoot } from "../../lib/native/binding.js";
import { finish } from "./process.js";

export const realGpu = Boolean(process.env["TR0N_TEST_GPU"]);
export const emulatorLibrary = join(packageRoot, "build", "Release", "libtr0n_cuda_emulator.so");
/** ONNX Runtime's execution provider on the emulated GPU (native/emulator/provider). */
export const testProvider = join(packageRoot, "build", "Release", "libtr0n_test_provider.so");
export const emulatorHooks = join(packageRoot, "build", "Release", "tr0n_emulator_hooks.node");

/** Set where it was built before this process began. */
const built = "TR0N_TEST_EMULATOR_BUILT";

/** For this process and those that it starts: the emulator is the driver, its provider runs models, and the default is the CPU. */
export function chooseEmulator(): void {
  if (!realGpu) {
    process.env["TR0N_CUDA_DRIVER"] = emulatorLibrary;
    process.env["TR0N_ORT_PROVIDER"] = testProvider;
  }
  process.env["TR0N_DEVICE"] ??= "cpu";
}

/** Why there is none, where that does not work. */
export async function buildEmulator(): Promise<string | undefined> {
  if (process.env[built] !== undefined) return process.env[built] || undefined;
  if ((await finish("cmake", ["--version"]).catch(() => null))?.code !== 0)
    return "CMake is missing (Debian: apt-get install cmake)";
  const folder = join("build", "emulator");
  for (const step of [
    ["-S", join("native", "emulator"), "-B", folder],
    [
      "--build",
      folder,
      "--parallel",
      "2",
      "--target",
      "tr0n_cuda_emulator",
      "tr0n_test_provider",
      "tr0n_emulator_hooks",
    ],
  ]) {
    const { code, stdout, stderr } = await finish("cmake", step, { cwd: packageRoot, timeout: 800_000 });
    if (code !== 0) throw new Error(`cmake ${step.join(" ")}: ${stdout}${stderr}`);
  }
  return undefined;
}

/** Before processes start that would otherwise each build the same folder, at the same time. */
export async function buildForChildren(): Promise<void> {
  process.env[built] = realGpu ? "" : ((await buildEmulator()) ?? "");
  chooseEmulator();
}
