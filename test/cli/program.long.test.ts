import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { finish } from "../support/process.js";
import { workplace } from "../support/cli.js";

const program = ["--import=tsx", fileURLToPath(new URL("../../lib/cli/main.ts", import.meta.url))];
const root = fileURLToPath(new URL("../..", import.meta.url));

/** The same command line as a process of its own. */
describe("command line, as a program", () => {
  it("uses standard output, standard error and the exit code as they are meant", async () => {
    const good = await finish(process.execPath, [...program, "inspect", "models/classifier.onnx", "--json"], {
      cwd: root,
    });
    assert.equal(good.code, 0, good.stderr);
    assert.equal(good.stderr, "");
    assert.equal((JSON.parse(good.stdout) as { opset: number }).opset, 17);
    const failed = await finish(process.execPath, [...program, "inspect", "models/none.onnx"], { cwd: root });
    assert.equal(failed.code, 1);
    assert.equal(failed.stdout, "");
    assert.match(failed.stderr, /^tr0n: models\/none\.onnx: [^\n]+ \[ERR_MODEL_NOT_FOUND\]\n$/);
    const usage = await finish(process.execPath, [...program, "inspect"], { cwd: root });
    assert.equal(usage.code, 2);
  });

  it("ends at a real Ctrl-C with 130 and draws no progress bar into a pipe", async () => {
    const place = await workplace();
    try {
      const before = await readdir(place.path("."));
      const line = ["train", ...place.models, "-n", "3000000", "-o", place.path("t.safetensors")];
      const child = spawn(process.execPath, [...program, ...line, "--checkpoint", place.path("checkpoint")], {
        cwd: root,
        stdio: ["ignore", "ignore", "pipe"],
      });
      let stderr = "";
      child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
      const closed = new Promise((resolve) => child.on("close", resolve));
      // The first checkpoint is written before anything long runs.
      while (!(await readdir(place.path("."))).includes("checkpoint") && child.exitCode === null)
        await new Promise((resolve) => setTimeout(resolve, 20));
      child.kill("SIGINT");
      assert.equal(await closed, 130, stderr);
      // What was decided, a line each, and then the end.
      assert.match(
        stderr,
        /^(tr0n: (warning: )?\w+: [^\n]+, because [^\n]+\n)+tr0n: stopped by SIGINT \[ERR_ABORTED\]\n$/,
      );
      assert.deepEqual((await readdir(place.path("."))).sort(), [...before, "checkpoint"].sort());
    } finally {
      await place.remove();
    }
  });

  it("says so when the disk takes no more, and leaves the old file", async function () {
    if (process.platform !== "linux") {
      process.stdout.write("      skipped: needs Linux, for a limit on file sizes\n");
      return this.skip();
    }
    const place = await workplace();
    try {
      // A limit of 0 blocks a file: every write fails as on a full disk, with EFBIG.
      const line = [
        process.execPath,
        ...program,
        "differentiate",
        place.path("f.onnx"),
        "-o",
        place.path("df.onnx"),
      ];
      const limited = await finish("bash", ["-c", `ulimit -f 0; exec "$@"`, "bash", ...line], {
        cwd: root,
        env: { ...process.env, TSX_DISABLE_CACHE: "1" },
      });
      assert.equal(limited.code, 1, limited.stderr);
      assert.match(
        limited.stderr,
        /df\.onnx: cannot be written: .*larger than the system allows.*\[ERR_IO\]/,
      );
      assert.deepEqual((await readdir(place.path("."))).sort(), ["f.onnx", "g.onnx"]);
    } finally {
      await place.remove();
    }
  });
});
