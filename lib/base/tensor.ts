import { ArgumentError, invalid } from "./errors.js";

/** Numbers of a shape: dense, row-major, float32. */
export interface Tensor {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/**
 * A tensor of its own: what a caller gave belongs to the call from the moment it is made, whatever the caller does to its
 * memory afterwards. Where native code takes a tensor before the first pause, it copies by itself.
 */
export function copyTensor({ data, shape }: Tensor): Tensor {
  return { data: new Float32Array(data), shape: [...shape] };
}

/** The number of elements of a shape; 1 for a scalar's `[]`. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/** The same of a shape with open sizes, each counted as 1. */
export function knownElementCount(shape: readonly (number | null)[]): number {
  return elementCount(shape.map((dim) => dim ?? 1));
}

/**
 * A float32 tensor over `data` (kept without a copy when it already is a Float32Array).
 *
 * @throws ArgumentError when a dimension is not a non-negative integer or the lengths disagree.
 */
export function tensor(data: ArrayLike<number>, shape: readonly number[]): Tensor {
  if (data === null || typeof data !== "object" || typeof data.length !== "number")
    throw invalid("data", "an array or typed array of numbers", data);
  checkShape("shape", shape);
  const count = elementCount(shape);
  if (data.length !== count)
    throw new ArgumentError(
      `data: expected ${count} elements for shape [${shape.join(", ")}], got ${data.length}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  return { data: data instanceof Float32Array ? data : Float32Array.from(data), shape: [...shape] };
}

/** Whether a value is meant as a tensor; {@link checkTensor} says whether it is one. */
export function isTensor(value: unknown): value is Tensor {
  return value !== null && typeof value === "object" && "data" in value && "shape" in value;
}

/** Throws unless `value` is an array of non-negative safe integers. */
function checkShape(name: string, value: unknown): asserts value is readonly number[] {
  if (!Array.isArray(value)) throw invalid(name, "an array of dimensions", value);
  for (const dim of value)
    if (!Number.isSafeInteger(dim) || (dim as number) < 0)
      throw invalid(name, "dimensions that are non-negative integers", dim);
}

/** Throws unless `value` is a tensor whose data fits its shape and, when asked, holds only finite numbers. */
export function checkTensor(
  name: string,
  value: unknown,
  options: { finite?: boolean } = {},
): asserts value is Tensor {
  const candidate = value as Tensor | null;
  if (candidate === null || typeof candidate !== "object" || !(candidate.data instanceof Float32Array))
    throw invalid(name, "a Tensor { data: Float32Array, shape }", value);
  checkShape(`${name}.shape`, candidate.shape);
  const count = elementCount(candidate.shape);
  if (candidate.data.length !== count)
    throw new ArgumentError(
      `${name}: expected ${count} elements for shape [${candidate.shape.join(", ")}], got ${candidate.data.length}`,
      { code: "ERR_SHAPE_MISMATCH" },
    );
  if (options.finite)
    for (let i = 0; i < candidate.data.length; i++)
      if (!Number.isFinite(candidate.data[i]!))
        throw new ArgumentError(`${name}: expected finite numbers, got ${candidate.data[i]} at index ${i}`);
}

/** Arrays one behind the other. */
export function concatenate(parts: readonly Float32Array[]): Float32Array {
  const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
