/**
 * prebuilt/: the CUDA kernels as PTX, which the npm package ships, so that a user with a driver and no nvcc has the GPU.
 * Every kernel goes through ptxas first, for the two architectures that the PTX is for.
 *
 *   npm run prebuilt:ptx
 *
 * With --optional (as npm pack runs it) a machine without nvcc is no failure, but it says so.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const optional = process.argv.includes("--optional");

function give(up) {
  console.error(`prebuilt:ptx: ${up}`);
  process.exit(optional ? 0 : 1);
}
function cmake(...args) {
  // npm pack --json prints JSON: what CMake says goes to stderr.
  const { status } = spawnSync("cmake", args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (status === 0) return;
  console.error(`prebuilt:ptx: cmake ${args.join(" ")} failed, see above`);
  process.exit(1);
}

if (spawnSync("cmake", ["--version"]).status !== 0) give("CMake is missing (Debian: apt-get install cmake)");

const folder = join("build", "prebuilt");
cmake("-S", "cmake", "-B", folder, "-DTR0N_CUDA_ARCHITECTURES=75;80");
const cache = readFileSync(join(root, folder, "CMakeCache.txt"), "utf8");
if (!/^TR0N_NVCC:\w+=(?!OFF$|.*NOTFOUND$)./m.test(cache))
  give("nvcc is missing, of NVIDIA's CUDA toolkit: what is packed here has no CUDA kernels");
cmake("--build", folder, "--parallel", "2", "--target", "tr0n_cuda_images");

const names = readdirSync(join(root, "native", "kernels"))
  .filter((file) => file.endsWith(".cu"))
  .map((file) => file.slice(0, -".cu".length));
const target = join(root, "prebuilt");
rmSync(target, { recursive: true, force: true });
mkdirSync(target);
for (const name of names)
  for (const architecture of [75, 80]) {
    const file = `${name}.compute_${architecture}.ptx`;
    const made = join(root, "build", "kernels", file);
    if (!existsSync(made)) throw new Error(`${made} was not made`);
    copyFileSync(made, join(target, file));
  }
console.error(`prebuilt:ptx: ${2 * names.length} files in prebuilt/`);
