/** Recurrent layers with the batch as their first axis, which is part of ONNX and which the runtime does not take. */
import { int } from "../attributes.js";
import { defineForm, turned } from "./table.js";

defineForm(
  "LSTM GRU RNN",
  (node) => int(node, "layout", 0) !== 0,
  ({ b, node, x, fail }) => {
    const own = new Map(node.attributes);
    own.delete("layout");
    const given = (i: number): string => (x[i] ? turned(b, x[i], [1, 0, 2]) : "");
    const inputs = [given(0), x[1]!, x[2]!, x[3] ?? "", x[4] ?? "", given(5), given(6), x[7] ?? ""];
    while (inputs.at(-1) === "") inputs.pop();
    if (node.outputs.length === 0) throw fail("nothing reads it");
    const outputs = node.outputs.map((name) => (name === "" ? "" : b.names.fresh(`${name}/steps first`)));
    b.append({ ...node, inputs, outputs, attributes: own });
    return outputs.map((name, i) =>
      name === "" ? null : turned(b, name, i === 0 ? [2, 0, 1, 3] : [1, 0, 2]),
    );
  },
);
