/** Native objects that are made when somebody first needs them, shared by all who do, and end together. */
import { setMaxListeners } from "node:events";
import { Tr0nError } from "../base/errors.js";
import { abortable, throwIfAborted } from "../native/job.js";

/** A native object that is made, or has been. */
interface Making<T> {
  readonly made: Promise<T>;
  /** Ends the work, where it goes on. */
  readonly stop: AbortController;
  /** Calls that wait for it. */
  waiting: number;
  done: boolean;
}

export class MadeOnce {
  private opened: { dispose(): void }[];
  private readonly makings = new Map<string, Making<unknown>>();
  private disposed = false;

  /** @param opened what is there already */
  constructor(opened: readonly { dispose(): void }[]) {
    this.opened = [...opened];
  }

  /** What is open, in the order in which it was opened. */
  get items(): readonly object[] {
    return this.opened;
  }

  /** Whether it has been made, or is being made. */
  has(key: string): boolean {
    return this.makings.has(key);
  }

  /** Takes over what ends with the rest. @throws Tr0nError ERR_DISPOSED, and disposes of it */
  keep<T extends { dispose(): void }>(item: T): T {
    if (this.disposed) {
      item.dispose();
      throw disposedError();
    }
    this.opened.push(item);
    return item;
  }

  /**
   * Makes a native object once; a failure is tried again at the next call. The signal ends this call's wait, and the work
   * where nobody else waits for it: `make` gets a signal for that.
   */
  async once<T>(
    key: string,
    signal: AbortSignal | undefined,
    make: (stop: AbortSignal) => Promise<T>,
  ): Promise<T> {
    throwIfAborted("preparing the models", signal);
    let making = this.makings.get(key) as Making<T> | undefined;
    if (!making) {
      const stop = new AbortController();
      const started: Making<T> = { made: make(stop.signal), stop, waiting: 0, done: false };
      making = started;
      this.makings.set(key, started);
      const forget = (): void => {
        if (this.makings.get(key) === started) this.makings.delete(key);
      };
      started.made.then(() => (started.done = true), forget);
      stop.signal.addEventListener("abort", forget);
      setMaxListeners(0, stop.signal);
    }
    making.waiting++;
    try {
      return await abortable("preparing the models", making.made, signal);
    } finally {
      if (--making.waiting === 0 && signal?.aborted && !making.done) making.stop.abort(signal.reason);
    }
  }

  /** Ends all work, and frees what was made. */
  dispose(): void {
    this.disposed = true;
    for (const { stop } of this.makings.values()) stop.abort(disposedError());
    for (const item of this.opened.reverse()) item.dispose();
    this.opened = [];
    this.makings.clear();
  }
}

function disposedError(): Tr0nError {
  return new Tr0nError("ERR_DISPOSED", "the Tr0n has been disposed of");
}
