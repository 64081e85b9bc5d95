/** Tensors by name in a .safetensors file. */
import { writeFileAtomic } from "./atomic-write.js";
import { checkPath } from "./check.js";
import { invalid } from "./errors.js";
import { safetensorsParts } from "./safetensors.js";
import { checkTensor, copyTensor, type Tensor } from "./tensor.js";

/**
 * Writes tensors under their names as .safetensors, float32, atomically as {@link writeImages} does.
 *
 * @throws FileError ERR_IO (unwritable path, full disk) naming the path; ArgumentError; AbortError
 */
export async function writeSafetensors(
  path: string,
  tensors: Readonly<Record<string, Tensor>>,
  options: { signal?: AbortSignal } = {},
): Promise<void> {
  checkPath("path", path);
  if (tensors === null || typeof tensors !== "object") throw invalid("tensors", "tensors by name", tensors);
  const own = new Map<string, Tensor>();
  for (const [name, tensor] of Object.entries(tensors)) {
    checkTensor(`tensors.${name}`, tensor);
    if (name === "__metadata__") throw invalid("tensors", "names other than __metadata__", name);
    // A copy: the file is written while the caller does with these numbers what it likes.
    own.set(name, copyTensor(tensor));
  }
  await writeFileAtomic(path, safetensorsParts(own), options);
}
