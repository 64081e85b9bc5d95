import { ArgumentError } from "../../base/errors.js";
import { elementCount } from "../../base/tensor.js";
import { check } from "../../options/check.js";
import { integer, list, object, required } from "../../options/describe.js";
import { defineStage, madeOr, turns, wholeNumbers, type RowShape } from "./kind.js";

export interface ReshapeStage {
  readonly kind: "reshape";
  readonly shape: readonly number[];
}

const options = object(
  {
    shape: required(
      list(integer({ min: -1, max: 2 ** 24 }), { most: 16 }),
      "sizes of a row; one may be -1 and follows from the others; the batch is not counted",
    ),
  },
  ({ shape }, name) => {
    const sizes = shape as readonly number[];
    if (sizes.includes(0) || sizes.filter((size) => size === -1).length > 1)
      throw new ArgumentError(
        `${name("shape")}: expected sizes above 0, of which one may be -1, got ${JSON.stringify(shape)}`,
      );
  },
);

/**
 * The numbers of each row in another shape, in the same order; one size may be -1 and follows from the others. The batch is
 * not counted: reshape([3, 32, 32]) makes images of rows of 3,072 numbers.
 */
function make(shape: readonly number[]): ReshapeStage {
  const checked = check(options, { shape }, { name: "stage.reshape" });
  return Object.freeze({ kind: "reshape", shape: Object.freeze(checked.shape) });
}

function reshaped({ shape }: ReshapeStage, from: RowShape): RowShape | null {
  const size = elementCount(from);
  const open = shape.indexOf(-1);
  const known = elementCount(shape.filter((length) => length !== -1));
  if (open < 0) return known === size ? shape : null;
  return size % known === 0 && size > 0 ? shape.with(open, size / known) : null;
}

export const reshape = defineStage({
  kind: "reshape",
  is: "the numbers of a row in another shape",
  options,
  make,
  check: ({ shape }: ReshapeStage) => make(shape),
  takes: ({ shape }) => {
    const known = elementCount(shape.filter((length) => length !== -1));
    return `rows of ${shape.includes(-1) ? "a multiple of " : ""}${known} numbers, for the shape [${shape.join(", ")}]`;
  },
  shape: reshaped,
  moves: true,
  emit: (b, x, stage) => {
    const from = b.shapes.dims(x)!.slice(1) as number[];
    const [batch] = b.shapes.dims(x)!;
    // A batch of unknown size is what is left; the sizes of a row are known.
    return b.reshape(x, [typeof batch === "number" ? batch : -1, ...reshaped(stage, from)!]);
  },
  flag: {
    name: "reshape",
    turn: turns.reshape,
    value: "SIZES",
    help: "the numbers of each image in another shape, before all else: 3,32,32; one may be -1",
    expected: "sizes such as 3,32,32, of which one may be -1",
    read: (value) => {
      const shape = wholeNumbers(value);
      return shape && madeOr(() => make(shape));
    },
  },
});
