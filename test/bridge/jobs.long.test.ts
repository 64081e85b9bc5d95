import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { NativeSampleProgress } from "../../lib/native/types/sampling.js";
import { finish } from "../support/process.js";
import { longChain, mlp, distanceConfig, squaredDistance } from "../support/bridge-models.js";
import { addon, fixture, idle, open, rejectsCode, repositoryFile, throwsCode } from "../support/bridge.js";
import { numbers } from "../support/numbers.js";

const d = 64;
const m = 8;

/** An objective whose evaluation takes some milliseconds for a few hundred rows. */
async function objective() {
  const session = await open(squaredDistance(d, m));
  const made = addon.createObjective(distanceConfig(session, d, m));
  session.dispose();
  return made;
}

async function request(steps: number, count = 8) {
  return {
    objective: await objective(),
    translator: null,
    prior: { kind: "normal", dim: d } as const,
    config: { start: "prior", kernel: "langevin", steps, learningRate: 1e-4, momentum: 0, seed: 3n } as const,
    conditions: numbers(1, 2 * m),
    conditionCount: 2,
    streams: Uint32Array.of(0, 1),
    count,
  };
}

describe("bridge: jobs", function () {
  this.timeout(60_000);

  it("runs 20 at once, more than there are threads", async () => {
    const session = await open(mlp(64, 256, 64));
    const x = { data: numbers(1, 128 * 64), shape: [128, 64] };
    const before = addon.counters().jobs;
    const jobs = Array.from({ length: 20 }, () => session.run({ x }));
    assert.equal(addon.counters().jobs, before + 20);
    const results = await Promise.all(jobs.map((job) => job.promise));
    for (const { y } of results) assert.deepEqual(y!.data, results[0]!["y"]!.data);
    assert.equal(addon.counters().jobs, before);
  });

  it("ends a run from inside when cancelled", async () => {
    const session = await open(longChain(512, 3000));
    const x = { data: numbers(1, 256 * 512), shape: [256, 512] };
    await session.run({ x: { data: x.data.slice(0, 512), shape: [1, 512] } }).promise; // warm
    const start = performance.now();
    const job = session.run({ x });
    await idle(30);
    job.cancel();
    job.cancel();
    await rejectsCode(job.promise, "ERR_ABORTED", /aborted/);
    const elapsed = performance.now() - start;
    // Uncancelled it takes 256·512·512·3000·2 = 400 GFLOP: seconds.
    assert.ok(elapsed < 1500, `${elapsed.toFixed(0)} ms`);
  });

  it("ends a waiting job at once, and hits no other", async () => {
    const session = await open(longChain(512, 400));
    const x = { data: numbers(1, 64 * 512), shape: [64, 512] };
    const jobs = Array.from({ length: 40 }, () => session.run({ x }));
    const last = jobs.at(-1)!;
    last.cancel();
    await rejectsCode(last.promise, "ERR_ABORTED", /before it began/);
    for (const job of jobs.slice(8, -1)) job.cancel();
    const results = await Promise.allSettled(jobs.map((job) => job.promise));
    results.slice(0, 4).forEach((result) => assert.equal(result.status, "fulfilled"));
    results
      .slice(8)
      .forEach((result) => assert.equal((result as PromiseRejectedResult).reason.code, "ERR_ABORTED"));
    const done = jobs[0]!;
    done.cancel(); // after the fact: nothing happens
    await done.promise;
  });

  it("keeps the event loop free", async () => {
    const r = await request(600, 200);
    const delay = monitorEventLoopDelay({ resolution: 5 });
    const jobs = Array.from({ length: 6 }, () => addon.sample(r).promise);
    await idle(20);
    delay.enable();
    const start = performance.now();
    let files = 0;
    const all = Promise.all(jobs).then(() => "done");
    // More jobs than libuv has threads, and files are still read.
    while ((await Promise.race([all, idle(5)])) !== "done") {
      await readFile(repositoryFile("package.json"));
      files++;
    }
    delay.disable();
    const elapsed = performance.now() - start;
    assert.ok(elapsed > 100, `too short to tell: ${elapsed} ms`);
    assert.ok(files > elapsed / 100, `${files} files in ${elapsed.toFixed(0)} ms`);
    // The median, since other programs on this machine delay us as well.
    assert.ok(delay.percentile(50) / 1e6 < 20, `${delay.percentile(50) / 1e6} ms`);
  });

  it("delivers every step asked for, in order, and bounds what waits", async () => {
    const r = await request(200, 50);
    const steps: number[] = [];
    let latents = 0;
    const job = addon.sample({ ...r, every: 3, latents: true }, (p: NativeSampleProgress) => {
      steps.push(p.step);
      assert.equal(p.energies.length, 100);
      latents += p.latents!.length;
    });
    const result = await job.promise;
    const expected = Array.from({ length: 67 }, (_, i) => 3 * i).concat(200);
    assert.deepEqual(steps, expected);
    assert.equal(latents, expected.length * 100 * d);
    assert.deepEqual(result.latents.length, 100 * d);
  });

  it("waits for a slow reader instead of filling memory", async () => {
    const r = await request(2000, 4);
    let seen = 0;
    let atOnce = 0;
    let most = 0;
    const job = addon.sample({ ...r, every: 1 }, () => {
      seen++;
      atOnce++;
      // Runs when everything that had been waiting is delivered.
      queueMicrotask(() => {
        most = Math.max(most, atOnce);
        atOnce = 0;
      });
    });
    // The loop is blocked long enough for all steps: only a few may be taken.
    const end = performance.now() + 300;
    while (performance.now() < end);
    await job.promise;
    assert.equal(seen, 2001);
    assert.ok(most <= 4, `${most} steps came at once`);
  });

  it("coalesces progress nobody asked for step by step", async () => {
    const r = await request(3000, 4);
    const steps: number[] = [];
    const start = performance.now();
    await addon.sample(r, (p) => steps.push(p.step)).promise;
    const elapsed = performance.now() - start;
    assert.equal(steps.at(-1), 3000, "the last step is always told");
    assert.ok(steps.length <= 3 + elapsed / 25, `${steps.length} reports in ${elapsed.toFixed(0)} ms`);
  });

  it("cancels between steps, also while a slow reader blocks it", async () => {
    const r = await request(10_000_000, 4);
    let reports = 0;
    const job = addon.sample({ ...r, every: 1 }, () => {
      if (++reports === 5) job.cancel();
    });
    await rejectsCode(job.promise, "ERR_ABORTED", /./);
    const blocked = addon.sample({ ...r, every: 1 }, () => undefined);
    const end = performance.now() + 100;
    while (performance.now() < end);
    blocked.cancel();
    await rejectsCode(blocked.promise, "ERR_ABORTED", /./);
    assert.equal(addon.counters().jobs, 0);
  });

  it("stops a job whose progress callback throws, and rejects with what was thrown", async () => {
    const r = await request(10_000_000, 4);
    const oops = new Error("oops");
    const job = addon.sample(r, () => {
      throw oops;
    });
    await assert.rejects(job.promise, (error) => error === oops);
    const text = addon.sample(r, () => {
      throw "a string";
    });
    await assert.rejects(text.promise, (error) => error === "a string");
    throwsCode(
      () => addon.sample(r, 5 as never),
      "ERR_INVALID_ARGUMENT",
      /onProgress: expected a function, got 5/,
    );
  });

  it("keeps the process alive for a pending job, and not for an idle addon", async () => {
    const result = await finish(process.execPath, [fixture("one-job.mjs"), ...child()], { timeout: 30_000 });
    assert.equal(result.code, 0, `${result.signal} ${result.stderr}`);
    assert.equal(result.stdout, "done\n");
  });

  it("exits with work in flight", async () => {
    for (const how of ["exit", "throw", "signal"]) {
      for (let i = 0; i < 5; i++) {
        const result = await finish(process.execPath, [fixture("exit-in-flight.mjs"), ...child(), how], {
          timeout: 30_000,
        });
        const expected = { exit: 0, throw: 1, signal: null }[how];
        assert.equal(result.code, expected, `${how}: ${result.code} ${result.signal} ${result.stderr}`);
        if (how === "signal") assert.equal(result.signal, "SIGTERM");
      }
    }
  });
});

function child(): string[] {
  return [
    process.env["TR0N_ADDON"] ?? repositoryFile("build/Release/tr0n.node"),
    process.env["TR0N_ONNXRUNTIME"] ??
      repositoryFile(
        `node_modules/onnxruntime-node/bin/napi-v6/${process.platform}/${process.arch}/libonnxruntime.so.1`,
      ),
    repositoryFile("models/classifier.onnx"),
  ];
}
