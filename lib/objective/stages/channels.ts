import { isChannelsLast } from "../../base/layout.js";
import { check } from "../../options/check.js";
import { integer, list, object, required } from "../../options/describe.js";
import { defineStage, madeOr, turns, wholeNumbers } from "./kind.js";

export interface ChannelsStage {
  readonly kind: "channels";
  readonly order: readonly number[];
}

const options = object({
  order: required(
    list(integer({ min: 0, max: 2 ** 16 }), { most: 2 ** 16 }),
    "which channel each of the result's is, from 0",
  ),
});

/**
 * Channels in another order, some of them, or some several times: channels([2, 1, 0]) makes BGR of RGB and back,
 * channels([0, 0, 0]) three channels of one, channels([0, 1, 2]) leaves out an alpha channel.
 */
function make(order: readonly number[]): ChannelsStage {
  const checked = check(options, { order }, { name: "stage.channels" });
  return Object.freeze({ kind: "channels", order: Object.freeze(checked.order) });
}

export const channels = defineStage({
  kind: "channels",
  is: "channels in another order, some of them, or some several times",
  options,
  make,
  check: ({ order }: ChannelsStage) => make(order),
  takes: ({ order }) => `rows [batch, ${Math.max(...order) + 1} channels or more, …], their channels first`,
  shape: ({ order }, shape) =>
    shape.length > 0 && !isChannelsLast(shape) && Math.max(...order) < shape[0]!
      ? [order.length, ...shape.slice(1)]
      : null,
  emit: (b, x, { order }) => b.op("Gather", [x, b.ints(order)], { axis: 1 }),
  flag: {
    name: "channels",
    turn: turns.channels,
    value: "LIST",
    help: "channels in another order, or some of them: 2,1,0 for an encoder of BGR, 0,0,0 for three gray ones",
    expected: "channels such as 2,1,0, from 0",
    read: (value) => {
      const order = wholeNumbers(value);
      return order && madeOr(() => make(order));
    },
  },
});
