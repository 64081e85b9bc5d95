/** The only file that loads the addon, and ONNX Runtime's and libtorch's places. */
import { createRequire } from "node:module";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Tr0nError } from "../base/errors.js";
import type { NativeBinding } from "./types/addon.js";

const here = typeof __filename === "string" ? __filename : fileURLToPath(import.meta.url);
const requireHere = createRequire(here);

/** The folder of tr0n's package.json: the nearest above this file, which lies in dist/, or in a room of lib/. */
export const packageRoot = nearestPackage(dirname(here));

function nearestPackage(folder: string): string {
  const above = dirname(folder);
  return above === folder || existsSync(join(folder, "package.json")) ? folder : nearestPackage(above);
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
  if (!binding)
    throw new Tr0nError(
      "ERR_RUNTIME_MISSING",
      `tr0n's native addon cannot be loaded. Tried:\n  ${attempts.join("\n  ")}\n` +
        `To build it (needs a C++17 compiler and CMake ≥ 3.15): npm rebuild tr0n --foreground-scripts`,
    );
  binding.setOnnxRuntime(onnxRuntimePath());
  binding.setTorchModule(torchModulePath());
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
