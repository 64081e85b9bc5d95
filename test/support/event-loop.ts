import { readFileSync } from "node:fs";

/** CPU seconds of this process's main thread, which is the event loop's; what other processes take does not count. */
function mainThread(): number {
  const [nanoseconds] = readFileSync(`/proc/self/task/${process.pid}/schedstat`, "latin1").split(" ");
  return Number(nanoseconds) / 1e6;
}

/** Runs `body`, and says for how many milliseconds of its own work the event loop was held at a time, at most. */
export async function longestHold<T>(body: () => Promise<T>): Promise<{ result: T; hold: number }> {
  let [last, hold, over] = [mainThread(), 0, false];
  const turn = (): void => {
    const now = mainThread();
    hold = Math.max(hold, now - last);
    last = mainThread();
    if (!over) setImmediate(turn);
  };
  setImmediate(turn);
  try {
    const result = await body();
    turn();
    return { result, hold };
  } finally {
    over = true;
  }
}
