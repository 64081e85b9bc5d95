/**
 * The safetensors format: 8 bytes with the header's length (little-endian), the header as JSON, then the data. Reading
 * trusts nothing: lengths, offsets, types and shapes are checked before anything is allocated.
 */
import { FileError, describe } from "./errors.js";
import { kindOfAny, kinds } from "./file-kinds.js";
import { elementCount, type Tensor } from "./tensor.js";

export interface Safetensors {
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** The header's `__metadata__`. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** Headers beyond this are refused, as the reference implementation does. */
const maxHeader = 100_000_000;
const sizes: Record<string, number> = { F32: 4, F64: 8, F16: 2, BF16: 2 };

/** The file's bytes: float32 tensors in the order of the map. */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, Tensor>,
  metadata: ReadonlyMap<string, string> = new Map(),
): Uint8Array {
  const parts = safetensorsParts(tensors, metadata);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** The same in parts to be written one after the other: the header, then the tensors' own memory. */
export function safetensorsParts(
  tensors: ReadonlyMap<string, Tensor>,
  metadata: ReadonlyMap<string, string> = new Map(),
): Uint8Array[] {
  const header: [string, unknown][] = [];
  if (metadata.size > 0) header.push(["__metadata__", Object.fromEntries(metadata)]);
  let offset = 0;
  for (const [name, { data, shape }] of tensors) {
    header.push([name, { dtype: "F32", shape, data_offsets: [offset, offset + data.byteLength] }]);
    offset += data.byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const padded = Math.ceil(json.length / 8) * 8;
  const start = new Uint8Array(8 + padded).fill(0x20, 8 + json.length);
  new DataView(start.buffer).setBigUint64(0, BigInt(padded), true);
  start.set(json, 8);
  return [
    start,
    ...[...tensors.values()].map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)),
  ];
}

/**
 * Reads a file's bytes. Tensors of type F32, F64, F16 and BF16 come as float32, as views of `bytes` where they can.
 *
 * @param name how messages call it
 * @throws FileError ERR_FILE_INVALID for bytes that are no sound safetensors file
 */
export function decodeSafetensors(bytes: Uint8Array, name: string): Safetensors {
  const fail = (what: string, cause?: unknown): FileError =>
    new FileError("ERR_FILE_INVALID", `${name}: not a sound safetensors file: ${what}${other}`, { cause });
  const kind = kindOfAny(bytes);
  const other = kind && kind !== kinds.safetensors && kind !== kinds.translator ? `; it is ${kind.is}` : "";
  if (bytes.length < 8) throw fail(`expected at least 8 bytes, got ${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(maxHeader) || length > BigInt(bytes.length - 8))
    throw fail(`its header claims ${length} bytes, the file has ${bytes.length - 8} after its length`);
  const start = 8 + Number(length);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, start)));
  } catch (error) {
    throw fail("its header is not JSON", error);
  }
  if (header === null || typeof header !== "object" || Array.isArray(header))
    throw fail("its header is not a JSON object");

  const metadata = new Map<string, string>();
  const tensors = new Map<string, Tensor>();
  const ranges: { begin: number; end: number; name: string; dtype: string; shape: readonly number[] }[] = [];
  const dataLength = bytes.length - start;
  for (const [key, value] of Object.entries(header as Record<string, unknown>)) {
    if (value === null || typeof value !== "object")
      throw fail(`the entry ${describe(key)} is not an object`);
    if (key === "__metadata__") {
      for (const [field, text] of Object.entries(value)) {
        if (typeof text !== "string") throw fail(`the metadata ${describe(field)} is not a string`);
        metadata.set(field, text);
      }
      continue;
    }
    const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
    const size = typeof dtype === "string" && Object.hasOwn(sizes, dtype) ? sizes[dtype]! : 0;
    if (size === 0)
      throw fail(`tensor ${describe(key)}: expected the type F32, F64, F16 or BF16, got ${describe(dtype)}`);
    if (!Array.isArray(shape) || shape.length > 16 || !shape.every(isCount))
      throw fail(`tensor ${describe(key)}: its shape is not a list of sizes`);
    if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount))
      throw fail(`tensor ${describe(key)}: its data_offsets are not two positions`);
    const [begin, end] = offsets as [number, number];
    const elements = elementCount(shape as number[]);
    if (begin > end || end > dataLength || !Number.isSafeInteger(elements) || end - begin !== elements * size)
      throw fail(
        `tensor ${describe(key)}: expected ${elements * size} bytes inside the ${dataLength} bytes of data, got the range ${begin} … ${end}`,
      );
    ranges.push({ begin, end, name: key, dtype: dtype as string, shape: [...(shape as number[])] });
  }
  // All ranges lie side by side before any is copied: overlapping ones could ask for far more than the file has.
  let at = 0;
  for (const { begin, end, name: key } of [...ranges].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== at) throw fail(`tensor ${describe(key)}: expected its data at ${at}, got ${begin}`);
    at = end;
  }
  if (at !== dataLength) throw fail(`expected ${at} bytes of data, got ${dataLength}`);
  for (const { begin, dtype, name: key, shape } of ranges)
    tensors.set(key, { data: floats(bytes, start + begin, elementCount(shape), dtype), shape });
  return { tensors, metadata };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function floats(bytes: Uint8Array, at: number, count: number, dtype: string): Float32Array {
  const from = bytes.byteOffset + at;
  // A view where the file's layout allows it: translators of classifiers with many classes have 100 MB of weights.
  if (dtype === "F32" && from % 4 === 0) return new Float32Array(bytes.buffer, from, count);
  const { buffer } = new Uint8Array(bytes.subarray(at, at + count * sizes[dtype]!));
  switch (dtype) {
    case "F32":
      return new Float32Array(buffer);
    case "F64":
      return Float32Array.from(new Float64Array(buffer));
    case "BF16": {
      const out = new Uint32Array(count);
      new Uint16Array(buffer).forEach((half, i) => (out[i] = half << 16));
      return new Float32Array(out.buffer);
    }
    default:
      return Float32Array.from(new Uint16Array(buffer), halfToFloat);
  }
}

function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * The tensor of a file by name, with the shape that is expected.
 *
 * @throws FileError ERR_FILE_INVALID
 */
export function findTensor(
  file: Safetensors,
  fileName: string,
  name: string,
  shape: readonly number[],
): Float32Array {
  const found = file.tensors.get(name);
  if (!found)
    throw new FileError("ERR_FILE_INVALID", `${fileName}: expected a tensor ${describe(name)}, got none`);
  if (found.shape.length !== shape.length || found.shape.some((dim, axis) => dim !== shape[axis]))
    throw new FileError(
      "ERR_FILE_INVALID",
      `${fileName}: tensor ${describe(name)}: expected the shape [${shape.join(", ")}], got [${found.shape.join(", ")}]`,
    );
  return found.data;
}

/**
 * The same, with only finite numbers.
 *
 * @throws FileError ERR_FILE_INVALID
 */
export function takeTensor(
  file: Safetensors,
  fileName: string,
  name: string,
  shape: readonly number[],
): Float32Array {
  const data = findTensor(file, fileName, name, shape);
  checkFinite(data, `${fileName}: tensor ${describe(name)}`);
  return data;
}

/** @throws FileError ERR_FILE_INVALID for a number that is not finite. */
export function checkFinite(data: Float32Array, what: string): void {
  for (let i = 0; i < data.length; i++)
    if (!Number.isFinite(data[i]!))
      throw new FileError(
        "ERR_FILE_INVALID",
        `${what}: expected finite numbers, got ${data[i]} at index ${i}`,
      );
}
