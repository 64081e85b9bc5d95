/** The page of operators says what the rules are. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { operatorsPage } from "../../scripts/operators.js";

describe("onnx: docs/operators.md", () => {
  it("is what scripts/operators.ts makes of the rules", () => {
    const page = readFileSync(new URL("../../docs/operators.md", import.meta.url), "utf8");
    assert.equal(page, operatorsPage(), "run npx tsx scripts/operators.ts");
  });
});
