/** Inputs belong to the call from the moment it is made: what becomes of their memory afterwards changes nothing. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { finish } from "../support/process.js";

const program = fileURLToPath(new URL("../fixtures/lib/taken-inputs.ts", import.meta.url));

describe("inputs of 64 KiB and more", function () {
  this.timeout(180_000);
  // In a process of its own: what reads memory that is gone ends it.
  for (const way of ["overwritten", "transferred", "resized", "shared"])
    it(`${way} while their jobs run: every call gives what it gives when they are left alone`, async () => {
      const { code, signal, stdout, stderr } = await finish(
        process.execPath,
        ["--import", "tsx", program, way],
        { timeout: 170_000 },
      );
      assert.deepEqual([code, signal], [0, null], stderr.slice(-2000));
      assert.deepEqual(JSON.parse(stdout), []);
    });
});
