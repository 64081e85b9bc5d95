/**
 * What the CUDA kernels do in a whole training step and in every sampler's update, counted on the driver emulator at the
 * official sizes, with the limits that they are held to: `npm run cuda:profile`. No GPU is needed; times are a roofline's
 * estimate.
 *
 *   npm run cuda:profile -- --batch 16 --precision tf32 --chains 0     only a part (see cuda-profile's usage)
 *   npm run cuda:profile -- --write                                    the tables of docs/cuda.md too
 */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build, buildImages, emulator, profiler, root } from "./cuda/build.js";
import { profilePage, readingOf, resourcesPage, tableOf } from "./cuda/pages.js";
import { holds, verdicts, type Profile } from "./cuda/profile.js";
import { readResources } from "./cuda/resources.js";

const args = process.argv.slice(2).filter((argument) => argument !== "--write");
const write = process.argv.includes("--write");
if (write && args.length > 0) {
  process.stderr.write("cuda:profile: --write takes the official sizes, and no other argument\n");
  process.exit(2);
}
build();
const run = spawnSync(profiler, args, {
  encoding: "utf8",
  maxBuffer: 1 << 28,
  stdio: ["ignore", "pipe", "inherit"],
  env: { ...process.env, TR0N_CUDA_DRIVER: emulator },
});
if (run.status !== 0) process.exit(run.status ?? 1);
const profile = JSON.parse(run.stdout) as Profile;
for (const workload of profile.workloads) {
  process.stdout.write(`${tableOf(workload)}\n`);
}
const all = profile.workloads.flatMap(verdicts);
for (const verdict of all) process.stdout.write(`${readingOf(verdict)}\n`);
const failed = all.filter((verdict) => !holds(verdict));
process.stdout.write(`${all.length} limits, ${failed.length} exceeded\n`);
if (write) {
  buildImages();
  const page = join(root, "docs", "cuda.md");
  writeFileSync(
    page,
    resourcesPage(profilePage(readFileSync(page, "utf8"), profile), readResources(root), profile),
  );
}
process.exitCode = failed.length > 0 ? 1 : 0;
