/**
 * Builds the native addon where none that loads is there yet. cmake-js drives CMakeLists.txt, the one truth of the
 * build; where CMake is missing, node-gyp (which npm carries) builds the same source list through binding.gyp.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const addon = join(root, "build", "Release", "tr0n.node");
const require = createRequire(import.meta.url);
/** A clone, where people work on tr0n, in contrast to an installed package. */
const checkout = existsSync(join(root, ".git"));

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  return result.error
    ? `${command}: ${result.error.message}`
    : result.status === 0
      ? null
      : `${command} ${args.join(" ")}: exit code ${result.status ?? result.signal}`;
}

/** Loads the addon in a child process: a broken binary must not take npm down with it. */
function loads() {
  return (
    existsSync(addon) && spawnSync(process.execPath, ["-e", `require(${JSON.stringify(addon)})`]).status === 0
  );
}

/** True where a file of the native sources is newer than the addon: a checkout that moved on. */
function stale() {
  return (
    spawnSync("find", ["native", "cmake", "CMakeLists.txt", "-newer", addon], {
      cwd: root,
      encoding: "utf8",
    }).stdout?.trim() !== ""
  );
}

function build() {
  const failures = [];
  const cmakeJs = join(dirname(require.resolve("cmake-js/package.json")), "bin", "cmake-js");
  if (spawnSync("cmake", ["--version"]).status === 0) {
    const compile = (...options) => run(process.execPath, [cmakeJs, "compile", ...options]);
    // A newer compiler's new warnings must not stop somebody's installation. Nor does it take the minutes of nvcc for
    // every architecture: the driver compiles the PTX that the package ships, once. TR0N_NVCC asks for machine code.
    const quick = !checkout && !process.env.TR0N_NVCC && existsSync(join(root, "prebuilt"));
    const failure = compile(
      ...(checkout ? [] : ["--CDTR0N_WERROR=OFF"]),
      ...(quick ? ["--CDTR0N_NVCC=OFF"] : []),
    );
    if (!failure) return [];
    failures.push(failure);
    // An nvcc that does not work with this compiler: without it there are still the CPU and prebuilt PTX.
    if (!checkout && !quick && !compile("--CDTR0N_WERROR=OFF", "--CDTR0N_NVCC=OFF")) {
      console.error("tr0n: built without nvcc, which failed (see above)");
      return [];
    }
  } else failures.push("cmake: not found (Debian: apt-get install cmake)");
  const nodeGyp = process.env.npm_config_node_gyp;
  if (nodeGyp) {
    const failure = run(process.execPath, [nodeGyp, "rebuild"]);
    if (!failure) return [];
    failures.push(failure);
  }
  return failures;
}

if (loads() && !(checkout && stale())) process.exit(0);
const failures = build();
if (failures.length === 0 && !loads()) failures.push(`${addon}: was built but does not load`);
if (failures.length > 0) {
  console.error(`tr0n: the native addon could not be built:\n  ${failures.join("\n  ")}`);
  console.error("It needs a C++17 compiler and CMake 3.15 or newer (Debian: apt-get install g++ cmake).");
  process.exit(1);
}
