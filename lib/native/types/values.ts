/** What goes into native calls and comes back: jobs, arrays, tensors. */


/** A running native job. `cancel` makes `promise` reject with ERR_ABORTED within one step; it never rejects late. */
export interface NativeJob<T> {
  readonly promise: Promise<T>;
  cancel(): void;
}

export type NativeArray = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;

/**
 * An array that nobody outside of lib/ has, or ever will: it is used where it lies. All other arrays are copied before a call
 * returns, because their owners may overwrite, transfer or resize them while a job runs.
 */
export interface Owned<T extends NativeArray> {
  readonly owned: T;
}

export interface NativeTensor {
  readonly data: NativeArray;
  readonly shape: readonly number[];
}

/** A tensor that is given to a call. */
export interface NativeInput {
  readonly data: NativeArray | Owned<NativeArray>;
  readonly shape: readonly number[];
}

export interface NativeValueInfo {
  readonly name: string;
  /** null where symbolic. */
  readonly shape: readonly (number | null)[];
  /** The symbolic names, null where fixed or anonymous. */
  readonly symbols: readonly (string | null)[];
  /** "float32", "float64", "int64", "int32", "bool", "uint8", "float16", … */
  readonly type: string;
}
