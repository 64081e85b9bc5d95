/**
 * What a sampling step through TorchScript costs over the least there is: the same generator and classifier, chains and one
 * thread, in a bare C++ loop over libtorch (bench/torchscript/loop.cpp, built here) and in tr0n's sampler (plain Langevin),
 * in turn.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { energy, loadModel, Tr0n } from "../../lib/index.js";
import { median } from "../../lib/bench/statistics.js";
import { torchModulePath } from "../../lib/native/binding.js";
import type { Case, Row } from "../case.js";
import { langevinStep, withThreads } from "../models.js";

const chains = 64;
const steps = 30;
const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = join(root, "build", "bench-torchscript");
const model = (name: string): string => join(root, "models", `${name}.pt`);
/** glibc hands large blocks back to the system at every step unless told not to. */
const kept = { MALLOC_MMAP_THRESHOLD_: "4294967296", MALLOC_TRIM_THRESHOLD_: "4294967296" };

function command(name: string, args: string[], env: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr } = spawnSync(name, args, {
    encoding: "utf8",
    env: { ...process.env, OPENBLAS_NUM_THREADS: "1", ...env },
  });
  if (status !== 0) throw new Error(`${name} failed:\n${stdout}\n${stderr}`);
  return stdout.trim();
}

async function measure(generator: string, latent: number): Promise<Row> {
  using G = await loadModel(model(generator));
  using f = await loadModel(model("classifier"));
  using tr0n = await Tr0n.create({ generator: G, encoder: f, energy: energy.crossEntropy(), seed: 1 });
  const bare = (rows: number, optimise: boolean, env: NodeJS.ProcessEnv): number => {
    const calls = [latent, rows, chains / rows, steps, 1, Number(optimise)].map(String);
    return Number(command(join(folder, "loop"), [model(generator), model("classifier"), ...calls], env));
  };
  const ours: number[] = [];
  const peers: Record<string, number[]> = {};
  const note = (name: string, time: number): void => void (peers[name] ??= []).push(time);
  for (let round = 0; round < 3; round++) {
    ours.push(await langevinStep(tr0n, chains, steps));
    note("loop as it comes", bare(chains, true, {}));
    note("graphs interpreted", bare(chains, false, {}));
    note("and memory kept", bare(chains, false, kept));
    note("and in blocks of 8", bare(8, false, kept));
  }
  return {
    name: `${generator}, ${chains} chains`,
    unit: "ms",
    ours: median(ours),
    peers: Object.fromEntries(Object.entries(peers).map(([name, times]) => [name, median(times)])),
  };
}

const torchscript: Case = {
  name: "torchscript",
  summary: "a Langevin step through TorchScript on one thread, and a bare loop over libtorch",
  async run() {
    if (!existsSync(torchModulePath())) {
      process.stderr.write("torchscript skipped: needs `npm run build:torchscript`\n");
      return [];
    }
    command("cmake", ["-S", join(root, "bench", "torchscript"), "-B", folder]);
    command("cmake", ["--build", folder]);
    return withThreads(1, async () => [await measure("gan-generator", 64), await measure("vae-decoder", 32)]);
  },
};
export default torchscript;
