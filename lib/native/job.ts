/** Between native jobs and callers: errors become tr0n's classes, AbortSignals cancel jobs. */
import { setMaxListeners } from "node:events";
import {
  AbortError,
  ArgumentError,
  DivergenceError,
  FileError,
  ModelError,
  Tr0nError,
  type Tr0nErrorCode,
} from "../base/errors.js";
import type { NativeJob } from "./types/values.js";

/** @throws AbortError when the signal has fired already. */
export function throwIfAborted(what: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(what, signal);
}

/**
 * The error for a signal that fired: an AbortError with the signal's reason as its cause, or the reason itself where
 * the signal is a disposed object's own.
 */
function abortError(what: string, signal: AbortSignal): Tr0nError {
  const reason: unknown = signal.reason;
  if (reason instanceof Tr0nError && reason.code === "ERR_DISPOSED") return reason;
  return new AbortError(what, { cause: reason });
}

/**
 * Starts a native job unless the signal has fired, cancels it when the signal fires, and resolves or rejects as it
 * does. The listener is gone afterwards.
 */
export async function runJob<T>(
  what: string,
  signal: AbortSignal | undefined,
  start: () => NativeJob<T>,
): Promise<T> {
  throwIfAborted(what, signal);
  let job: NativeJob<T>;
  try {
    job = start();
  } catch (error) {
    throw toTr0nError(error);
  }
  const cancel = (): void => job.cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    return await job.promise;
  } catch (error) {
    if (signal?.aborted && codeOf(error) === "ERR_ABORTED") throw abortError(what, signal);
    throw toTr0nError(error);
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
}

/**
 * As {@link runJob} for a job that reports progress to a callback of the caller's. What the callback throws cancels the
 * job and is thrown on.
 */
export async function runJobWithProgress<T, P>(
  what: string,
  signal: AbortSignal | undefined,
  onProgress: ((progress: P) => void) | undefined,
  start: (report: ((progress: P) => void) | undefined) => NativeJob<T>,
): Promise<T> {
  if (!onProgress) return runJob(what, signal, () => start(undefined));
  let thrown: { error: unknown } | undefined;
  let job: NativeJob<T> | undefined;
  const report = (progress: P): void => {
    if (thrown) return;
    try {
      onProgress(progress);
    } catch (error) {
      thrown = { error };
      job?.cancel();
    }
  };
  try {
    const result = await runJob(what, signal, () => (job = start(report)));
    if (thrown) throw (thrown as { error: unknown }).error;
    return result;
  } catch (error) {
    throw thrown ? (thrown as { error: unknown }).error : error;
  }
}

/** Waits for a promise, but no longer than until the signal fires. */
export async function abortable<T>(
  what: string,
  promise: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (!signal) return promise;
  throwIfAborted(what, signal);
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(abortError(what, signal));
    signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Calls the addon, with its errors turned into tr0n's. */
export function callNative<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw toTr0nError(error);
  }
}

function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}

/**
 * An error of the addon as the class of errors.ts that its code belongs to; anything else is ERR_INTERNAL. The addon's own
 * is no cause of it: it says the same, and whoever prints an error would print all of it twice.
 */
export function toTr0nError(error: unknown): Tr0nError {
  if (error instanceof Tr0nError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const code = codeOf(error) as Tr0nErrorCode | undefined;
  switch (code) {
    case "ERR_INVALID_ARGUMENT":
    case "ERR_SHAPE_MISMATCH":
      return new ArgumentError(message, { code });
    case "ERR_MODEL_NOT_FOUND":
    case "ERR_MODEL_INVALID":
    case "ERR_MODEL_UNSUPPORTED":
    case "ERR_MODEL_CODE":
    case "ERR_NO_GRADIENT":
    case "ERR_RUN_FAILED":
    case "ERR_OUTPUTS_DIFFER":
      return new ModelError(code, message);
    case "ERR_FILE_INVALID":
    case "ERR_FILE_MISMATCH":
    case "ERR_IO":
      return new FileError(code, message);
    case "ERR_ABORTED":
      return new AbortError("the job");
    case "ERR_DIVERGED": {
      const { trace } = error as { trace?: Float32Array };
      return trace ? new DivergenceError(message, trace) : new Tr0nError(code, message);
    }
    case "ERR_RUNTIME_MISSING":
    case "ERR_DEVICE_UNAVAILABLE":
    case "ERR_KERNEL_FAILED":
    case "ERR_DEVICE_LOST":
    case "ERR_NOT_TRAINED":
    case "ERR_OUT_OF_MEMORY":
    case "ERR_DISPOSED":
      return new Tr0nError(code, message);
    default:
      return new Tr0nError("ERR_INTERNAL", message, { cause: error });
  }
}

/**
 * What a disposable object's calls run under: a signal that fires when the caller's fires or when the object is
 * disposed. `finish` removes the listeners.
 */
export class Lifetime {
  private readonly controller = new AbortController();
  private readonly running = new Set<Promise<unknown>>();

  constructor(private readonly name: string) {
    // One listener for each running call: any number of calls is no leak.
    setMaxListeners(0, this.controller.signal);
  }

  get disposed(): boolean {
    return this.controller.signal.aborted;
  }

  /** @throws Tr0nError ERR_DISPOSED after dispose(). */
  check(): void {
    if (this.disposed) throw this.error();
  }

  /** Runs `body` under the joined signal. */
  async run<T>(
    what: string,
    signal: AbortSignal | undefined,
    body: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const scope = this.open(what, signal);
    try {
      return await body(scope.signal);
    } finally {
      scope.close();
    }
  }

  /**
   * As {@link run} for work that has no single promise, such as an iteration. `settle` says that nothing runs any more,
   * `close` that too and removes the listeners.
   */
  open(
    what: string,
    signal: AbortSignal | undefined,
  ): { signal: AbortSignal; settle: () => void; close: () => void } {
    this.check();
    throwIfAborted(what, signal);
    const joined = new AbortController();
    const own = this.controller.signal;
    const fromCaller = (): void => joined.abort(signal?.reason);
    const fromOwner = (): void => joined.abort(own.reason);
    signal?.addEventListener("abort", fromCaller, { once: true });
    own.addEventListener("abort", fromOwner, { once: true });
    let finish = (): void => undefined;
    const done = new Promise<void>((resolve) => {
      finish = resolve;
    });
    this.running.add(done);
    const settle = (): void => {
      this.running.delete(done);
      finish();
    };
    return {
      signal: joined.signal,
      settle,
      close: () => {
        signal?.removeEventListener("abort", fromCaller);
        own.removeEventListener("abort", fromOwner);
        settle();
      },
    };
  }

  /** Cancels what runs; false when it was disposed before. */
  dispose(): boolean {
    if (this.disposed) return false;
    this.controller.abort(this.error());
    return true;
  }

  private error(): Tr0nError {
    return new Tr0nError("ERR_DISPOSED", `${this.name} has been disposed of`);
  }

  /** Resolves when nothing runs any more. */
  async settled(): Promise<void> {
    while (this.running.size > 0) await Promise.all(this.running);
  }
}
