import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../lib/native/binding.js";
import { describe as rowOf } from "../../scripts/cuda/mutations-page.js";
import { attempt, mutated } from "../../scripts/cuda/mutations.js";
import { mutations } from "../../scripts/cuda/mutations/index.js";
import { buildEmulator, buildSelftest, need } from "../support/cuda.js";

const folder = join(packageRoot, "native", "kernels");

describe("mistakes planted into the CUDA kernels", function () {
  this.timeout(900_000);

  it("still fit the sources, and are spread over all of them", () => {
    assert.ok(mutations.length >= 30);
    for (const mutation of mutations) mutated(readFileSync(join(folder, mutation.file), "utf8"), mutation);
    const broken = new Set(mutations.map((m) => m.file));
    // Sizes and arguments alone: nothing is computed there.
    const declarations = ["linear_arguments.h", "linear_scalars.cuh", "tile_shapes.cuh"];
    const sources = readdirSync(folder).filter((name) => /\.(cuh?|h)$/.test(name) && !declarations.includes(name));
    assert.deepEqual(
      sources.filter((name) => !broken.has(name)),
      [],
    );
  });

  it("are those of docs/cuda-mutations.md, of which at least 95 in 100 were noticed", () => {
    const page = readFileSync(join(packageRoot, "docs", "cuda-mutations.md"), "utf8");
    for (const mutation of mutations) assert.ok(page.includes(rowOf(mutation)), `${mutation.file}: ${mutation.what}`);
    const [, caught, all] = /\*\*(\d+) of (\d+) noticed\.\*\*/.exec(page)!.map(Number);
    assert.equal(all, mutations.length);
    const survived = page.split("**survived**").length - 1;
    assert.equal(caught, all! - survived);
    assert.ok(caught! >= 0.95 * all!);
  });

  // All of them take a quarter of an hour (npx tsx scripts/cuda-mutations.ts); one shows that the machinery works.
  it("are noticed: one of them, planted now", async function () {
    await need(this, "cmake", "nvcc");
    await buildEmulator();
    await buildSelftest();
    const mutation = mutations.find((m) => m.file === "hybrid.cu")!;
    assert.deepEqual(await attempt(mutation), { caught: true, by: "hybrid_combine" });
  });

  it("are refused where they fit nowhere, or twice", () => {
    const mutation = { file: "x.cu", find: "a + b", replace: "a - b", what: "a sign" };
    assert.equal(mutated("c = a + b;", mutation), "c = a - b;");
    assert.throws(() => mutated("c = b + a;", mutation), /x\.cu has 0 times/);
    assert.throws(() => mutated("c = a + b; d = a + b;", mutation), /x\.cu has 2 times/);
    assert.throws(() => mutated("c = a + b;", { ...mutation, replace: "a + b" }), /nothing changes/);
  });
});
