/** Constant tensors (`TensorProto`): making them, and reading their numbers without copying where possible. */
import { create } from "@bufbuild/protobuf";
import {
  TensorProto_DataLocation,
  TensorProto_DataType as DataType,
  TensorProtoSchema,
  type TensorProto,
} from "onnx-buf";
import { ModelError, Tr0nError } from "../base/errors.js";
import { exactInteger, isWithin, toInt64 } from "./int64.js";

export { DataType };

/** Bytes per element of the types whose elements are whole bytes. */
const elementBytes = new Map<number, number>([
  [DataType.FLOAT, 4],
  [DataType.DOUBLE, 8],
  [DataType.INT64, 8],
  [DataType.INT32, 4],
  [DataType.INT16, 2],
  [DataType.INT8, 1],
  [DataType.UINT64, 8],
  [DataType.UINT32, 4],
  [DataType.UINT16, 2],
  [DataType.UINT8, 1],
  [DataType.BOOL, 1],
  [DataType.FLOAT16, 2],
  [DataType.BFLOAT16, 2],
]);

/** Bytes of an element; null for a type whose elements are not whole bytes. */
export function elementSize(elemType: number): number | null {
  return elementBytes.get(elemType) ?? null;
}

/** "float32", "int64", … as messages spell an element type. */
export function typeName(elemType: number): string {
  if (elemType === DataType.FLOAT) return "float32";
  if (elemType === DataType.DOUBLE) return "float64";
  return elemType === 0 ? "unknown" : (DataType[elemType]?.toLowerCase() ?? `type ${elemType}`);
}

/** The least and the greatest value of each integer type. */
const ranges = new Map<number, readonly [bigint, bigint]>(
  [2, 4, 8, 16, 32, 64].flatMap((bits) => {
    const half = 1n << BigInt(bits - 1);
    return [
      [DataType[`INT${bits}` as "INT8"], [-half, half - 1n]],
      [DataType[`UINT${bits}` as "UINT8"], [0n, 2n * half - 1n]],
    ] as [number, [bigint, bigint]][];
  }),
).set(DataType.BOOL, [0n, 1n]);

/** The least and the greatest value of an integer type that float32 tells from its neighbours; null for any other. */
export function integerRange(elemType: number): readonly [number, number] | null {
  const range = elemType === DataType.BOOL ? undefined : ranges.get(elemType);
  return range ? [Number(range[0]), Number(range[1])] : null;
}

export function isInteger(elemType: number): boolean {
  return elemType !== DataType.BOOL && ranges.has(elemType);
}

/** Whether an integer type (BOOL among them) has a value. */
export function holds(elemType: number, value: number | bigint): boolean {
  const range = ranges.get(elemType);
  return range !== undefined && isWithin(value, ...range);
}

/** Types that can carry an adjoint. */
export function isFloat(elemType: number): boolean {
  return (
    elemType === DataType.FLOAT ||
    elemType === DataType.DOUBLE ||
    elemType === DataType.FLOAT16 ||
    elemType === DataType.BFLOAT16
  );
}

/**
 * A constant of `elemType` with the given numbers. float32 and float64 data that already have the right type are
 * kept without a copy.
 *
 * @throws ModelError ERR_MODEL_INVALID for an integer that the type does not hold exactly
 */
export function makeTensor(
  name: string,
  elemType: number,
  dims: readonly number[],
  data: ArrayLike<number | bigint>,
): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dataType: elemType,
    dims: dims.map(toInt64),
    rawData: encodeNumbers(elemType, data),
  });
}

