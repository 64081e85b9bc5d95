import assert from "node:assert/strict";
import { native } from "../../lib/native/binding.js";

const counted = ["sessions", "translators", "trainers", "objectives", "rowMaps"] as const;

/** How many native objects there are. */
export function countObjects(): number[] {
  const counters = native().counters();
  return counted.map((name) => counters[name]);
}

/**
 * There are no more than before, soon: what other tests left may be collected meanwhile, and then there are fewer.
 */
export async function assertNoMore(before: readonly number[]): Promise<void> {
  const more = (): string[] => {
    const now = countObjects();
    return counted.flatMap((name, i) =>
      now[i]! > before[i]! ? [`${name}: ${now[i]}, were ${before[i]}`] : [],
    );
  };
  for (const end = performance.now() + 10_000; more().length > 0 && performance.now() < end;)
    await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(more(), []);
}
