/** Passes over graphs that let the event loop turn, and end when a signal fires. */
import { throwIfAborted } from "../native/job.js";
import type { Steps } from "../onnx/index.js";

/** Milliseconds of a pass before others have their turn. */
const slice = 8;

/** @throws AbortError, and what the pass throws */
export async function inSlices<T>(what: string, steps: Steps<T>, signal?: AbortSignal): Promise<T> {
  for (;;) {
    throwIfAborted(what, signal);
    const end = performance.now() + slice;
    do {
      const step = steps.next();
      if (step.done) return step.value;
    } while (performance.now() < end);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
