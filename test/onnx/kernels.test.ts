/** Which kernels the runtime has: float32-only.ts holds for every operator with a rule and every operator set. */
import assert from "node:assert/strict";
import { DataType, encodeModel } from "../../lib/onnx/index.js";
import { rules } from "../../lib/onnx/rules/index.js";
import { quantisedOperators } from "../../lib/onnx/straight-through.js";
import { canonicalOpset } from "../../lib/onnx/upgrade.js";
import { float32Only } from "../support/float32-only.js";
import { smallest, withBodies } from "../support/smallest.js";
import { newestOpset, session } from "../support/operators.js";

/** Operator sets for which the pinned runtime has lost an operator altogether. */
const gone: Record<string, number> = { Swish: 25, GlobalLpPool: 22 };

async function opens(opType: string, float: number, opset: number): Promise<boolean> {
  try {
    await (await session(encodeModel(smallest(opType, float, opset)))).release();
    return true;
  } catch (error) {
    assert.match(
      String(error),
      /Could not find an implementation|tensor\(double\)/,
      `${opType} at operator set ${opset}: the smallest node is wrong`,
    );
    return false;
  }
}

describe("onnx: kernels for float64", () => {
  for (const opType of [...rules.keys()].sort())
    // Quantised numbers are none of these types.
    if (!withBodies.has(opType) && !quantisedOperators.has(opType))
      it(opType, async () => {
        const last = Math.min(newestOpset, (gone[opType] ?? Infinity) - 1);
        for (let opset = canonicalOpset; opset <= last; opset++) {
          assert.ok(await opens(opType, DataType.FLOAT, opset), `float32 at operator set ${opset}`);
          assert.equal(
            await opens(opType, DataType.DOUBLE, opset),
            float32Only(opType, opset) === null,
            `float64 at operator set ${opset}: ${float32Only(opType, opset) ?? "not on the list"}`,
          );
        }
      });
});
