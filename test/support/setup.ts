/** For every run of the tests: nothing is kept in the user's cache, or taken from it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Processes of `--parallel` get the folder of the one that started them, which outlives them and removes it. */
const inherited = process.env["TR0N_TEST_FOLDER"];
const folder = inherited ?? mkdtempSync(join(tmpdir(), "tr0n-tests-"));
process.env["TR0N_TEST_FOLDER"] = folder;
process.env["TR0N_CACHE"] = join(folder, `${process.pid}`);
if (inherited === undefined) process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

/** Once a run, in the process that starts it. */
export async function mochaGlobalSetup(): Promise<void> {
  if (process.argv.includes("--parallel")) await (await import("./emulator-build.js")).buildForChildren();
}
