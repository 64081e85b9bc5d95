/** What the caller gives vjp(), checked in the same way for every format. */
import { check } from "../options/check.js";
import { ArgumentError } from "../base/errors.js";
import type { Lifetime } from "../native/job.js";
import type { NativeTensor, NativeValueInfo } from "../native/types/values.js";
import type { Tensor } from "../base/tensor.js";
import { runOptions, type RunOptions } from "./interface.js";
import { feed } from "./values.js";

/** A model, and its values as vjp() takes them. */
interface VjpModel {
  readonly name: string;
  readonly lifetime: Lifetime;
  readonly inputs: readonly NativeValueInfo[];
  readonly outputs: readonly NativeValueInfo[];
}

/** @throws ArgumentError; Tr0nError ERR_DISPOSED */
export function checkVjp(
  { name, lifetime, inputs, outputs }: VjpModel,
  given: Tensor | Record<string, Tensor>,
  cotangents: Tensor | Record<string, Tensor>,
  options: RunOptions | undefined,
): {
  feeds: Record<string, NativeTensor>;
  /** By output; at least one. */
  seeds: Record<string, NativeTensor>;
  signal: AbortSignal | undefined;
} {
  const { signal } = check(runOptions, options, { name: "options", prefix: "options." });
  lifetime.check();
  const feeds = feed(name, "inputs", given, inputs);
  const seeds = feed(name, "cotangents", cotangents, outputs, true);
  if (Object.keys(seeds).length === 0)
    throw new ArgumentError("cotangents: expected at least one output's cotangent, got none");
  return { feeds, seeds, signal };
}
