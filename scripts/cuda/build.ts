/** Builds what the CUDA scripts run: the emulator, the native self-test and the profile. */
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));
export const emulator = join(root, "build", "Release", "libtr0n_cuda_emulator.so");
export const selftest = join(root, "build", "selftest", "cuda-selftest");
export const profiler = join(root, "build", "selftest", "cuda-profile");

export function need(program: string, remedy: string): void {
  if (spawnSync(program, ["--version"]).status === 0) return;
  process.stderr.write(`${program} is missing: ${remedy}\n`);
  process.exit(2);
}

/** What cmake says goes to stderr: stdout is the script's own. */
function cmake(...args: string[]): void {
  execFileSync("cmake", args, { cwd: root, stdio: ["ignore", 2, 2] });
}

export function build(): void {
  need("cmake", "Debian: apt-get install cmake g++");
  need("nvcc", "it comes with NVIDIA's CUDA toolkit, https://developer.nvidia.com/cuda-downloads");
  cmake("-S", join("native", "emulator"), "-B", join("build", "emulator"));
  cmake("--build", join("build", "emulator"), "--parallel", "2", "--target", "tr0n_cuda_emulator");
  const folder = join("build", "selftest");
  // PTX alone: machine code is nothing that the emulator runs.
  cmake("-S", join("native", "selftest"), "-B", folder, "-DTR0N_WERROR=ON", "-DTR0N_CUDA_ARCHITECTURES=");
  cmake("--build", folder, "--parallel", "2");
}

/** Machine code for every architecture that nvcc knows, with warnings as errors, and ptxas's word on each. */
export function buildImages(): void {
  const folder = join("build", "images");
  cmake("-S", join("native", "selftest"), "-B", folder, "-DTR0N_CUDA_ARCHITECTURES=all");
  cmake("--build", folder, "--parallel", "2", "--target", "tr0n_cuda_images");
}
