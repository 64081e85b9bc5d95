/** Losses, which are energies in this library. */
import { int, string } from "../attributes.js";
import { DataType } from "../tensors.js";
import { define, expanded, type NodeContext } from "./rule.js";

// log-probabilities [N, C, ...], labels [N, ...], weights [C] → −w_label · log p_label, summed up or not.
define(
  "NegativeLogLikelihoodLoss",
  expanded((c) => likelihood(c, c.x[0]!)),
);
define(
  "SoftmaxCrossEntropyLoss",
  expanded((c) => {
    const logarithms = c.b.op("LogSoftmax", [c.x[0]!], { axis: 1 });
    return [likelihood(c, logarithms), logarithms];
  }),
);

function likelihood({ b, x, node }: NodeContext, logarithms: string): string {
  const labels = b.op("Cast", [x[1]!], { to: DataType.INT64 });
  const ignored = node.attributes.has("ignore_index") ? b.int(int(node, "ignore_index", 0)) : null;
  const kept = ignored && b.op("Not", [b.op("Equal", [labels, ignored])]);
  const safe = kept ? b.op("Where", [kept, labels, b.int(0)]) : labels;
  const picked = b.op("GatherElements", [logarithms, b.unsqueeze(safe, [1])], { axis: 1 });
  const losses = b.op("Neg", [b.op("Squeeze", [picked, b.ints([1])])]);
  const weights = [
    ...(x[2] ? [b.op("Gather", [x[2], safe], { axis: 0 })] : []),
    ...(kept ? [b.castLike(kept, losses)] : []),
  ];
  const weight = weights.length === 0 ? null : weights.reduce((p, q) => b.op("Mul", [p, q]));
  const weighted = weight ? b.op("Mul", [losses, weight]) : losses;
  const reduction = string(node, "reduction", "mean");
  if (reduction === "none") return weighted;
  const total = (value: string): string => b.op("ReduceSum", [value], { keepdims: 0 });
  if (reduction === "sum") return total(weighted);
  // The mean is over the weights, not over the rows.
  return weight
    ? b.op("Div", [total(weighted), total(weight)])
    : b.op("ReduceMean", [weighted], { keepdims: 0 });
}
