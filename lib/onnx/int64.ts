/**
 * 64-bit integers. A JavaScript number holds whole numbers exactly up to 2⁵³ − 1, and files do hold larger ones: "to the
 * end" of a slice is 2⁶³ − 1, "from the end" −2⁶³. So an integer is a number where that is exact, and else a bigint.
 */
import { ModelError } from "../base/errors.js";

export const int64Max = (1n << 63n) - 1n;
export const int64Min = -(1n << 63n);

/** As a number where that is exact, else as it is. */
export function exactInteger(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/**
 * As int64, bit for bit.
 *
 * @throws ModelError ERR_MODEL_INVALID for a number that may have been rounded already, or does not fit
 */
export function toInt64(value: number | bigint): bigint {
  const big = typeof value === "bigint" ? value : Number.isSafeInteger(value) ? BigInt(value) : null;
  if (big === null || big < int64Min || big > int64Max)
    throw new ModelError(
      "ERR_MODEL_INVALID",
      `expected a whole number that 64 bits hold exactly, got ${value}: sizes, positions and pads of the model are too large`,
    );
  return big;
}

/** Whether `value` is a whole number of low … high. */
export function isWithin(value: number | bigint, low: number | bigint, high: number | bigint): boolean {
  return (typeof value === "bigint" || Number.isInteger(value)) && value >= low && value <= high;
}
