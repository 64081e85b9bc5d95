/** clang-tidy over the addon's sources, two files at a time; .clang-tidy names the checks. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
if (spawnSync("clang-tidy", ["--version"]).status !== 0) {
  console.log("lint:native skipped: clang-tidy is missing (Debian: apt-get install clang-tidy)");
  process.exit(0);
}
if (!existsSync(join(root, "build", "compile_commands.json"))) {
  console.error("lint:native: build/compile_commands.json is missing; run `npm run build:native` first");
  process.exit(1);
}
const files = readFileSync(join(root, "native", "sources.txt"), "utf8")
  .trim()
  .split(/\s+/);
let failed = 0;
const worker = async () => {
  for (let file = files.shift(); file; file = files.shift()) {
    const child = spawn("clang-tidy", ["-p", "build", "--quiet", file], { cwd: root });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    const code = await new Promise((resolve) => child.on("close", resolve));
    if (code !== 0) {
      failed++;
      console.error(output || `${file}: clang-tidy ended with ${code}`);
    }
  }
};
await Promise.all([worker(), worker()]);
process.exit(failed > 0 ? 1 : 0);
