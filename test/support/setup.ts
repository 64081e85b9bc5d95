/** For every run of the tests: nothing is kept in the user's cache, or taken from it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folder = mkdtempSync(join(tmpdir(), "tr0n-tests-cache-"));
process.env["TR0N_CACHE"] = folder;
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
