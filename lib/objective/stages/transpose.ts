import { invalid } from "../../base/errors.js";
import { check } from "../../options/check.js";
import { integer, list, object, required } from "../../options/describe.js";
import { defineStage, madeOr, turns, wholeNumbers } from "./kind.js";

export interface TransposeStage {
  readonly kind: "transpose";
  readonly order: readonly number[];
}

const options = object(
  {
    order: required(
      list(integer({ min: 0, max: 15 }), { most: 16 }),
      "which axis of a row each of the result's is, from 0; the batch is not counted",
    ),
  },
  ({ order }, name) => {
    const axes = order as readonly number[];
    if (new Set(axes).size < axes.length || Math.max(...axes) >= axes.length)
      throw invalid(name("order"), `the axes 0 … ${axes.length - 1}, each once`, JSON.stringify(axes));
  },
);

/**
 * The axes of each row in another order, the batch not counted: transpose([2, 0, 1]) makes images [H, W, C] to [C, H, W],
 * and transpose([1, 2, 0]) those to [H, W, C].
 */
function make(order: readonly number[]): TransposeStage {
  const checked = check(options, { order }, { name: "stage.transpose" });
  return Object.freeze({ kind: "transpose", order: Object.freeze(checked.order) });
}

export const transpose = defineStage({
  kind: "transpose",
  is: "the axes of a row in another order",
  options,
  make,
  check: ({ order }: TransposeStage) => make(order),
  takes: ({ order }) => `rows of ${order.length} ax${order.length === 1 ? "is" : "es"} behind the batch`,
  shape: ({ order }, shape) => (shape.length === order.length ? order.map((axis) => shape[axis]!) : null),
  moves: true,
  emit: (b, x, { order }) => b.op("Transpose", [x], { perm: [0, ...order.map((axis) => axis + 1)] }),
  flag: {
    name: "transpose",
    turn: turns.transpose,
    value: "AXES",
    help: "the axes of each image in another order: 2,0,1 puts the channels of [H, W, C] first",
    expected: "axes such as 2,0,1, each once",
    read: (value) => {
      const order = wholeNumbers(value);
      return order && madeOr(() => make(order));
    },
  },
});
