import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { native } from "../../lib/native/binding.js";
import type { NativeBinding } from "../../lib/native/types/addon.js";
import type { NativeObjective, NativeRowMap } from "../../lib/native/types/pipeline.js";
import type { NativeSession, NativeSessionOptions } from "../../lib/native/types/models.js";

/** Calls that are not part of the typed surface: what tests and reports look at. */
export interface BlockRule {
  granularity: number;
  rows: number;
}
export interface TestHooks {
  setExternalMemory(allowed: boolean): void;
}
export const addon = native() as NativeBinding & TestHooks;

export const blocksOf = (map: NativeRowMap): Promise<BlockRule> =>
  (map as NativeRowMap & { blocks(): { promise: Promise<BlockRule> } }).blocks().promise;
export const objectiveBlocks = (
  objective: NativeObjective,
): Promise<{ energy: BlockRule; gradient: BlockRule }> =>
  (
    objective as NativeObjective & {
      blocks(): { promise: Promise<{ energy: BlockRule; gradient: BlockRule }> };
    }
  ).blocks().promise;

export const open = (source: string | Uint8Array, options?: NativeSessionOptions): Promise<NativeSession> =>
  addon.openSession(source, options).promise;

export const fixture = (name: string): string =>
  fileURLToPath(new URL(`../fixtures/bridge/${name}`, import.meta.url));
export const repositoryFile = (name: string): string =>
  fileURLToPath(new URL(`../../${name}`, import.meta.url));

interface CodedError extends Error {
  code: string;
}
function check(error: unknown, code: string, message: RegExp) {
  assert.ok(error instanceof Error, `an Error, got ${String(error)}`);
  assert.equal((error as CodedError).code, code, error.message);
  assert.match(error.message, message);
  return true;
}
/** The call throws at once. */
export function throwsCode(call: () => unknown, code: string, message: RegExp): void {
  assert.throws(call, (error) => check(error, code, message));
}
/** The promise rejects. */
export function rejectsCode(promise: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  return assert.rejects(promise, (error) => check(error, code, message));
}

/** Equal to the last bit, NaN included. */
export function sameBits(got: Float32Array, expected: Float32Array, what: string): void {
  assert.equal(got.length, expected.length, what);
  const a = new Int32Array(got.slice().buffer);
  const b = new Int32Array(expected.slice().buffer);
  for (let i = 0; i < a.length; i++)
    if (a[i] !== b[i]) assert.fail(`${what}: element ${i} is ${got[i]}, expected ${expected[i]}`);
}

export const idle = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));
