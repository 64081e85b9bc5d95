/** Determinants of small matrices. */
import { define, expanded } from "./rule.js";

/** Minors double with every row. */
const largest = 8;

// Expanded along the rows, minors by the columns they use: right for singular matrices, to any order.
define(
  "Det",
  expanded(({ b, x, y, rank, fail }) => {
    const value = x[0]!;
    const count = rank(value);
    const [rows, columns] = [count - 2, count - 1].map((axis) => b.shapes.dims(value)![axis]);
    const size = typeof columns === "number" ? columns : rows;
    if (typeof size !== "number" || size < 1 || size > largest)
      throw fail(`it is of matrices larger than ${largest}, or of a size known only at run time`);
    const entry = (row: number, column: number): string => {
      const line = b.op("Gather", [value, b.int(row)], { axis: count - 2 });
      return b.op("Gather", [line, b.int(column)], { axis: count - 2 });
    };
    /** The determinant of the last rows and as many columns. */
    const minors = new Map<string, string>();
    const minor = (used: readonly number[]): string => {
      const row = size - used.length;
      const key = used.join();
      const before = minors.get(key);
      if (before !== undefined) return before;
      const terms = used.map((column, i) => {
        const factor = entry(row, column);
        const rest = used.filter((other) => other !== column);
        const product = rest.length === 0 ? factor : b.op("Mul", [factor, minor(rest)]);
        return i % 2 === 0 ? product : b.op("Neg", [product]);
      });
      const sum = terms.length === 1 ? terms[0]! : b.op("Sum", terms);
      minors.set(key, sum);
      return sum;
    };
    return b.reshapeLike(minor(Array.from({ length: size }, (_, i) => i)), y);
  }),
);
