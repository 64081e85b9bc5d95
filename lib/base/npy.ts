/** NumPy's .npy: a magic word, a header that is a Python dictionary, then numbers. */
import { FileError } from "./errors.js";
import { elementCount, type Tensor } from "./tensor.js";

/** Reads an element at a byte, by NumPy's type. Whole numbers of 64 bits come as the nearest float32. */
const readers: Readonly<
  Record<string, readonly [bytes: number, read: (view: DataView, at: number) => number]>
> = {
  f4: [4, (view, at) => view.getFloat32(at, true)],
  f8: [8, (view, at) => view.getFloat64(at, true)],
  i1: [1, (view, at) => view.getInt8(at)],
  i2: [2, (view, at) => view.getInt16(at, true)],
  i4: [4, (view, at) => view.getInt32(at, true)],
  i8: [8, (view, at) => Number(view.getBigInt64(at, true))],
  u1: [1, (view, at) => view.getUint8(at)],
  u2: [2, (view, at) => view.getUint16(at, true)],
  u4: [4, (view, at) => view.getUint32(at, true)],
  u8: [8, (view, at) => Number(view.getBigUint64(at, true))],
  b1: [1, (view, at) => (view.getUint8(at) === 0 ? 0 : 1)],
};

/**
 * The numbers of a file's bytes, as float32.
 *
 * @param name how messages call it
 * @throws FileError ERR_FILE_INVALID for bytes that are no sound .npy file, and for numbers that are not those of a machine
 */
export function decodeNpy(bytes: Uint8Array, name: string): Tensor {
  const fail = (what: string): FileError =>
    new FileError("ERR_FILE_INVALID", `${name}: not a sound .npy file: ${what}`);
  const text = (from: number, to: number): string => Buffer.from(bytes.subarray(from, to)).toString("latin1");
  if (bytes.length < 12 || text(0, 6) !== "\x93NUMPY") throw fail("it does not begin as one");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [major, wide] = [bytes[6]!, bytes[6]! > 1];
  if (major < 1 || major > 3) throw fail(`version ${major}, expected 1, 2 or 3`);
  const begin = wide ? 12 : 10;
  const end = begin + (wide ? view.getUint32(8, true) : view.getUint16(8, true));
  if (end > bytes.length) throw fail("its header is cut off");
  const header = text(begin, end);
  const type = /'descr':\s*'([<>|=]?)([a-z]\d+)'/.exec(header);
  const sizes = /'shape':\s*\(([\d,\sL]*)\)/.exec(header);
  const order = /'fortran_order':\s*(True|False)/.exec(header);
  if (!type || !sizes || !order)
    throw fail(`expected a header with descr, fortran_order and shape, got ${header.trim()}`);
  const reader = readers[type[2]!];
  if (!reader || (type[1] === ">" && reader[0] > 1))
    throw fail(
      `numbers of type ${type[1]}${type[2]}, expected ${Object.keys(readers)
        .map((key) => `<${key}`)
        .join(", ")}`,
    );
  const shape = sizes[1]!
    .split(",")
    .map((part) => part.replace("L", "").trim())
    .filter((part) => part !== "")
    .map(Number);
  const [size, read] = reader;
  const count = elementCount(shape);
  if (bytes.length - end !== count * size)
    throw fail(`expected ${count * size} bytes for [${shape.join(", ")}], got ${bytes.length - end}`);
  const data = new Float32Array(count);
  // Of Fortran's order the first axis runs fastest.
  const strides = order[1] === "True" ? fortranStrides(shape) : null;
  for (let i = 0; i < count; i++)
    data[i] = read(view, end + size * (strides ? placeOf(i, shape, strides) : i));
  return { data, shape };
}

function fortranStrides(shape: readonly number[]): number[] {
  let stride = 1;
  return shape.map((length) => {
    const own = stride;
    stride *= length;
    return own;
  });
}

/** Where element `index` of the usual order lies. */
function placeOf(index: number, shape: readonly number[], strides: readonly number[]): number {
  let rest = index;
  let place = 0;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    place += (rest % shape[axis]!) * strides[axis]!;
    rest = Math.floor(rest / shape[axis]!);
  }
  return place;
}
