/** How much memory models may take, as a user says it. */
import { invalid } from "../base/errors.js";
import { either, integer, option, text } from "../options/describe.js";

/** Decimal units, and binary ones. */
const units: Record<string, number> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

const size = /^(\d+(?:\.\d+)?)\s*([KMGT]?i?B)$/i;

/** @internal */
export const memoryOption = option(
  either(integer({ min: 1 }), text('a size such as "2GB" or "1.5GiB"', size)),
  "what the values of models may take of this machine's memory while they run: bytes, or a text with a unit",
  {
    more:
      "Fewer rows run at once where it needs that, with the same results. Estimated from the models' shapes before anything " +
      "runs; weights are not part of it. Where not one row fits, ERR_OUT_OF_MEMORY says what is needed. Only for models on the CPU.",
    otherwise: "no limit but maxBatch",
  },
);

/** @throws ArgumentError */
export function memoryBytes(name: string, given: number | string | undefined): number | undefined {
  if (given === undefined || typeof given === "number") return given;
  const [, amount, unit] = size.exec(given) ?? [];
  const bytes = Math.floor(Number(amount) * (units[unit?.toLowerCase() ?? ""] ?? NaN));
  if (!(bytes >= 1)) throw invalid(name, 'a size such as "2GB" or "1.5GiB"', given);
  return bytes;
}
