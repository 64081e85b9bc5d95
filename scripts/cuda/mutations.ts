/**
 * Mistakes planted into the CUDA kernels' sources, one at a time, to see that the native self-test notices. A mutation
 * whose text is not found exactly once in its file is an error: a list that no longer fits the sources tests nothing.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { emulator, root, selftest } from "./build.js";

export interface Mutation {
  /** In native/kernels. */
  file: string;
  find: string;
  replace: string;
  /** What is wrong then. */
  what: string;
  /** Compute capability that the code is for; 80 unless given. */
  sm?: 75 | 80;
  /** Files that include a header, to try first; all of them are tried before a mutation counts as survived. */
  first?: string[];
  /** Why it survives, where that is known; it counts as survived all the same. */
  survives?: string;
}

export interface Outcome {
  caught: boolean;
  /** The case that failed, or "hangs". */
  by: string;
}

const kernels = join(root, "native", "kernels");

/** The mutated text. Throws where `find` is not there exactly once. */
export function mutated(source: string, { file, find, replace }: Mutation): string {
  const parts = source.split(find);
  if (parts.length !== 2) throw new Error(`${file} has ${parts.length - 1} times, expected once: ${find}`);
  if (find === replace) throw new Error(`${file}: nothing changes: ${find}`);
  return parts.join(replace);
}

interface Ran {
  code: number | null;
  killed: boolean;
  stdout: string;
  stderr: string;
}

function execute(command: string, args: string[], env: NodeJS.ProcessEnv, timeout: number): Promise<Ran> {
  return new Promise((resolve) => {
    const options = {
      env: { ...process.env, ...env },
      timeout,
      maxBuffer: 1 << 28,
      killSignal: "SIGKILL" as const,
    };
    execFile(command, args, options, (error, stdout, stderr) => {
      const code = error ? (typeof error.code === "number" ? error.code : null) : 0;
      resolve({ code, killed: error?.killed ?? false, stdout, stderr });
    });
  });
}

type Sources = ReadonlyMap<string, string>;

/** What native/kernels has, by name. */
export async function readSources(): Promise<Sources> {
  const names = (await readdir(kernels)).filter((name) => /\.(cuh?|h)$/.test(name));
  return new Map(
    await Promise.all(names.map(async (n) => [n, await readFile(join(kernels, n), "utf8")] as const)),
  );
}

