/** Rows of numbers in files: embeddings, tables. */
import { reason } from "./atomic-write.js";
import { FileError, describe } from "./errors.js";
import { readWholeFile } from "./read-file.js";
import { decodeNpy } from "./npy.js";
import { decodeSafetensors } from "./safetensors.js";
import { tensor, type Tensor } from "./tensor.js";

/**
 * Rows from JSON: [numbers], [[numbers], …] or { "data": […], "shape": […] }.
 *
 * @throws FileError ERR_IO, ERR_FILE_INVALID naming the path
 */
export async function readJsonRows(path: string): Promise<Tensor> {
  let text: string;
  try {
    text = (await readWholeFile(path)).toString("utf8");
  } catch (error) {
    throw new FileError("ERR_IO", `${path}: cannot be read: ${reason(error)}`, { cause: error });
  }
  const fail = (what: string, cause?: unknown): FileError =>
    new FileError(
      "ERR_FILE_INVALID",
      `${path}: expected JSON such as [0.1, …], [[0.1, …], …] or {"data", "shape"}, got ${what}`,
      {
        cause,
      },
    );
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fail("no JSON", error);
  }
  const shape = (value as { shape?: unknown } | null)?.shape;
  const numbers = (list: unknown): number[] => {
    if (!Array.isArray(list) || list.length === 0) throw fail(describe(list));
    for (const item of list)
      if (typeof item !== "number") throw fail(`${describe(item)} where a number must be`);
    return list as number[];
  };
  if (shape !== undefined) {
    const data = numbers((value as { data?: unknown }).data);
    try {
      return tensor(data, shape as number[]);
    } catch (error) {
      throw fail((error as Error).message, error);
    }
  }
  if (!Array.isArray(value)) throw fail(describe(value));
  if (!Array.isArray(value[0])) return tensor(numbers(value), [1, value.length]);
  const rows = value.map(numbers);
  const width = rows[0]!.length;
  if (rows.some((row) => row.length !== width)) throw fail("rows of different lengths");
  return tensor(rows.flat(), [rows.length, width]);
}

/** A matrix: the only tensor of a .safetensors file, a .npy file, or JSON. @throws FileError */
export async function readMatrix(path: string): Promise<Tensor> {
  return readTensor(path);
}

/**
 * The numbers of a .npy file, of JSON, or of a .safetensors file: its tensor of this name, else its only one.
 *
 * @throws FileError
 */
export async function readTensor(path: string, tensorName?: string): Promise<Tensor> {
  const npy = path.endsWith(".npy");
  if (!npy && !path.endsWith(".safetensors")) return readJsonRows(path);
  let bytes: Uint8Array;
  try {
    bytes = await readWholeFile(path);
  } catch (error) {
    throw new FileError("ERR_IO", `${path}: cannot be read: ${reason(error)}`, { cause: error });
  }
  if (npy) return decodeNpy(bytes, path);
  const { tensors } = decodeSafetensors(bytes, path);
  const named = tensorName === undefined ? undefined : tensors.get(tensorName);
  if (named) return named;
  const [only, ...others] = tensors.values();
  if (only === undefined || others.length > 0)
    throw new FileError(
      "ERR_FILE_INVALID",
      `${path}: expected one tensor${tensorName === undefined ? "" : `, or one called ${describe(tensorName)}`}, got ${tensors.size}`,
    );
  return only;
}
