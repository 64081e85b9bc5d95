/** Checkpoints of a training run: the translator, Adam's state and the place in the schedule, in one .safetensors file. */
import { reason, writeFileAtomic } from "../base/atomic-write.js";
import { FileError, describe } from "../base/errors.js";
import type { NativeTrainerState } from "../native/types/translator.js";
import { firstNotFinite } from "../native/rows.js";
import { readWholeFile } from "../base/read-file.js";
import { decodeSafetensors, findTensor, safetensorsParts } from "../base/safetensors.js";
import { recordDifference } from "../objective/record.js";

export interface Checkpoint {
  /** Everything that the result depends on; a checkpoint of other settings does not continue this run. */
  readonly settings: Record<string, unknown>;
  readonly seed: number;
  readonly state: NativeTrainerState;
  /** Sum of the losses of the current epoch's steps, and how many those are. */
  readonly epochLoss: readonly [sum: number, steps: number];
  /** Mean loss of the last whole epoch; null before its end. */
  readonly lastEpochLoss: number | null;
  /** Held-out loss after each whole epoch, and the parameters after the best one; null before the first. */
  readonly validation: readonly number[];
  readonly best: Float32Array | null;
  readonly seconds: number;
}

const format = "tr0n-checkpoint";
const version = 2;

/** @throws FileError ERR_IO */
export async function writeCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  const { state, best, ...rest } = checkpoint;
  const vector = (data: Float32Array) => ({ data, shape: [data.length] });
  const parts = safetensorsParts(
    new Map([
      ["values", vector(state.values)],
      ["first_moment", vector(state.firstMoment)],
      ["second_moment", vector(state.secondMoment)],
      ...(best ? [["best", vector(best)] as const] : []),
    ]),
    new Map([
      ["format", format],
      ["version", String(version)],
      ["state", JSON.stringify({ ...rest, step: state.step })],
    ]),
  );
  await writeFileAtomic(path, parts);
}

/**
 * The checkpoint at a path; null when there is no file.
 *
 * @throws FileError ERR_FILE_INVALID for a damaged file or another kind of file, ERR_IO
 */
export async function readCheckpoint(path: string): Promise<Checkpoint | null> {
  let bytes: Uint8Array;
  try {
    bytes = await readWholeFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new FileError("ERR_IO", `${path}: cannot be read: ${reason(error)}`, { cause: error });
  }
  const fail = (what: string, cause?: unknown): FileError =>
    new FileError("ERR_FILE_INVALID", `${path}: not a sound checkpoint: ${what}`, { cause });
  const file = decodeSafetensors(bytes, path);
  if (file.metadata.get("format") !== format)
    throw fail(`expected the format ${describe(format)}, got ${describe(file.metadata.get("format"))}`);
  if (file.metadata.get("version") !== String(version))
    throw fail(`expected version ${version}, got ${describe(file.metadata.get("version"))}`);
  let stored: Partial<Omit<Checkpoint, "state" | "best">> & { step?: number };
  try {
    stored = JSON.parse(file.metadata.get("state") ?? "") as typeof stored;
  } catch (error) {
    throw fail("its state is not JSON", error);
  }
  const { settings, seed, step, epochLoss, lastEpochLoss, validation, seconds } = stored ?? {};
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (
    settings === null ||
    typeof settings !== "object" ||
    !isCount(seed) ||
    !isCount(step) ||
    !Array.isArray(epochLoss) ||
    epochLoss.length !== 2 ||
    !epochLoss.every(Number.isFinite) ||
    !(lastEpochLoss === null || Number.isFinite(lastEpochLoss)) ||
    !Array.isArray(validation) ||
    !validation.every(Number.isFinite) ||
    !Number.isFinite(seconds)
  )
    throw fail("its state is not as expected");
  const count = file.tensors.get("values")?.data.length ?? 0;
  const vector = async (name: string): Promise<Float32Array> => {
    const data = findTensor(file, path, name, [count]);
    const bad = await firstNotFinite(data);
    if (bad >= 0) throw fail(`tensor "${name}": expected finite numbers, got ${data[bad]} at index ${bad}`);
    return data;
  };
  return {
    settings,
    seed,
    state: {
      step,
      values: await vector("values"),
      firstMoment: await vector("first_moment"),
      secondMoment: await vector("second_moment"),
    },
    epochLoss: [epochLoss[0]!, epochLoss[1]!],
    lastEpochLoss: lastEpochLoss ?? null,
    validation: validation as number[],
    best: validation.length > 0 ? await vector("best") : null,
    seconds: seconds!,
  };
}

/**
 * Checks that a checkpoint belongs to a run with these settings and that its translator has so many parameters.
 *
 * @throws FileError ERR_FILE_MISMATCH, ERR_FILE_INVALID
 */
export function checkSameRun(
  path: string,
  checkpoint: Checkpoint,
  settings: Record<string, unknown>,
  parameters: number,
): void {
  const difference = recordDifference(checkpoint.settings, settings);
  if (difference !== null)
    throw new FileError(
      "ERR_FILE_MISMATCH",
      `${path}: this checkpoint belongs to another training: ${difference}; remove it or choose another path`,
    );
  if (checkpoint.state.values.length !== parameters)
    throw new FileError(
      "ERR_FILE_INVALID",
      `${path}: not a sound checkpoint: expected ${parameters} parameters, got ${checkpoint.state.values.length}`,
    );
}
