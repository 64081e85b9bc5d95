/** What tests of the CUDA kernels build and run without a GPU. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { packageRoot } from "../../lib/native/binding.js";
import { finish } from "./process.js";

export const emulator = join(packageRoot, "build", "Release", "libtr0n_cuda_emulator.so");
export const selftest = join(packageRoot, "build", "selftest", "cuda-selftest");
export const profiler = join(packageRoot, "build", "selftest", "cuda-profile");

const remedies = {
  cmake: "CMake is missing (Debian: apt-get install cmake)",
  nvcc: "nvcc is missing (it comes with NVIDIA's CUDA toolkit, https://developer.nvidia.com/cuda-downloads)",
};

/** What to say of the first of these programs that is not there; null where all are. */
export async function missing(...programs: (keyof typeof remedies)[]): Promise<string | null> {
  for (const program of programs) {
    const found = await finish(program, ["--version"]).catch(() => null);
    if (found?.code !== 0) return remedies[program];
  }
  return null;
}

/** Skips the test or the suite, saying why, where one of these programs is not there. */
export async function need(context: Mocha.Context, ...programs: (keyof typeof remedies)[]): Promise<void> {
  const reason = await missing(...programs);
  if (!reason) return;
  process.stdout.write(`      skipped: ${reason}\n`);
  context.skip();
}

async function cmake(...args: string[]): Promise<void> {
  const { code, stdout, stderr } = await finish("cmake", args, { cwd: packageRoot, timeout: 800_000 });
  assert.equal(code, 0, stdout + stderr);
}

export async function buildEmulator(): Promise<void> {
  await cmake("-S", join("native", "emulator"), "-B", join("build", "emulator"));
  await cmake("--build", join("build", "emulator"), "--parallel", "2", "--target", "tr0n_cuda_emulator");
}

/** The self-test and the profile with PTX alone: machine code is nothing that the emulator runs. */
export async function buildSelftest(): Promise<void> {
  const folder = join("build", "selftest");
  await cmake(
    "-S",
    join("native", "selftest"),
    "-B",
    folder,
    "-DTR0N_WERROR=ON",
    "-DTR0N_CUDA_ARCHITECTURES=",
  );
  await cmake("--build", folder, "--parallel", "2");
}

/** Machine code for every architecture that nvcc knows, in build/kernels, which all builds share. */
export async function buildImages(): Promise<void> {
  const folder = join("build", "images");
  await cmake("-S", join("native", "selftest"), "-B", folder, "-DTR0N_CUDA_ARCHITECTURES=all");
  await cmake("--build", folder, "--parallel", "2", "--target", "tr0n_cuda_images");
}
