/** tr0n swallowed by a bundler: its addon is not where its code is, and the error says how to keep it out. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, type BuildOptions } from "esbuild";
import { packageRoot } from "../../lib/native/binding.js";
import { finish } from "../support/process.js";

describe("bundles", function () {
  this.timeout(60_000);
  let folder: string;
  before(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), "tr0n-bundle-")));
    await writeFile(join(folder, "package.json"), JSON.stringify({ name: "an-app" }));
    const index = JSON.stringify(join(packageRoot, "lib", "index.ts"));
    await writeFile(
      join(folder, "app.ts"),
      `import { loadModel } from ${index};
loadModel(Uint8Array.of(8, 8, 58, 0)).then(
  () => console.log("loaded"),
  (error) => console.log(JSON.stringify({ code: error.code, message: error.message })),
);`,
    );
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const bundled = async (name: string, options: BuildOptions): Promise<string> => {
    const outfile = join(folder, name);
    await mkdir(join(outfile, ".."), { recursive: true });
    await build({
      ...{
        entryPoints: [join(folder, "app.ts")],
        outfile,
        bundle: true,
        platform: "node",
        logLevel: "silent",
      },
      // What has binaries of its own, and what nothing here needs.
      external: ["sharp", "onnxruntime-node"],
      nodePaths: [join(packageRoot, "node_modules")],
      ...options,
    });
    return outfile;
  };

  const require =
    'import { createRequire as requireOfBanner } from "node:module"; const require = requireOfBanner(import.meta.url);';
  const cases: [string, BuildOptions][] = [
    ["cjs/app.cjs", { format: "cjs" }],
    ["esm/app.mjs", { format: "esm", banner: { js: require } }],
    // As webpack has it.
    [
      "named/app.cjs",
      {
        format: "cjs",
        define: { __filename: '"index.js"', "import.meta.url": '"file:///nowhere/index.js"' },
      },
    ],
  ];
  for (const [name, options] of cases)
    it(`${name}: a clear error that names external`, async () => {
      const { out, error } = await run(await bundled(name, options));
      assert.match(out, /^\{"code":"ERR_RUNTIME_MISSING"/, error);
      const { message } = JSON.parse(out) as { message: string };
      assert.match(message, /a bundler has put tr0n's code into /);
      assert.match(message, /external: \["tr0n"\].*externals: \{ tr0n.*serverExternalPackages: \["tr0n"\]/);
      assert.doesNotMatch(message, /npm rebuild/);
    });

  async function run(file: string): Promise<{ out: string; error: string }> {
    const { stdout, stderr } = await finish(process.execPath, [file], {
      cwd: folder,
      env: { ...process.env, TR0N_ADDON: "" },
    });
    return { out: stdout.trim(), error: stderr };
  }
});
