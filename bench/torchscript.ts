/**
 * What a sampling step through TorchScript costs over the least there is: `npm run bench:torchscript`. The same generator
 * and classifier, chains and one thread, in a bare C++ loop over libtorch (bench/torchscript/loop.cpp, built here) and in
 * tr0n's sampler (plain Langevin), in turn.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { energy, loadModel, sampler, Tr0n } from "../lib/index.js";
import { native } from "../lib/native/binding.js";

const chains = Number(process.argv[2] ?? 64);
const steps = Number(process.argv[3] ?? 30);
const root = fileURLToPath(new URL("..", import.meta.url));
const folder = join(root, "build", "bench-torchscript");
const model = (name: string): string => join(root, "models", `${name}.pt`);
const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1]!;

function run(command: string, args: string[], env: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: "utf8",
    env: { ...process.env, OPENBLAS_NUM_THREADS: "1", ...env },
  });
  if (status !== 0) throw new Error(`${command} failed:\n${stdout}\n${stderr}`);
  return stdout.trim();
}
run("cmake", ["-S", join(root, "bench", "torchscript"), "-B", folder]);
run("cmake", ["--build", folder]);

/** glibc hands large blocks back to the system at every step unless told not to. */
const kept = { MALLOC_MMAP_THRESHOLD_: "4294967296", MALLOC_TRIM_THRESHOLD_: "4294967296" };

native().setThreads(1);
for (const [generator, latent] of [
  ["gan-generator", 64],
  ["vae-decoder", 32],
] as const) {
  using G = await loadModel(model(generator));
  using f = await loadModel(model("classifier"));
  using tr0n = await Tr0n.create({ generator: G, encoder: f, energy: energy.crossEntropy(), seed: 1 });
  const bare = (rows: number, optimise: boolean, env: NodeJS.ProcessEnv): number => {
    const calls = [latent, rows, chains / rows, steps, 1, Number(optimise)].map(String);
    return Number(run(join(folder, "loop"), [model(generator), model("classifier"), ...calls], env));
  };
  const sample = async (count: number): Promise<number> => {
    const start = performance.now();
    const plain = sampler.langevin({ start: "prior", steps: count });
    await tr0n.sample({ class: 3 }, { count: chains, seed: 1, sampler: plain });
    return performance.now() - start;
  };
  await sample(2);
  const times: Record<string, number[]> = {};
  const note = (name: string, time: number): void => void (times[name] ??= []).push(time);
  for (let round = 0; round < 3; round++) {
    // The difference of two lengths: the start and the images at the end drop out.
    note("tr0n", ((await sample(2 * steps)) - (await sample(steps))) / steps);
    note("loop, as it comes", bare(chains, true, {}));
    note("loop, graphs interpreted", bare(chains, false, {}));
    note("loop, graphs interpreted, memory kept", bare(chains, false, kept));
    note("loop, the same in blocks of 8", bare(8, false, kept));
  }
  const ours = median(times["tr0n"]!);
  console.log(`${generator}, ${chains} chains, one thread: a step takes ${ours.toFixed(1)} ms`);
  for (const [name, list] of Object.entries(times))
    if (name !== "tr0n")
      console.log(
        `  ${name}: ${median(list).toFixed(1)} ms, tr0n takes ${(ours / median(list)).toFixed(2)} of it`,
      );
}
