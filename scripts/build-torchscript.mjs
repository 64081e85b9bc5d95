/**
 * Builds the module that runs TorchScript: build/Release/tr0n_torchscript.so. It is no part of an installation, since
 * it needs libtorch:
 *
 *   npm run build:torchscript                    in tr0n's own folder
 *   npm explore tr0n -- npm run build:torchscript    where tr0n is installed
 *
 * libtorch is Debian's libtorch-dev; or what TR0N_LIBTORCH or CMAKE_PREFIX_PATH name (the folder of a PyTorch wheel or an
 * unpacked libtorch); or else the PyTorch that python3 imports.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const folder = join(root, "build", "torchscript");
const built = join(folder, "tr0n_torchscript.so");
const target = join(root, "build", "Release", "tr0n_torchscript.so");

function fail(message) {
  console.error(`build:torchscript: ${message}`);
  process.exit(1);
}

function cmake(args, environment = {}) {
  const env = { ...process.env, ...environment };
  return spawnSync("cmake", args, { cwd: root, stdio: "inherit", env }).status === 0;
}

/** The folder of the PyTorch that python3 imports; null where there is none. */
function pythonTorch() {
  const script = "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])";
  const { status, stdout } = spawnSync("python3", ["-c", script], { encoding: "utf8" });
  const path = status === 0 ? stdout.trim() : "";
  return existsSync(join(path, "share", "cmake", "Torch")) ? path : null;
}

/** Opens the module in a child process, through the addon: what it says of bytes that are no model. */
function problem() {
  const addon = join(root, "build", "Release", "tr0n.node");
  if (!existsSync(addon)) return null; // nothing to try it with; npm install builds it
  const script = `
    const addon = require(${JSON.stringify(addon)});
    addon.setTorchModule(${JSON.stringify(target)});
    addon.openTorchModel(Uint8Array.of(80, 75, 3, 4)).promise.catch(({ code, message }) => {
      if (code === "ERR_MODEL_INVALID") console.log("libtorch " + addon.torchVersion());
      else { console.error(message); process.exitCode = 1; }
    });`;
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ["-e", script], {
    encoding: "utf8",
  });
  if (status !== 0) return `the module was built but does not load: ${signal ?? stderr.trim()}`;
  console.log(`build:torchscript: ${target} (${stdout.trim()})`);
  return null;
}

if (spawnSync("cmake", ["--version"]).status !== 0)
  fail("CMake 3.15 or newer is needed (Debian: apt-get install cmake g++)");
mkdirSync(folder, { recursive: true });
const configure = ["-S", join("native", "torch"), "-B", folder, "-DCMAKE_BUILD_TYPE=Release"];
if (existsSync(join(root, ".git"))) configure.push("-DTR0N_WERROR=ON");
// Always afresh: CMake would keep to the libtorch that it found last time.
const forget = () => rmSync(join(folder, "CMakeCache.txt"), { force: true });
forget();
if (!cmake(configure)) {
  const torch = process.env.TR0N_LIBTORCH ? null : pythonTorch();
  forget();
  if (!torch || !cmake(configure, { TR0N_LIBTORCH: torch }))
    fail(
      "no libtorch that works was found. Install it (Debian: apt-get install libtorch-dev), or set TR0N_LIBTORCH to the " +
        'folder of an unpacked libtorch, or of PyTorch: python3 -c "import torch; print(torch.__path__[0])"',
    );
}
if (!cmake(["--build", folder, "--parallel", "2"])) fail("the compiler failed, see above");
mkdirSync(dirname(target), { recursive: true });
// Beside and renamed: a running process may have the old file mapped.
copyFileSync(built, `${target}.new`);
renameSync(`${target}.new`, target);
const found = problem();
if (found) fail(found);
