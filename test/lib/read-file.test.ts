import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readWholeFile } from "../../lib/base/read-file.js";
import { withFolder } from "../support/tiny.js";

describe("readWholeFile", () => {
  it("reads a file, and says what is missing", () =>
    withFolder(async (folder) => {
      const path = join(folder, "file");
      await assert.rejects(readWholeFile(path), { code: "ENOENT" });
      await writeFile(path, "whole");
      assert.equal((await readWholeFile(path)).toString(), "whole");
      await assert.rejects(readWholeFile(folder), { code: "EISDIR" });
      await assert.rejects(readWholeFile(path, AbortSignal.abort()), { name: "AbortError" });
    }));

  it("refuses what never ends: a device, and a pipe that nobody writes to", () =>
    withFolder(async (folder) => {
      await assert.rejects(readWholeFile("/dev/zero"), /a device, a pipe or a socket/);
      const pipe = join(folder, "pipe");
      assert.equal(spawnSync("mkfifo", [pipe]).status, 0);
      await assert.rejects(readWholeFile(pipe), /a device, a pipe or a socket/);
    }));
});
