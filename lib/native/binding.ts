/** The only file that loads the addon, and ONNX Runtime's and libtorch's places. */
import { createRequire } from "node:module";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";
import { Tr0nError } from "../base/errors.js";
import type { NativeBinding } from "./types/addon.js";

// Some bundlers have a name without a folder for it.
const here = resolve(typeof __filename === "string" ? __filename : fileURLToPath(import.meta.url));
const requireHere = createRequire(here);

/** The folder of tr0n's package.json: the nearest above this file, which lies in dist/, or in a room of lib/. */
export const packageRoot = nearestPackage(dirname(here));

function nearestPackage(folder: string): string {
  const above = dirname(folder);
  return above === folder || existsSync(join(folder, "package.json")) ? folder : nearestPackage(above);
}

/** Whether the package around this file is another: a bundler has taken tr0n's code out of its own. */
function isBundled(): boolean {
  try {
    const { name } = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as { name?: unknown };
    return name !== "tr0n";
  } catch {
    return true;
  }
}

let binding: NativeBinding | undefined;

/** The addon, loaded at the first call. */
export function native(): NativeBinding {
  if (binding) return binding;
  const candidates = [
    process.env["TR0N_ADDON"],
    join(packageRoot, "build", "Release", "tr0n.node"),
    join(packageRoot, "build", "Debug", "tr0n.node"),
  ].filter((path): path is string => Boolean(path));
  const attempts: string[] = [];
  for (const path of candidates) {
    if (!existsSync(path)) {
      attempts.push(`${path}: not there`);
      continue;
    }
    try {
      binding = requireHere(path) as NativeBinding;
      break;
    } catch (error) {
      attempts.push(`${path}: ${(error as Error).message}`);
    }
  }
  if (!binding && isBundled())
    throw new Tr0nError(
      "ERR_RUNTIME_MISSING",
      `tr0n's native addon cannot be found, because a bundler has put tr0n's code into ${here}, away from the addon, its worker and ` +
        'its libraries. Keep the package out of the bundle: esbuild external: ["tr0n"] (--external:tr0n), webpack externals: { tr0n: ' +
        '"commonjs tr0n" }, Rollup external: ["tr0n"], Vite ssr: { external: ["tr0n"] }, Next.js serverExternalPackages: ["tr0n"]',
    );
  if (!binding)
    throw new Tr0nError(
      "ERR_RUNTIME_MISSING",
      `tr0n's native addon cannot be loaded. Tried:\n  ${attempts.join("\n  ")}\n` +
        `To build it (needs a C++17 compiler and CMake ≥ 3.15): npm rebuild tr0n --foreground-scripts`,
    );
  binding.setOnnxRuntime(onnxRuntimePath());
  binding.setTorchModule(torchModulePath());
  // exit() takes libraries apart while our threads are inside of them; what a library registers for that during its first use comes
  // before anything that the addon could register. A worker that ends takes no library apart.
  if (isMainThread) process.once("exit", () => binding!.prepareExit());
  return binding;
}

/** Where onnxruntime-node keeps its shared library; TR0N_ONNXRUNTIME names another. */
function onnxRuntimePath(): string {
  const override = process.env["TR0N_ONNXRUNTIME"];
  if (override) return override;
  const library =
    process.platform === "win32"
      ? "onnxruntime.dll"
      : process.platform === "darwin"
        ? "libonnxruntime.1.dylib"
        : "libonnxruntime.so.1";
  let root: string;
  try {
    root = dirname(requireHere.resolve("onnxruntime-node/package.json"));
  } catch {
    return library; // let the system's loader search; its error says what was tried
  }
  return join(root, "bin", "napi-v6", process.platform, process.arch, library);
}

/** Where `npm run build:torchscript` puts the module; TR0N_TORCHSCRIPT_MODULE names another file. */
export function torchModulePath(): string {
  return (
    process.env["TR0N_TORCHSCRIPT_MODULE"] ?? join(packageRoot, "build", "Release", "tr0n_torchscript.so")
  );
}
