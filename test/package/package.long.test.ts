/** The package as its users get it: what dist/ exports, its types, what is packed. `npm install` has built dist/. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import * as source from "../../lib/index.js";
import { packageRoot } from "../../lib/native/binding.js";
import { modelFile } from "../support/demo.js";
import { finish } from "../support/process.js";

const require = createRequire(import.meta.url);

/** A folder whose node_modules hold tr0n and Node's types. */
async function consumer(type: "module" | "commonjs"): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tr0n-consumer-"));
  await mkdir(join(folder, "node_modules", "@types"), { recursive: true });
  await symlink(packageRoot, join(folder, "node_modules", "tr0n"));
  await symlink(
    join(packageRoot, "node_modules", "@types", "node"),
    join(folder, "node_modules", "@types", "node"),
  );
  await writeFile(join(folder, "package.json"), JSON.stringify({ type }));
  return folder;
}

describe("the package", function () {
  this.timeout(180_000);

  it("exports the same values to import and to require, under their own names", async () => {
    const folder = await consumer("module");
    try {
      await writeFile(
        join(folder, "both.js"),
        `import * as esm from "tr0n";
         import { createRequire } from "node:module";
         const cjs = createRequire(import.meta.url)("tr0n");
         const error = await esm.loadModel("missing.onnx").catch((e) => e);
         const model = await esm.loadModel(process.argv[2]);
         const image = esm.tensor(new Float32Array(3 * 32 * 32), [1, 3, 32, 32]);
         const { gradients } = await model.vjp(image, esm.tensor(new Float32Array(10).fill(1), [1, 10]));
         console.log(JSON.stringify({
           names: Object.keys(esm).sort(),
           same: Object.keys(esm).every((name) => esm[name] === cjs[name]),
           error: [error instanceof cjs.ModelError, error.name, error.code],
           class: esm.Tr0n.name,
           gradient: gradients.image.data.some((g) => g !== 0) && gradients.image.data.every(Number.isFinite),
         }));`,
      );
      const { code, stdout, stderr } = await finish(process.execPath, ["both.js", modelFile("classifier")], {
        cwd: folder,
      });
      assert.equal(code, 0, stderr);
      assert.deepEqual(JSON.parse(stdout), {
        names: Object.keys(source).sort(),
        same: true,
        error: [true, "ModelError", "ERR_MODEL_NOT_FOUND"],
        class: "Tr0n",
        gradient: true,
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  for (const type of ["module", "commonjs"] as const)
    it(`has types that a strict ${type} consumer compiles against`, async () => {
      const folder = await consumer(type);
      try {
        await writeFile(
          join(folder, "use.ts"),
          `import { Tr0n, latent, loadModel, sampler, tensor, type Samples } from "tr0n";
           export async function use(): Promise<Samples> {
             const model = await loadModel("g.onnx");
             const tr0n = await Tr0n.create({ generator: model, encoder: model, latent: latent.normal(4) });
             // @ts-expect-error a class is a number or numbers
             await tr0n.sample({ class: "seven" });
             return tr0n.sample(tensor([1], [1, 1]), { sampler: sampler.resample({ fidelity: 3 }) });
           }`,
        );
        const tsc = join(dirname(require.resolve("typescript/package.json")), "bin", "tsc");
        const options = [
          "--strict",
          "--noEmit",
          "--module",
          "nodenext",
          "--target",
          "es2022",
          "--types",
          "node",
        ];
        const lib = ["--lib", "es2023,esnext.disposable"];
        const { code, stdout } = await finish(process.execPath, [tsc, ...options, ...lib, "use.ts"], {
          cwd: folder,
        });
        assert.equal(code, 0, stdout);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });

  it("packs what an installation needs and nothing else", async () => {
    const { code, stdout, stderr } = await finish(
      "npm",
      ["pack", "--dry-run", "--json", "--ignore-scripts"],
      {
        cwd: packageRoot,
      },
    );
    assert.equal(code, 0, stderr);
    const packed = JSON.parse(stdout) as { files: { path: string }[] }[];
    const files = packed[0]!.files.map((file) => file.path);
    const sources = (await readFile(join(packageRoot, "native", "sources.txt"), "utf8")).trim().split(/\s+/);
    for (const needed of [
      ...sources,
      "CMakeLists.txt",
      "cmake/kernels.cmake",
      "cmake/images.cpp.in",
      "native/kernels/probe.cu",
      "binding.gyp",
      "scripts/install.mjs",
      "scripts/build-torchscript.mjs",
      "cmake/kernels.cmake",
      "native/torch/CMakeLists.txt",
      "native/torch/torch_api.h",
      "native/torch/module.cpp",
      "dist/index.cjs",
      "dist/index.js",
      "dist/cli.cjs",
      "dist/types/index.d.ts",
      "dist/types-cjs/index.d.ts",
      "models/gan-generator.onnx",
      "LICENSE",
      "README.md",
    ])
      assert.ok(files.includes(needed), `${needed} is not packed`);
    const unwanted = /^(test|examples|bench|build|out|\.)|^native\/(.*\/)?(tests|emulator|selftest)\//;
    assert.deepEqual(
      files.filter((file) => unwanted.test(file)),
      [],
    );
    const scripts = files.filter((file) => file.startsWith("scripts/"));
    assert.deepEqual(scripts.sort(), ["scripts/build-torchscript.mjs", "scripts/install.mjs"]);
    // What is left out is not needed by what is built: no source includes it, no build file names it.
    const built = files.filter((file) =>
      /^(native|cmake|scripts)\/|^CMakeLists\.txt$|^binding\.gyp$/.test(file),
    );
    for (const file of built) {
      const text = await readFile(join(packageRoot, file), "utf8");
      for (const [, name] of text.matchAll(/^\s*#include "([^"]+)"/gm))
        assert.ok(!unwanted.test(`native/${name}`), `${file} includes ${name}, which is not packed`);
      if (!/\.(cpp|h|cu|cuh)$/.test(file))
        assert.doesNotMatch(
          text,
          /\bnative\b.{0,4}\b(tests|emulator|selftest)\b/,
          `${file} names what is not packed`,
        );
    }
  });
});
