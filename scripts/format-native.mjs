/** clang-format over the C++ sources; with --check it only says which files differ. */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const clangFormat = createRequire(import.meta.url).resolve("clang-format/index.js");
const files = readdirSync(join(root, "native"), { recursive: true })
  .filter((file) => /\.(h|cpp|cu|cuh)$/.test(file))
  .map((file) => join("native", file));
const mode = process.argv.includes("--check") ? ["--dry-run", "--Werror"] : ["-i"];
const result = spawnSync(process.execPath, [clangFormat, ...mode, ...files], { cwd: root, stdio: "inherit" });
process.exit(result.status ?? 1);
