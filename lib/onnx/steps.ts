/**
 * Passes over graphs as generators. A graph of thousands of nodes takes longer than an event loop may be held, whatever
 * its bytes: a pass yields after every node, and whoever runs it decides when to let others have a turn.
 */

export type Steps<T> = Generator<undefined, T, undefined>;

/** Runs a pass to its end at once. */
export function finish<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}