const includesOf = (text: string): string[] =>
  [...text.matchAll(/#include "(?:kernels\/)?([\w.]+)"/g)].map((match) => match[1]!);

/** `start` and all that `next` leads to from there. */
function reach(start: string, next: (name: string) => readonly string[]): string[] {
  const reached = new Set([start]);
  for (const name of reached) for (const other of next(name)) reached.add(other);
  return [...reached];
}

/** The .cu files that a file gets into, by any way; those named in `first` first. */
function affected(sources: Sources, { file, first = [] }: Mutation): string[] {
  const includers = (name: string): string[] =>
    [...sources].filter(([, text]) => includesOf(text).includes(name)).map(([other]) => other);
  const found = reach(file, includers).filter((name) => name.endsWith(".cu"));
  return [...first, ...found.filter((name) => !first.includes(name)).sort()];
}

/** The same as long as the mutation is, and every source of a kernel that it gets into. */
export function digest(sources: Sources, mutation: Mutation): string {
  const parts = affected(sources, mutation).flatMap((cu) =>
    reach(cu, (name) => includesOf(sources.get(name) ?? "")),
  );
  const hash = createHash("sha256").update(JSON.stringify(mutation));
  for (const name of [...new Set(parts)].sort()) hash.update(`${name}\0${sources.get(name) ?? ""}\0`);
  return hash.digest("hex");
}

/** Names of cases start like those of files, but for these. */
const casesOf: Record<string, string[]> = {
  mixture_nll_by_component: ["mixture_nll"],
  mixture_density: ["mixture_log_density", "importance_weights"],
  linear_input: ["linear_backward_input"],
  linear_weight: ["linear_backward_weight"],
  linear_update: ["optimise_linear"],
  linear_update_norm: ["optimise_linear"],
  loss_squared_error: ["squared_error"],
  loss_weighted_sum: ["weighted_sum"],
  optimise_rows: ["adam_rows"],
  condition_labels: ["sample_labels"],
  resample_candidates: ["draw_candidates"],
};

/** A copy of what kernels are compiled from, in which one file may be broken, and PTX made from it. */
class Workshop {
  private constructor(private readonly folder: string) {}

  static async open(): Promise<Workshop> {
    const folder = await mkdtemp(join(tmpdir(), "tr0n-mutation-"));
    const native = ["kernels", "device", "base"].map((name) => join("native", name));
    for (const part of [...native, "cmake"])
      await cp(join(root, part), join(folder, part), { recursive: true });
    await mkdir(join(folder, "ptx"));
    return new Workshop(folder);
  }

  close(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }

  async breakFile(mutation: Mutation): Promise<void> {
    const source = await readFile(join(kernels, mutation.file), "utf8");
    await writeFile(join(this.folder, "native", "kernels", mutation.file), mutated(source, mutation));
  }

  async compile(file: string, sm: number): Promise<void> {
    const name = file.replace(/\.cu$/, "");
    const defined = {
      NVCC: "nvcc",
      SOURCE: join(this.folder, "native", "kernels", file),
      ARCHITECTURE: `${sm}`,
      OUTPUT: join(this.folder, "ptx", `${name}.compute_${sm}.ptx`),
    };
    const args = Object.entries(defined).map(([key, value]) => `-D${key}=${value}`);
    const { code, stderr } = await execute(
      "cmake",
      [...args, "-P", join(this.folder, "cmake", "ptx.cmake")],
      {},
      300_000,
    );
    if (code !== 0) throw new Error(`${file} does not compile:\n${stderr}`);
  }

  /** null where the self-test passes. */
  async test(sm: number, filters: readonly string[]): Promise<string | null> {
    const args = ["--quick", "--fail-fast", "--json", ...filters.flatMap((filter) => ["--filter", filter])];
    const environment = {
      TR0N_CUDA_DRIVER: emulator,
      TR0N_PTX_OVERRIDE: join(this.folder, "ptx"),
      TR0N_EMULATOR_SM: sm === 75 ? "75" : "90",
      TR0N_EMULATOR_THREADS: "1",
      // Warp instructions of a block; a kernel that goes on for longer is one that hangs.
      TR0N_EMULATOR_TIMEOUT: `${1 << 25}`,
    };
    const { code, killed, stdout, stderr } = await execute(selftest, args, environment, 300_000);
    if (code === 0) return null;
    if (killed) return "hangs";
    if (code === null) return "the process dies";
    if (code !== 1 || stdout === "") throw new Error(`the self-test ended with ${code}: ${stderr}`);
    const report = JSON.parse(stdout) as {
      lines: { kernel: string; passed: boolean }[];
      errors: { kernel: string; text: string }[];
    };
    const failed = report.lines.find((line) => !line.passed)?.kernel;
    if (failed) return failed;
    const [error] = report.errors;
    if (!error) return null; // no case of that name
    // What a call said comes first, what the emulator found after it.
    const kinds = report.errors.map(({ text }) => /"kind":\s*"([^"]+)"/.exec(text)?.[1]);
    return `${error.kernel}: ${kinds.find((kind) => kind !== undefined) ?? "an error"}`;
  }
}

/** Plants it and tells what became of it. */
export async function attempt(mutation: Mutation): Promise<Outcome> {
  const sm = mutation.sm ?? 80;
  const workshop = await Workshop.open();
  try {
    await workshop.breakFile(mutation);
    const files = affected(await readSources(), mutation);
    if (files.length === 0) throw new Error(`no kernel includes ${mutation.file}`);
    for (const file of files) {
      await workshop.compile(file, sm);
      const name = file.replace(/\.cu$/, "");
      const by = await workshop.test(sm, casesOf[name] ?? [name]);
      if (by) return { caught: true, by };
    }
    const by = await workshop.test(sm, []);
    return { caught: by !== null, by: by ?? "" };
  } finally {
    await workshop.close();
  }
}

/** What is compiled the same way from unbroken sources passes: else every mutation would seem to be caught. */
export async function checkBaseline(): Promise<void> {
  const workshop = await Workshop.open();
  try {
    const files = (await readdir(kernels)).filter((name) => name.endsWith(".cu"));
    for (const sm of [80, 75]) {
      for (const file of files) await workshop.compile(file, sm);
      const by = await workshop.test(sm, []);
      if (by) throw new Error(`the self-test fails without a mutation, for compute_${sm}: ${by}`);
    }
  } finally {
    await workshop.close();
  }
}
