/** Values of models' inputs as a configuration says them: numbers, or files of numbers. */
import { readTensor } from "../base/read-matrix.js";
import { tensor, type Tensor } from "../base/tensor.js";
import type { ModelSpec } from "./document.js";

type FixedSpecs = NonNullable<ModelSpec["inputs"]>;

/** @throws FileError for a file that cannot be read */
export async function readFixedInputs(
  specs: FixedSpecs | undefined,
): Promise<Record<string, number | Tensor> | undefined> {
  if (specs === undefined) return undefined;
  const read = Object.entries(specs).map(async ([name, value]): Promise<[string, number | Tensor]> => {
    if (typeof value === "number") return [name, value];
    if (typeof value === "string") return [name, await readTensor(value, name)];
    return [name, value.length === 1 ? value[0]! : tensor(value, [value.length])];
  });
  return Object.fromEntries(await Promise.all(read));
}