function encodeNumbers(elemType: number, data: ArrayLike<number | bigint>): Uint8Array<ArrayBuffer> {
  const small = (value: number | bigint): number => {
    if (holds(elemType, value)) return Number(value);
    throw new ModelError(
      "ERR_MODEL_INVALID",
      `expected a number of type ${typeName(elemType)}, got ${value}`,
    );
  };
  switch (elemType) {
    case DataType.FLOAT:
      return bytesOf(data instanceof Float32Array ? data : Float32Array.from(data, Number));
    case DataType.DOUBLE:
      return bytesOf(data instanceof Float64Array ? data : Float64Array.from(data, Number));
    case DataType.INT64:
      return bytesOf(BigInt64Array.from(Array.from(data), toInt64));
    case DataType.INT32:
      return bytesOf(Int32Array.from(data, small));
    case DataType.INT16:
      return bytesOf(Int16Array.from(data, small));
    case DataType.INT8:
      return bytesOf(Int8Array.from(data, small));
    case DataType.UINT32:
      return bytesOf(Uint32Array.from(data, small));
    case DataType.UINT16:
      return bytesOf(Uint16Array.from(data, small));
    case DataType.BOOL:
    case DataType.UINT8:
      return bytesOf(Uint8Array.from(data, small));
    case DataType.FLOAT16:
      return bytesOf(Uint16Array.from(Array.from(data, Number), toFloat16));
    case DataType.BFLOAT16:
      return bytesOf(Uint16Array.from(Array.from(data, Number), toBfloat16));
    default:
      throw new ModelError("ERR_MODEL_UNSUPPORTED", `constants of type ${typeName(elemType)} cannot be made`);
  }
}

function bytesOf(view: ArrayBufferView): Uint8Array<ArrayBuffer> {
  return new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength);
}

/** The dimensions as numbers. Throws when one is negative or beyond 2⁵³. */
export function tensorDims(tensor: TensorProto): number[] {
  return tensor.dims.map((dim) => {
    if (dim < 0n || dim > BigInt(Number.MAX_SAFE_INTEGER))
      throw new ModelError("ERR_MODEL_INVALID", `constant "${tensor.name}": ${dim} is not a dimension`);
    return Number(dim);
  });
}

export function isExternal(tensor: TensorProto): boolean {
  return tensor.dataLocation === TensorProto_DataLocation.EXTERNAL;
}

/** The number of elements the dimensions promise. */
export function tensorSize(tensor: TensorProto): number {
  return tensorDims(tensor).reduce((product, dim) => product * dim, 1);
}

/** The bytes that the dimensions promise; null for a type whose elements are not whole bytes. */
export function tensorBytes(tensor: TensorProto): number | null {
  const size = elementBytes.get(tensor.dataType);
  return size === undefined ? null : size * tensorSize(tensor);
}

/** As {@link readNumbers}, of floating-point constants; null for any other. */
export function readFloats(tensor: TensorProto): ArrayLike<number> | null {
  return isFloat(tensor.dataType) ? (readNumbers(tensor) as ArrayLike<number> | null) : null;
}

/** The data of a constant whose numbers another thread has. */
export const numbersElsewhere = new Uint8Array(0);

/** A pass wants the numbers of a constant that another thread has: it is to be given them, and run again. */
export class ElsewhereError extends Tr0nError {
  constructor(tensor: TensorProto) {
    super("ERR_INTERNAL", `the numbers of constant "${tensor.name}" did not come along`);
    this.name = "Tr0nError";
  }
}

/**
 * The numbers of a constant, row-major: a view for aligned float32 and float64, else a copy. null when the data
 * is in another file or of a type without numbers. 64-bit integers beyond 2⁵³ are bigints, all others numbers.
 *
 * @throws ModelError when data and dimensions disagree, ElsewhereError.
 */
export function readNumbers(tensor: TensorProto): ArrayLike<number | bigint> | null {
  if (tensor.rawData === numbersElsewhere) throw new ElsewhereError(tensor);
  if (isExternal(tensor)) return null;
  const size = elementBytes.get(tensor.dataType);
  if (size === undefined) return null;
  const count = tensorSize(tensor);
  const raw = tensor.rawData;
  if (raw.length === 0 && count > 0) {
    const typed = typedNumbers(tensor);
    return typed && checkCount(tensor, typed, count);
  }
  if (raw.length !== count * size)
    throw new ModelError(
      "ERR_MODEL_INVALID",
      `constant "${tensor.name}": expected ${count * size} bytes for [${tensor.dims.join(", ")}], got ${raw.length}`,
    );
  return decodeRaw(tensor.dataType, raw, count);
}

