/** Shape rules of losses. */
import { string } from "../attributes.js";
import { define } from "./table.js";

define("NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss", (c) => {
  const none = string(c.node, "reduction", "mean") === "none";
  c.set(0, c.type(0).elemType, none ? c.dims(1) : []);
  c.set(1, c.type(0).elemType, c.dims(0));
});
