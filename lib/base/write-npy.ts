/** NumPy's .npy: a header that says type and shape, then the numbers. */
import { writeFileAtomic } from "./atomic-write.js";
import { checkPath } from "./check.js";
import { checkTensor, type Tensor } from "./tensor.js";

/** The format wants the numbers at a multiple of this. */
const alignment = 64;

/** The parts of a file: header, and the tensor's own memory. */
function npyParts({ data, shape }: Tensor): Uint8Array[] {
  const sizes = `${shape.join(", ")}${shape.length === 1 ? "," : ""}`;
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${sizes}), }`;
  const before = 10; // magic, version, and the header's length
  const padded = Math.ceil((before + text.length + 1) / alignment) * alignment - before;
  const header = new Uint8Array(before + padded).fill(0x20);
  header.set([0x93, ...Buffer.from("NUMPY"), 1, 0, padded & 255, padded >> 8]);
  header.set(Buffer.from(text), before);
  header[header.length - 1] = 0x0a;
  return [header, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)];
}

/**
 * Writes a tensor as .npy, which `numpy.load(path)` reads: float32, atomically as {@link writeImages} does.
 *
 * @throws FileError ERR_IO (unwritable path, full disk) naming the path; ArgumentError; AbortError
 */
export async function writeNpy(
  path: string,
  tensor: Tensor,
  options: { signal?: AbortSignal } = {},
): Promise<void> {
  checkPath("path", path);
  checkTensor("tensor", tensor);
  // A copy: the file is written while the caller does with these numbers what it likes.
  const own = { data: new Float32Array(tensor.data), shape: [...tensor.shape] };
  await writeFileAtomic(path, npyParts(own), options);
}
