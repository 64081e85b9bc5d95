/** Models that were exported for one number of rows, opened for any where that is shown to give the same rows. */
import type { Decisions } from "../base/decisions.js";
import { Tr0nError } from "../base/errors.js";
import { elementCount, type Tensor } from "../base/tensor.js";
import { OnnxModel, type LoadedModel } from "./model.js";

/** Rows number `first` … of what a model is tried with, through a model. */
export type RunRows = (model: LoadedModel, first: number, rows: number) => Promise<Tensor>;

/** How far apart a row may be: of how far rows are apart, and of the output's largest number. */
const rounding = { change: 1e-3, size: 1e-5 };

/**
 * The model for any number of rows; null where its batch cannot be opened, which is told.
 *
 * @param rows that it was exported for
 * @param first its output for the first of the rows that it is tried with
 */
export async function openBatch(
  { role, decisions, signal }: { role: string; decisions: Decisions; signal: AbortSignal | undefined },
  model: LoadedModel,
  rows: number,
  first: Tensor,
  run: RunRows,
): Promise<OnnxModel | null> {
  const kept = (reason: string): null => {
    decisions.add({
      option: role,
      value: rows === 1 ? "rows run one by one" : `rows run in batches of ${rows}, the last one filled up`,
      reason: `${model.name} was exported for a batch of ${rows}, and ${reason}; exported with an open batch it is faster`,
      certain: true,
    });
    return null;
  };
  if (!(model instanceof OnnxModel)) return kept("TorchScript stays as it is");
  let opened: OnnxModel;
  try {
    opened = await model.adapted({ openBatch: rows }, signal);
    const wrong = await difference(model, opened, rows, first, run);
    if (wrong !== null) return kept(wrong);
  } catch (error) {
    if (signal?.aborted || !(error instanceof Tr0nError)) throw error;
    return kept(`with its batch made symbolic it does not run (${error.message})`);
  }
  decisions.add({
    option: role,
    value: `its batch of ${rows} is opened`,
    reason: "with the batch made symbolic it gives the same rows, for more of them and for fewer",
    certain: true,
  });
  return opened;
}

/** How rows of the opened model are not those of the original; null where they are. */
async function difference(
  model: LoadedModel,
  opened: OnnxModel,
  rows: number,
  first: Tensor,
  run: RunRows,
): Promise<string | null> {
  const row = first.shape.slice(1);
  const size = elementCount(row);
  // Of one row there must be neighbours; of several there must be more, and fewer.
  const counts = rows === 1 ? [1, 3] : [rows + 1, Math.max(1, Math.floor(rows / 2))];
  const expected = new Float32Array(Math.max(...counts) * size);
  expected.set(first.data);
  for (let at = rows; at * size < expected.length; at += rows) {
    const { data } = await run(model, at, rows);
    expected.set(data.subarray(0, Math.min(data.length, expected.length - at * size)), at * size);
  }
  const allowed = tolerance(expected, size);
  for (const count of counts) {
    const { data, shape } = await run(opened, 0, count);
    if (shape.join() !== [count, ...row].join())
      return `with its batch made symbolic it makes [${shape.join(", ")}] of ${count} rows`;
    const wrong = data.findIndex((x, i) => !(Math.abs(x - expected[i]!) <= allowed));
    if (wrong >= 0)
      return `with its batch made symbolic row ${Math.floor(wrong / size)} of ${count} is another one`;
  }
  return null;
}

function tolerance(expected: Float32Array, size: number): number {
  let [largest, change] = [0, 0];
  expected.forEach((x, i) => {
    largest = Math.max(largest, Math.abs(x));
    if (i >= size) change = Math.max(change, Math.abs(x - expected[i - size]!));
  });
  return rounding.change * change + rounding.size * largest;
}
