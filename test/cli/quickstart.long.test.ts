import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { readImage } from "../../lib/image/read.js";
import { finish } from "../support/process.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const example = join(root, "examples", "quickstart.ts");

describe("the example of the README", () => {
  it("is there word for word and short", async () => {
    const text = await readFile(example, "utf8");
    assert.ok((await readFile(join(root, "README.md"), "utf8")).includes(text.trim()));
    assert.ok(text.trim().split("\n").length <= 20);
  });

  it("runs as a user would write it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tr0n-quickstart-"));
    try {
      await symlink(join(root, "models"), join(folder, "models"));
      const { code, stdout, stderr } = await finish(
        process.execPath,
        [`--import=${pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href}`, example],
        { cwd: folder },
      );
      assert.equal(code, 0, stderr);
      assert.match(stdout, /Trained in \d+ s, \d+\.\d+ nats better than the prior/);
      assert.match(stdout, /p\(7 \| image\) is [01]\.\d+ for the first/);
      const picture = await readImage(join(folder, "out", "sevens.png"));
      assert.deepEqual(picture.shape, [1, 3, 4 * 130 + 2, 4 * 130 + 2]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
