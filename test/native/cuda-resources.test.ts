import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../lib/native/binding.js";
import { architectures, kernelFiles, occupancy, parsePtxas, readResources } from "../../scripts/cuda/resources.js";
import { buildImages, need } from "../support/cuda.js";
import { finish } from "../support/process.js";

describe("machine code of the CUDA kernels", function () {
  this.timeout(900_000);

  it("is made for every architecture that nvcc knows, warnings being errors, without spills or a stack", async function () {
    await need(this, "cmake", "nvcc");
    await buildImages();
    const resources = readResources(packageRoot);
    const listed = (await finish("nvcc", ["--list-gpu-code"])).stdout.match(/sm_\d+/g) ?? [];
    const known = listed.map((name) => Number(name.slice(3))).filter((architecture) => architecture >= 75);
    assert.ok(known.length > 0, "nvcc names no architecture");
    for (const file of kernelFiles(packageRoot)) {
      const of = resources.filter((r) => r.file === file);
      const made = [...new Set(of.map((r) => r.architecture))].sort((a, b) => a - b);
      assert.deepEqual(made, known.toSorted((a, b) => a - b), `${file}.cu`);
    }
    // The promise names these; others that nvcc knows run the machine code or PTX of the one below.
    const promised = resources.filter((r) => architectures.some((a) => a === r.architecture));
    assert.ok(promised.length > 0);
    assert.deepEqual(
      promised.filter((r) => r.stack + r.spillStores + r.spillLoads > 0),
      [],
    );
  });

  it("has the registers that docs/cuda.md says", async function () {
    await need(this, "cmake", "nvcc");
    await buildImages();
    const resources = readResources(packageRoot);
    const text = readFileSync(join(packageRoot, "docs", "cuda.md"), "utf8");
    const header = /^\| kernel +\| threads .*sm_75.*$/m.exec(text)![0].match(/sm_\d+/g)!;
    const rows = [...text.matchAll(/^\| `(\w+)` +\| +\d+ \| +\d+ ((?:\| +(?:\d+ \/ +[-\d %]+|none) )+)\|$/gm)];
    assert.ok(rows.length >= 9);
    for (const [, kernel, cells] of rows)
      header.forEach((name, i) => {
        const cell = cells!.split("|")[i + 1]!.trim();
        const found = resources.find((r) => r.kernel === kernel && `sm_${r.architecture}` === name);
        assert.equal(cell.split(" ")[0], String(found?.registers ?? "none"), `${kernel}, ${name}`);
      });
  });

  it("is read as ptxas writes it, and nothing else is taken for no spills", () => {
    const text = `ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'a' for 'sm_80'
ptxas info    : Function properties for a
    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 8 bytes cumulative stack size, 1024 bytes smem, 400 bytes cmem[0]
ptxas info    : Compiling entry function 'b' for 'sm_80'
ptxas info    : Function properties for b
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 12 registers, used 0 barriers, 376 bytes cmem[0]
`;
    const common = { file: "x", architecture: 80 };
    assert.deepEqual(parsePtxas("x", 80, text), [
      { ...common, kernel: "a", registers: 40, stack: 8, spillStores: 4, spillLoads: 12, shared: 1024 },
      { ...common, kernel: "b", registers: 12, stack: 0, spillStores: 0, spillLoads: 0, shared: 0 },
    ]);
    assert.throws(() => parsePtxas("x", 80, text.replace("0 bytes spill loads", "no loads")), /x for sm_80: b/);
  });

  it("fills a multiprocessor as NVIDIA's occupancy calculator says", () => {
    // Blocks of 256 threads: 64 registers let 32 warps in, of 64 on sm_80; 72 registers only 24 (8 warps a block).
    assert.equal(occupancy(80, 64, 256, 0), 0.5);
    assert.equal(occupancy(80, 72, 256, 0), 0.375);
    assert.equal(occupancy(75, 32, 1024, 0), 1);
    assert.equal(occupancy(86, 32, 1024, 0), 32 / 48);
    // 164 KiB hold one block of 100 KiB, and none of more than a multiprocessor has.
    assert.equal(occupancy(80, 32, 128, 100 * 1024), 4 / 64);
    assert.equal(occupancy(86, 32, 128, 100 * 1024), 0);
    assert.equal(occupancy(90, 16, 32, 0), 0.5);
  });
});
