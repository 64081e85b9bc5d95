/** Shape rules of recurrent layers. */
import { int, string } from "../attributes.js";
import type { Dim } from "../graph.js";
import { define } from "./table.js";

// All outputs of all steps [steps, directions, batch, size], and the states at the end [directions, batch, size].
define("LSTM GRU RNN", (c) => {
  const x = c.dims(0);
  const { elemType } = c.type(0);
  const size = int(c.node, "hidden_size", 0) || (c.dims(2)?.[2] ?? null);
  const directions = string(c.node, "direction", "forward") === "bidirectional" ? 2 : 1;
  const batchFirst = int(c.node, "layout", 0) !== 0;
  const [steps, batch]: [Dim, Dim] =
    x?.length !== 3 ? [null, null] : batchFirst ? [x[1]!, x[0]!] : [x[0]!, x[1]!];
  c.set(0, elemType, batchFirst ? [batch, steps, directions, size] : [steps, directions, batch, size]);
  for (const i of [1, 2])
    c.set(i, elemType, batchFirst ? [batch, directions, size] : [directions, batch, size]);
});
