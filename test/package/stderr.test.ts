/** What a user sees of an error that nobody catches: its message, on a screen, whatever it was thrown from. */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { DivergenceError } from "../../lib/base/errors.js";
import { toTr0nError } from "../../lib/native/job.js";
import { packageRoot } from "../../lib/native/binding.js";
import { modelFile } from "../support/demo.js";
import { finish } from "../support/process.js";

/** Bytes, and characters of one line. */
const most = 2000;
const widest = 300;

describe("an error that nobody catches", function () {
  this.timeout(60_000);
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "tr0n-stderr-"));
    await mkdir(join(folder, "node_modules"));
    await symlink(packageRoot, join(folder, "node_modules", "tr0n"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const load = (source: string): string => `const model = await loadModel(${JSON.stringify(source)});\n`;
  const scripts: [string, string, string, RegExp][] = [
    [
      "of a mistyped path, in a module",
      "path.mjs",
      `import { loadModel } from "tr0n";\n${load("nope.onnx")}`,
      /^ModelError: nope\.onnx: cannot be read: no such file or folder$/m,
    ],
    [
      "of a mistyped path, in CommonJS",
      "path.cjs",
      `const { loadModel } = require("tr0n");\nvoid loadModel("nope.onnx");\n`,
      /^ModelError: nope\.onnx: cannot be read: no such file or folder$/m,
    ],
    [
      "of a call that throws at once, in a module",
      "sync.mjs",
      `import { tensor } from "tr0n";\ntensor([1, 2], [3]);\n`,
      /^ArgumentError: data: expected 3 elements for shape \[3\], got 2$/m,
    ],
    [
      "of a call that throws at once, in CommonJS",
      "sync.cjs",
      `const { differentiate } = require("tr0n");\ndifferentiate(new Uint8Array(9));\n`,
      /^ModelError: the model: expected an ONNX model, got 9 bytes of something else$/m,
    ],
    [
      "of the addon",
      "addon.mjs",
      `import { loadModel } from "tr0n";\n${load("damaged.onnx")}`,
      /^ModelError: damaged\.onnx: /m,
    ],
    [
      "of a run",
      "run.mjs",
      `import { loadModel, tensor } from "tr0n";\n${load(modelFile("classifier"))}await model.run(tensor(new Float32Array(12), [3, 4]));\n`,
      /^ArgumentError: inputs\.image: expected the shape /m,
    ],
  ];
  for (const [what, file, script, message] of scripts)
    it(`${what}: the message, where it happened, and under 2 kB`, async () => {
      await writeFile(join(folder, "damaged.onnx"), Uint8Array.of(8, 8, 58, 200));
      await writeFile(join(folder, file), script);
      const { code, stderr } = await finish(process.execPath, [file], { cwd: folder });
      assert.equal(code, 1, stderr.slice(0, most));
      assert.match(stderr, message);
      assert.match(stderr, /dist\/index\.cjs:\d+:\d+\)/, "no place in the package");
      assert.ok(Buffer.byteLength(stderr) < most, `${Buffer.byteLength(stderr)} bytes`);
      for (const line of stderr.split("\n")) assert.ok(line.length < widest, `a line of ${line.length}`);
    });

  it("of the command line: one line", async () => {
    const cli = join(packageRoot, "dist", "cli.cjs");
    const { code, stderr } = await finish(process.execPath, [cli, "inspect", "nope.onnx"], { cwd: folder });
    assert.equal(code, 1);
    assert.equal(
      stderr.trim(),
      "tr0n: nope.onnx: cannot be read: no such file or folder [ERR_MODEL_NOT_FOUND]",
    );
  });

  it("has numbers that are not printed with it, and no second copy of itself", () => {
    const trace = new Float32Array(100_000).fill(1 / 3);
    const given = Object.assign(new Error("chain 3, step 7: not finite"), { code: "ERR_DIVERGED", trace });
    const error = toTr0nError(given);
    assert.ok(error instanceof DivergenceError);
    assert.equal(error.trace, trace);
    const printed = inspect(error);
    assert.ok(printed.length < most, `${printed.length} characters`);
    assert.equal(printed.split("chain 3, step 7").length, 2, printed);
  });
});