function checkCount<T extends ArrayLike<number | bigint>>(tensor: TensorProto, data: T, count: number): T {
  if (data.length !== count)
    throw new ModelError(
      "ERR_MODEL_INVALID",
      `constant "${tensor.name}": expected ${count} elements for [${tensor.dims.join(", ")}], got ${data.length}`,
    );
  return data;
}

function typedNumbers(tensor: TensorProto): ArrayLike<number | bigint> | null {
  switch (tensor.dataType) {
    case DataType.FLOAT:
      return tensor.floatData;
    case DataType.DOUBLE:
      return tensor.doubleData;
    case DataType.INT64:
      return tensor.int64Data.map(exactInteger);
    case DataType.UINT32:
    case DataType.UINT64:
      return tensor.uint64Data.map(exactInteger);
    case DataType.FLOAT16:
      return tensor.int32Data.map(fromFloat16);
    case DataType.BFLOAT16:
      return tensor.int32Data.map(fromBfloat16);
    default:
      return tensor.int32Data;
  }
}

function decodeRaw(elemType: number, raw: Uint8Array, count: number): ArrayLike<number | bigint> | null {
  const size = elementBytes.get(elemType)!;
  // Not slice(): a Node Buffer has its own, which makes a view.
  const aligned = raw.byteOffset % size === 0 ? raw : new Uint8Array(raw);
  const at = [aligned.buffer as ArrayBuffer, aligned.byteOffset, count] as const;
  switch (elemType) {
    case DataType.FLOAT:
      return new Float32Array(...at);
    case DataType.DOUBLE:
      return new Float64Array(...at);
    case DataType.INT64:
      return Array.from(new BigInt64Array(...at), exactInteger);
    case DataType.UINT64:
      return Array.from(new BigUint64Array(...at), exactInteger);
    case DataType.INT32:
      return new Int32Array(...at);
    case DataType.UINT32:
      return new Uint32Array(...at);
    case DataType.INT16:
      return new Int16Array(...at);
    case DataType.UINT16:
      return new Uint16Array(...at);
    case DataType.INT8:
      return new Int8Array(...at);
    case DataType.UINT8:
    case DataType.BOOL:
      return new Uint8Array(...at);
    case DataType.FLOAT16:
      return Array.from(new Uint16Array(...at), fromFloat16);
    case DataType.BFLOAT16:
      return Array.from(new Uint16Array(...at), fromBfloat16);
    default:
      return null;
  }
}

/** IEEE half precision to a number. */
function fromFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** A number to the nearest IEEE half precision, ties to even. */
function toFloat16(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size >= 65520) return sign | 0x7c00;
  const exponent = Math.max(Math.floor(Math.log2(size || 1e-30)), -14);
  const steps = roundEven(size / 2 ** (exponent - 10));
  // `steps` is in 2¹⁰ … 2¹¹ for normal numbers; a carry moves into the exponent by itself.
  return sign | (exponent === -14 && steps < 1024 ? steps : ((exponent + 15) << 10) + steps - 1024);
}

const word = new DataView(new ArrayBuffer(4));

/** The upper half of a float32. */
function fromBfloat16(bits: number): number {
  word.setUint32(0, bits << 16);
  return word.getFloat32(0);
}

/** A number to the nearest bfloat16, ties to even. */
function toBfloat16(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  word.setFloat32(0, value);
  const bits = word.getUint32(0);
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

function roundEven(value: number): number {
  const down = Math.floor(value);
  const rest = value - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? down + 1 : down;
}
