/** Models whose numbers are of other types than float32, and what is done to run them. */
import type { Graph } from "../onnx/index.js";
import { bfloatNode, floatEdge, halfBytes, hasDoubles, hasHalves } from "../onnx/index.js";

/** From this many bytes of weights on it matters that the runtime would keep a second copy of them, in float32. */
const keptHalf = 1 << 23;

export interface TypeChange {
  readonly by: "edges" | "halves" | "doubles";
  readonly value: string;
  readonly reason: string;
}

/** What a model's outline says must be done; on other devices the runtime has kernels of its own for half precision. */
export function typeChanges(outline: Graph, onCpu: boolean): TypeChange[] {
  const changes: TypeChange[] = [];
  const edges = [...outline.inputs, ...outline.outputs].flatMap((value) => floatEdge(value) ?? []);
  if (edges.length > 0)
    changes.push({
      by: "edges",
      value: "its inputs and outputs are float32, and are cast inside",
      reason: `${edges.join(", ")} in the file`,
    });
  const bfloat = onCpu ? bfloatNode(outline) : null;
  const bytes = onCpu ? halfBytes(outline) : 0;
  if (bfloat !== null || bytes >= keptHalf)
    changes.push({
      by: "halves",
      value: "half precision is computed in float32, its weights cast where they are used",
      reason:
        bfloat === null
          ? `else ONNX Runtime would keep a copy in float32 of its ${(bytes / 1e6).toFixed(0)} MB of weights`
          : `ONNX Runtime has no kernels for bfloat16 on CPUs (${bfloat})`,
    });
  return changes;
}

/** The same for a model that ONNX Runtime refused, for a reason that may be the types in it. */
export function refusedChanges(outline: Graph, message: string): TypeChange[] {
  const changes: TypeChange[] = [];
  const reason = `ONNX Runtime refuses it in its own: ${message}`;
  if (hasHalves(outline))
    changes.push({ by: "halves", value: "half precision is computed in float32", reason });
  if (hasDoubles(outline)) changes.push({ by: "doubles", value: "float64 is computed in float32", reason });
  return changes;
}
