/**
 * A session that is closed while others hold its model's weights, and opened again when it is asked for: a model runs by itself
 * before its gradient is there, and seldom afterwards.
 */
import type { NativeSession } from "../native/types/models.js";

export class RestingSession {
  readonly inputs: NativeSession["inputs"];
  readonly outputs: NativeSession["outputs"];
  private open: Promise<NativeSession> | null;
  /** What `open` has come to. */
  private ready: NativeSession | null;
  private disposed = false;
  private users = 0;
  private tired = false;

  /** @param again opens it once more; null: it stays open */
  constructor(
    session: NativeSession,
    private readonly again: (() => Promise<NativeSession>) | null,
  ) {
    this.inputs = session.inputs;
    this.outputs = session.outputs;
    this.open = Promise.resolve(session);
    this.ready = session;
  }

  /**
   * Calls `run` before it returns, where the session is awake: what the caller gave is still as it was.
   *
   * @throws what opening it throws: its file may not be what it was
   */
  async use<T>(run: (session: NativeSession) => Promise<T>): Promise<T> {
    this.users++;
    try {
      return await run(this.ready ?? (await this.awake()));
    } finally {
      if (--this.users === 0 && this.tired) this.close();
    }
  }

  private awake(): Promise<NativeSession> {
    if (!this.open) {
      const opening = this.again!();
      this.open = opening;
      opening.then(
        (session) => {
          if (this.disposed) session.dispose();
          else if (this.open === opening) this.ready = session;
        },
        () => {
          if (this.open === opening) this.open = null;
        },
      );
    }
    return this.open;
  }

  /** Lets go of its memory, as soon as nobody uses it. */
  rest(): void {
    if (!this.again) return;
    this.tired = this.users > 0;
    if (!this.tired) this.close();
  }

  dispose(): void {
    this.disposed = true;
    this.close();
  }

  /** Whether {@link use} waits for nothing. */
  get isAwake(): boolean {
    return this.ready !== null;
  }

  private close(): void {
    this.tired = false;
    this.ready = null;
    this.open?.then(
      (session) => session.dispose(),
      () => undefined,
    );
    this.open = null;
  }
}
