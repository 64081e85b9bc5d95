/** clang-tidy over the sources of the addon, and of the TorchScript module where it has been built, two files at a time. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
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
const jobs = readFileSync(join(root, "native", "sources.txt"), "utf8")
  .trim()
  .split(/\s+/)
  .map((file) => ({ file, commands: "build" }));
if (existsSync(join(root, "build", "torchscript", "compile_commands.json"))) {
  for (const name of readdirSync(join(root, "native", "torch")))
    if (name.endsWith(".cpp"))
      jobs.push({ file: join("native", "torch", name), commands: join("build", "torchscript") });
} else console.log("lint:native: native/torch left out; `npm run build:torchscript` first");
let failed = 0;
const worker = async () => {
  for (let job = jobs.shift(); job; job = jobs.shift()) {
    const { file, commands } = job;
    const child = spawn("clang-tidy", ["-p", commands, "--quiet", file], { cwd: root });
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
