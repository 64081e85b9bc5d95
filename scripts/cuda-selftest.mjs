/**
 * Builds the native self-test, build/selftest/cuda-selftest, and runs it: every CUDA kernel against the CPU's and float64,
 * on the GPU of this machine. The first thing to run on a new one.
 *
 *   npm run cuda:selftest
 *   npm run cuda:selftest -- --quick --filter linear
 *   npm run cuda:selftest -- --emulator --quick   without a GPU: on the driver emulator, which is built too
 *
 * Needs a checkout, for the npm package has no tests; CMake and a C++ compiler; and nvcc, or the PTX of that package in prebuilt/.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const folder = join("build", "selftest");
const args = process.argv.slice(2).filter((argument) => argument !== "--emulator");
const emulated = process.argv.includes("--emulator");
const env = { ...process.env };

function cmake(...options) {
  // What it says on the way goes to stderr: stdout is the self-test's own, which --json makes JSON.
  const { status } = spawnSync("cmake", options, { cwd: root, stdio: ["ignore", 2, 2] });
  if (status === 0) return;
  console.error(`cuda:selftest: cmake ${options.join(" ")} failed, see above`);
  process.exit(2);
}

if (spawnSync("cmake", ["--version"]).status !== 0) {
  console.error(
    "cuda:selftest: CMake 3.15 or newer and a C++ compiler are needed (Debian: apt-get install cmake g++)",
  );
  process.exit(2);
}
if (emulated) {
  cmake("-S", join("native", "emulator"), "-B", join("build", "emulator"));
  cmake("--build", join("build", "emulator"), "--parallel", "2", "--target", "tr0n_cuda_emulator");
  env.TR0N_CUDA_DRIVER = join(root, "build", "Release", "libtr0n_cuda_emulator.so");
}
cmake(
  "-S",
  join("native", "selftest"),
  "-B",
  folder,
  `-DTR0N_WERROR=${existsSync(join(root, ".git")) ? "ON" : "OFF"}`,
);
cmake("--build", folder, "--parallel", "2");
const { status, signal } = spawnSync(join(root, folder, "cuda-selftest"), args, { stdio: "inherit", env });
if (signal) console.error(`cuda:selftest: ended by ${signal}`);
process.exit(status ?? 1);
