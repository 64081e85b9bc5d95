/** What the CUDA kernels do, counted on the driver emulator, against the limits of scripts/cuda/profile.ts. */
import assert from "node:assert/strict";
import { readingOf } from "../../scripts/cuda/pages.js";
import { holds, isMatrix, sum, verdicts, type Profile, type Workload } from "../../scripts/cuda/profile.js";
import { buildEmulator, buildSelftest, emulator, need, profiler } from "../support/cuda.js";
import { finish } from "../support/process.js";

async function profile(...args: string[]): Promise<Workload[]> {
  const { code, stdout, stderr } = await finish(profiler, args, {
    timeout: 600_000,
    env: { ...process.env, TR0N_CUDA_DRIVER: emulator },
  });
  assert.equal(code, 0, stderr);
  return (JSON.parse(stdout) as Profile).workloads;
}

/** Asserts all limits that apply; returns what each was of. */
function hold(workloads: readonly Workload[]): string[] {
  const all = workloads.flatMap(verdicts);
  assert.deepEqual(all.filter((verdict) => !holds(verdict)).map(readingOf), []);
  return all.map((verdict) => verdict.what);
}

function expect(whats: readonly string[], ...parts: string[]): void {
  for (const part of parts) assert.ok(whats.some((what) => what.includes(part)), `no limit of ${part} was looked at`);
}

describe("the CUDA kernels' profile on the driver emulator", function () {
  this.timeout(900_000);

  before(async function () {
    await need(this, "cmake", "nvcc");
    await buildEmulator();
    await buildSelftest();
  });

  it("is within the limits for a training step at the official sizes, batch 16", async () => {
    const workloads = await profile("--batch", "16", "--chains", "0");
    assert.deepEqual(
      workloads.map((w) => [w.precision, w.hidden, w.rows]),
      [
        ["fp32", 2048, 16],
        ["tf32", 2048, 16],
      ],
    );
    const whats = hold(workloads);
    expect(whats, "launches", "sectors moved", "conflicts", "tensor cores", "weights, gradients and moments once");
    // Everything that a step must compute is there: 6 FLOPs for a weight and a pair, but for the first layer's input,
    // whose adjoint nobody needs.
    for (const workload of workloads) {
      const flops = sum(workload.counters.kernels.filter(isMatrix), (k) => k.flops + k.tensorFlops);
      const first = 512 * 2048;
      const least = 16 * (6 * (workload.parameters - first) + 4 * first);
      assert.ok(flops > 0.99 * least, `${workload.precision}: ${flops} FLOPs, expected about ${least}`);
    }
  });

  // The official width takes the emulator minutes (npm run cuda:profile). This one is the least for which the same tiles
  // are chosen on 132 multiprocessors, fewer of them: what a tile moves and computes is the same.
  it("is within the limits at batches of 256 and 2048, at a width of 1152 instead of 2048", async () => {
    const workloads = await profile("--batch", "256", "--batch", "2048", "--hidden", "1152", "--chains", "0");
    expect(hold(workloads), "launches", "sectors moved", "conflicts", "tensor cores", "FLOPs per byte");
  });

  it("is within the limits for every sampler's update: 1,024 chains, d 128", async () => {
    const workloads = await profile("--batch", "0");
    expect(hold(workloads), "launches", "sectors moved");
    for (const name of ["Langevin update", "Adam update", "Metropolis update", "hybrid update", "resample 1 of 16"])
      assert.ok(
        workloads.some((w) => w.name === name && w.rows === 1024),
        name,
      );
  });

  it("refuses wrong options, and says so where there is no driver", async () => {
    const wrong = await finish(profiler, ["--batches", "16"], { env: { ...process.env, TR0N_CUDA_DRIVER: emulator } });
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /usage/);
    const none = await finish(profiler, [], { env: { ...process.env, TR0N_CUDA_DRIVER: "/nonexistent/libcuda.so" } });
    assert.equal(none.code, 3);
    assert.match(none.stderr, /nonexistent/);
  });
});
